#include <retrace/autograd/elementwise.h>
#include <retrace/losses/class_targets.h>
#include <retrace/tensor/kernels/reduce.h>

namespace retrace::losses {
namespace {

int class_dim(const Shape& input) { return input.size() == 1 ? 0 : 1; }

template <class T>
double sum_of_weights(const std::int64_t* target, std::int64_t count, const T* weight,
                      std::int64_t ignore_index) {
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i)
    if (target[i] != ignore_index) sum += static_cast<double>(weight[target[i]]);
  return sum;
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
  if (input.size() <= 2) return rows;
  Strides strides;
  std::int64_t step = class_count(input);
  for (int d = input.size() - 1; d >= 0; --d) {
    strides.insert(0, d == 1 ? 1 : step);
    if (d != 1) step *= input[d];
  }
  return make_view(rows, input, strides);
}

void check_class_weight(std::string_view loss, const Tensor& input, const Tensor& weight) {
  if (!weight.defined()) return;
  require<DTypeError>(weight.dtype() == input.dtype(),
                      "{}: weight is {} {}, the input {} {}; convert it with .to({})", loss,
                      weight.dtype(), weight.sizes(), input.dtype(), input.sizes(), input.dtype());
  require<ShapeError>(weight.dim() == 1 && weight.sizes()[0] == class_count(input.sizes()),
                      "{}: weight is {} for an input {} of {} classes; give one weight for each "
                      "class",
                      loss, weight.sizes(), input.sizes(), class_count(input.sizes()));
}

double check_classes(std::string_view loss, const Tensor& input, const Tensor& target,
                     const Tensor& weight, std::int64_t ignore_index) {
  require<DTypeError>(target.dtype() == kInt64,
                      "{}: class targets must be int64, they are {} {} for an input {}; convert "
                      "them with .to(kInt64)",
                      loss, target.dtype(), target.sizes(), input.sizes());
  require<ShapeError>(target.sizes() == sizes_without_classes(input.sizes()),
                      "{}: targets are {} for an input {}; they must be {}, one for each row of "
                      "classes",
                      loss, target.sizes(), input.sizes(), sizes_without_classes(input.sizes()));
  check_class_weight(loss, input, weight);
  const Tensor targets = as_contiguous(target);
  const auto* t = elements<const std::int64_t>(targets);
  const std::int64_t count = targets.numel(), classes = class_count(input.sizes());
  std::int64_t kept = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    if (t[i] == ignore_index) continue;
    ++kept;
    require<IndexError>(t[i] >= 0 && t[i] < classes,
                        "{}: target {} (element {} of {}) is outside [0, {}) for an input {}, and "
                        "not ignore_index {}; check the labels or the last layer's size",
                        loss, t[i], i, target.sizes(), classes, input.sizes(), ignore_index);
  }
  if (!weight.defined()) return static_cast<double>(kept);
  const Tensor weights = as_contiguous(weight);
  return visit_float(weight.dtype(), loss, [&]<class T>() {
    return sum_of_weights(t, count, elements<const T>(weights), ignore_index);
  });
}

}  // namespace retrace::losses
