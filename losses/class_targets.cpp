#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/view.h>
#include <retrace/losses/class_targets.h>
#include <retrace/tensor/kernels/softmax.h>

namespace retrace::losses {
namespace {

int class_dim(const Shape& input) { return input.size() == 1 ? 0 : 1; }

[[noreturn]] void refuse_class(std::string_view loss, const Tensor& input, const Tensor& target,
                               std::int64_t element, std::int64_t value,
                               std::optional<std::int64_t> ignore_index) {
  const std::string unless =
      ignore_index ? fmt::format(", and not ignore_index {}", *ignore_index) : std::string();
  fail<IndexError>(
      "{}: target {} (element {} of {}) is outside [0, {}) for an input {}{}; check the labels or "
      "the last layer's size",
      loss, value, element, target.sizes(), class_count(input.sizes()), input.sizes(), unless);
}

}  // namespace

Shape sizes_without_classes(const Shape& input) {
  Shape sizes = input;
  sizes.erase(class_dim(input));
  return sizes;
}

std::int64_t class_count(const Shape& input) { return input[class_dim(input)]; }

Tensor class_rows(const Tensor& input) {
  if (input.dim() <= 2) return as_contiguous(input);
  bool classes[kMaxDims] = {};
  classes[class_dim(input.sizes())] = true;
  return kernels::reduced_last(input, classes);
}

Tensor from_class_rows(const Tensor& rows, const Shape& input) {
  if (input.size() <= 2) return make_view(rows, input, contiguous_strides(input));
  Strides strides;
  std::int64_t step = class_count(input);
  for (int d = input.size() - 1; d >= 0; --d) {
    strides.insert(0, d == 1 ? 1 : step);
    if (d != 1) step *= input[d];
  }
  return make_view(rows, input, strides);
}

Tensor recorded_class_rows(const Tensor& input) {
  const int dim = class_dim(input.sizes());
  Shape order;
  for (int d = 0; d < input.dim(); ++d)
    if (d != dim) order.push_back(d);
  order.push_back(dim);
  const std::int64_t classes = class_count(input.sizes());
  return input.permute(order).reshape({input.numel() / classes, classes});
}

void check_scores(std::string_view loss, const Tensor& input, const Tensor& target) {
  require_defined(loss, {&input, &target});
  if (!input.is_floating_point()) refuse_dtype(loss, input.dtype(), "float32 or float64");
  require<ShapeError>(
      input.dim() > 0 && (class_count(input.sizes()) > 0),
      "{}: the input is {}; it must be [C], [N, C] or [N, C, d1, ...] with at least "
      "one class",
      loss, input.sizes());
}

void check_class_weight(std::string_view loss, std::string_view name, const Tensor& input,
                        const Tensor& weight) {
  if (!weight.defined()) return;
  require<DTypeError>(weight.dtype() == input.dtype(),
                      "{}: {} is {} {}, the input {} {}; convert it with .to({})", loss, name,
                      weight.dtype(), weight.sizes(), input.dtype(), input.sizes(), input.dtype());
  require<ShapeError>(weight.dim() == 1 && weight.sizes()[0] == class_count(input.sizes()),
                      "{}: {} is {} for an input {} of {} classes; give one for each class", loss,
                      name, weight.sizes(), input.sizes(), class_count(input.sizes()));
}

double check_classes(std::string_view loss, const Tensor& input, const Tensor& target,
                     const Tensor& weight, std::optional<std::int64_t> ignore_index) {
  require<DTypeError>(target.dtype() == kInt64,
                      "{}: class targets must be int64, they are {} {} for an input {}; convert "
                      "them with .to(kInt64)",
                      loss, target.dtype(), target.sizes(), input.sizes());
  require<ShapeError>(target.sizes() == sizes_without_classes(input.sizes()),
                      "{}: targets are {} for an input {}; give {}, one for each row of classes",
                      loss, target.sizes(), input.sizes(), sizes_without_classes(input.sizes()));
  check_class_weight(loss, "weight", input, weight);
  const Tensor targets = as_contiguous(target);
  const auto* t = elements<const std::int64_t>(targets);
  const std::int64_t count = targets.numel(), classes = class_count(input.sizes());
  const bool ignores = ignore_index.has_value();
  const std::int64_t ignored = ignore_index.value_or(0);
  std::int64_t kept = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    if (ignores && t[i] == ignored) continue;
    ++kept;
    if (t[i] < 0 || t[i] >= classes) [[unlikely]]
      refuse_class(loss, input, target, i, t[i], ignore_index);
  }
  if (!weight.defined()) return static_cast<double>(kept);
  const Tensor weights = as_contiguous(weight);
  return visit_float(weight.dtype(), loss, [&]<class T>() {
    const T* w = elements<const T>(weights);
    double sum = 0;
    for (std::int64_t i = 0; i < count; ++i)
      if (!ignores || t[i] != ignored) sum += static_cast<double>(w[t[i]]);
    return sum;
  });
}

Tensor recorded_reduction(const Tensor& losses, const Shape& sizes, const Reducing& reducing) {
  if (reducing.how == Reduction::none) return losses.view(sizes);
  const bool of_nothing = reducing.how == Reduction::mean && reducing.divisor == 0;
  return losses.sum() * (of_nothing ? 0.0 : reducing.weight_of_one());
}

Tensor reduce_rows(const Tensor& losses, const Reducing& reducing) {
  if (reducing.how == Reduction::none) return losses;
  return visit_float(losses.dtype(), "losses", [&]<class T>() {
    double sum =
        kernels::reduce_run(kernels::RowSum<T>(), elements<const T>(losses), losses.numel());
    if (reducing.how == Reduction::mean) sum /= reducing.divisor;
    Tensor y = empty({}, losses.dtype());
    elements<T>(y)[0] = static_cast<T>(sum);
    return y;
  });
}

}  // namespace retrace::losses
