#include <retrace/autograd/elementwise.h>
#include <retrace/losses/class_targets.h>
#include <retrace/losses/classification.h>
#include <retrace/tensor/kernels/reduce.h>

#include <algorithm>
#include <array>

namespace retrace::losses {
namespace {

// Loops over a row of logits ---------------------------------------------------------------------

constexpr std::int64_t kLanes = 32;
constexpr std::int64_t kPiece = 1024;  // elements that are worked on at a time, in the first cache

template <class T>
T largest(const T* z, std::int64_t n) {
  if (n < 2 * kLanes) {
    T best = z[0];
    for (std::int64_t i = 1; i < n; ++i) best = z[i] > best ? z[i] : best;
    return best;
  }
  T lanes[kLanes];
  std::copy_n(z, kLanes, lanes);
  std::int64_t i = kLanes;
  for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
    for (std::int64_t l = 0; l < kLanes; ++l) lanes[l] = z[i + l] > lanes[l] ? z[i + l] : lanes[l];
  }
  for (; i < n; ++i) lanes[0] = z[i] > lanes[0] ? z[i] : lanes[0];
  for (std::int64_t l = 1; l < kLanes; ++l) lanes[0] = lanes[l] > lanes[0] ? lanes[l] : lanes[0];
  return lanes[0];
}

/// Σ x of at most kPiece elements.
template <class T>
T sum_of_piece(const T* x, std::int64_t n) {
  T sum = 0;
  std::int64_t i = 0;
  if (n >= 2 * kLanes) {
    T lanes[kLanes] = {};
    for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
      for (std::int64_t l = 0; l < kLanes; ++l) lanes[l] += x[i + l];
    }
    sum = kernels::sum_lanes<kLanes>(lanes);
  }
  for (; i < n; ++i) sum += x[i];
  return sum;
}

/// Σ f(k), in double.
template <class F>
double sum_of(std::int64_t n, F f) {
  double lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
    for (std::int64_t l = 0; l < kLanes; ++l) lanes[l] += static_cast<double>(f(i + l));
  }
  double sum = kernels::sum_lanes<kLanes>(lanes);
  for (; i < n; ++i) sum += static_cast<double>(f(i));
  return sum;
}

template <class T>
void exp_of_row(const T* z, std::int64_t columns, T max, T* out) {
  kernels::dense_row([max](T v) { return math::exp(v - max); }, columns, out, z);
}

/// What forward keeps of a row: softmax · Σ w q = exp(z - max) · factor.
template <class T>
struct RowFacts {
  T max, factor;
};

/// out = exp(z - max) for several rows. Those of few classes are too short to be vectorised one by
/// one.
template <class T>
void exp_of_rows(const T* z, std::int64_t rows, std::int64_t columns, const RowFacts<T>* facts,
                 T* out) {
  if (columns >= kLanes) {
    for (std::int64_t r = 0; r < rows; ++r)
      exp_of_row(z + r * columns, columns, facts[r].max, out + r * columns);
    return;
  }
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      out[r * columns + c] = z[r * columns + c] - facts[r].max;
  kernels::dense_row([](T v) { return math::exp(v); }, rows * columns, out, out);
}

// Cross-entropy of rows --------------------------------------------------------------------------

/// Rows of logits and their targets, classes or probabilities.
template <class T>
struct Rows {
  std::int64_t count, classes;
  const T* logits;
  const std::int64_t* target;  // or null,
  const T* probabilities;      // or null
  const T* weight;             // null: all 1
  std::int64_t ignore_index;
  T kept, spread;  // 1 - ε and ε / C
  double weights;  // Σ w

  T weight_of(std::int64_t k) const { return weight == nullptr ? T(1) : weight[k]; }
  bool ignored(std::int64_t row) const { return target && target[row] == ignore_index; }

  /// Rows that are worked on together: several whole ones, or one that is long.
  std::int64_t group() const { return std::max<std::int64_t>(1, kPiece / classes); }
  template <class F>
  void for_groups(F f) const {
    const std::int64_t size = group(), groups = (count + size - 1) / size;
    parallel_for(groups, kernels::kElementGrain / (size * classes) + 1,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i)
                     f(i * size, std::min(size, count - i * size));
                 });
  }

  /// The largest logit of each row of a group, and (as factor) the sum of its exponentials.
  void largest_and_sums(const T* z, std::int64_t rows, RowFacts<T>* facts) const {
    T e[kPiece];
    for (std::int64_t r = 0; r < rows; ++r) facts[r].max = largest(z + r * classes, classes);
    if (classes <= kPiece) {
      exp_of_rows(z, rows, classes, facts, e);
      for (std::int64_t r = 0; r < rows; ++r)
        facts[r].factor = sum_of_piece(e + r * classes, classes);
      return;
    }
    double total = 0;
    for (std::int64_t c = 0; c < classes; c += kPiece) {
      const std::int64_t n = std::min(kPiece, classes - c);
      exp_of_row(z + c, n, facts->max, e);
      total += static_cast<double>(sum_of_piece(e, n));
    }
    facts->factor = static_cast<T>(total);
  }

  /// Loss of one row; Σ w q goes into `total`.
  T loss_of_class(std::int64_t row, T max, T log_sum, T& total) const {
    if (ignored(row)) return total = T(0);
    const T* z = logits + row * classes;
    const T w = kept * weight_of(target[row]);
    T loss = w * ((max - z[target[row]]) + log_sum);
    total = w;
    if (spread != T(0)) {
      const double gaps = weight == nullptr
                              ? sum_of(classes, [=](std::int64_t k) { return max - z[k]; })
                              : sum_of(classes, [=, w_of = weight](std::int64_t k) {
                                  return w_of[k] * (max - z[k]);
                                });
      loss += static_cast<T>(static_cast<double>(spread) *
                             (gaps + weights * static_cast<double>(log_sum)));
      total += static_cast<T>(static_cast<double>(spread) * weights);
    }
    return loss;
  }

  /// w q of class k, for probabilities.
  T share(std::int64_t row, std::int64_t k) const {
    return weight_of(k) * math::mul_add(kept, probabilities[row * classes + k], spread);
  }

  T loss_of_probabilities(std::int64_t row, T max, T log_sum, T& total) const {
    const T* z = logits + row * classes;
    const double sum = sum_of(classes, [&](std::int64_t k) { return share(row, k); });
    const double gaps = sum_of(classes, [&](std::int64_t k) {
      const T q = share(row, k);
      return math::select(q == T(0), T(0), q * (max - z[k]));  // not 0 · inf
    });
    total = static_cast<T>(sum);
    return static_cast<T>(gaps + sum * static_cast<double>(log_sum));
  }

  void forward(T* losses, RowFacts<T>* all_facts) const {
    for_groups([&](std::int64_t first, std::int64_t rows) {
      RowFacts<T>* facts = all_facts + first;
      largest_and_sums(logits + first * classes, rows, facts);
      T* loss = losses + first;
#pragma omp simd
      for (std::int64_t r = 0; r < rows; ++r) loss[r] = math::log(facts[r].factor);
      for (std::int64_t r = 0; r < rows; ++r) {
        T total = 0;
        loss[r] = target != nullptr
                      ? loss_of_class(first + r, facts[r].max, loss[r], total)
                      : loss_of_probabilities(first + r, facts[r].max, loss[r], total);
        facts[r].factor = total / facts[r].factor;
      }
    });
  }

  /// dz holds exp(z - max) of columns [begin, begin + n) of a row, and becomes its gradient.
  void finish(std::int64_t row, std::int64_t begin, std::int64_t n, T g, T factor, T* dz) const {
    if (ignored(row)) {
      std::fill_n(dz, n, T(0));
      return;
    }
    const T a = g * factor;
    if (probabilities != nullptr) {
      for (std::int64_t k = 0; k < n; ++k)
        dz[k] = math::mul_add(a, dz[k], -g * share(row, begin + k));
      return;
    }
    const T b = -g * spread;
    if (weight == nullptr || spread == T(0)) {
#pragma omp simd
      for (std::int64_t k = 0; k < n; ++k) dz[k] = math::mul_add(a, dz[k], b);
    } else {
#pragma omp simd
      for (std::int64_t k = 0; k < n; ++k) dz[k] = math::mul_add(a, dz[k], b * weight[begin + k]);
    }
    const std::int64_t t = target[row];
    if (t >= begin && t < begin + n) dz[t - begin] -= g * kept * weight_of(t);
  }

  /// upstream(row) is the gradient of the row's loss.
  template <class F>
  void backward(F upstream, const RowFacts<T>* facts, T* dlogits) const {
    for_groups([&](std::int64_t first, std::int64_t rows) {
      const T* z = logits + first * classes;
      T* dz = dlogits + first * classes;
      if (classes <= kPiece) {
        exp_of_rows(z, rows, classes, facts + first, dz);
        for (std::int64_t r = first; r < first + rows; ++r, dz += classes)
          finish(r, 0, classes, upstream(r), facts[r].factor, dz);
        return;
      }
      for (std::int64_t c = 0; c < classes; c += kPiece) {
        const std::int64_t n = std::min(kPiece, classes - c);
        exp_of_row(z + c, n, facts[first].max, dz + c);
        finish(first, c, n, upstream(first), facts[first].factor, dz + c);
      }
    });
  }
};

/// The tensors of a call: rows of logits, targets and weight, row-major.
struct Call {
  Tensor logits, target, weight;
  std::int64_t classes, ignore_index;
  double label_smoothing;

  template <class T>
  Rows<T> rows() const {
    Rows<T> rows{};
    rows.classes = classes;
    rows.count = classes == 0 ? 0 : logits.numel() / classes;
    rows.logits = elements<const T>(logits);
    if (target.dtype() == kInt64) {
      rows.target = elements<const std::int64_t>(target);
    } else {
      rows.probabilities = elements<const T>(target);
    }
    rows.ignore_index = ignore_index;
    rows.kept = static_cast<T>(1.0 - label_smoothing);
    rows.spread = static_cast<T>(label_smoothing / static_cast<double>(classes));
    rows.weights = static_cast<double>(classes);
    if (weight.defined()) {
      const T* w = elements<const T>(weight);
      rows.weight = w;
      rows.weights = sum_of(classes, [=](std::int64_t k) { return w[k]; });
    }
    return rows;
  }
};

struct CrossEntropyNode final : NodeOf<CrossEntropyNode> {
  static constexpr std::string_view op = "cross_entropy",
                                    formula = "L = -Σ w · q · log p, p = softmax(z), reduced",
                                    gradient = "dz = g · (p · Σ w q - w q) / n";
  CrossEntropyNode(const Shape& sizes, std::int64_t ignore, double smoothing, Reduction how,
                   double mean_divisor)
      : logits_sizes(sizes),
        ignore_index(ignore),
        label_smoothing(smoothing),
        reduction(how),
        divisor(mean_divisor) {}

  void backward(const Tensor& g, Gradients& gradients) override {
    require<AutogradError>(!GradMode::is_enabled(),
                           "cross_entropy: second derivatives are not available; go back without "
                           "create_graph here");
    const Call call{saved_input(0),
                    saved_extra(0),
                    has_weight ? saved_extra(2) : Tensor(),
                    class_count(logits_sizes),
                    ignore_index,
                    label_smoothing};
    const Tensor facts = saved_extra(1), upstream = as_contiguous(g);
    const Tensor dlogits = empty(call.logits.sizes(), g.dtype());
    visit_float(g.dtype(), op, [&]<class T>() {
      const T* values = elements<const T>(upstream);
      const auto* row_facts = elements<const RowFacts<T>>(facts);
      T* out = elements<T>(dlogits);
      if (reduction == Reduction::none) {
        call.rows<T>().backward([=](std::int64_t row) { return values[row]; }, row_facts, out);
      } else {
        const T each = static_cast<T>(static_cast<double>(values[0]) / divisor);
        call.rows<T>().backward([=](std::int64_t) { return each; }, row_facts, out);
      }
    });
    gradients.give(0, from_class_rows(dlogits, logits_sizes));
  }

  Shape logits_sizes;
  std::int64_t ignore_index;
  double label_smoothing;
  Reduction reduction;
  double divisor;
  bool has_weight = false;
};

void check_input(std::string_view loss, const Tensor& input, const Tensor& target) {
  require_defined(loss, {&input, &target});
  if (!input.is_floating_point()) refuse_dtype(loss, input.dtype(), "float32 or float64");
  require<ShapeError>(
      input.dim() > 0 && (class_count(input.sizes()) > 0),
      "{}: the input is {}; it must be [C], [N, C] or [N, C, d1, ...] with at least "
      "one class",
      loss, input.sizes());
}

bool are_probabilities(const Tensor& logits, const Tensor& target) {
  return target.is_floating_point() && target.sizes() == logits.sizes();
}

// Gives what a mean divides by.
double check(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options) {
  check_input("cross_entropy", logits, target);
  require<ValueError>(options.label_smoothing >= 0.0 && options.label_smoothing <= 1.0,
                      "cross_entropy: label_smoothing is {}; it must be in [0, 1]",
                      options.label_smoothing);
  if (!are_probabilities(logits, target)) {
    require<DTypeError>(
        target.dtype() == kInt64,
        "cross_entropy: targets are {} {} for logits {}; they must be class indices, int64 {}, or "
        "probabilities of the logits' shape: convert with .to(kInt64)",
        target.dtype(), target.sizes(), logits.sizes(), sizes_without_classes(logits.sizes()));
    return check_classes("cross_entropy", logits, target, options.weight, options.ignore_index);
  }
  require_same_dtype("cross_entropy", logits, target);
  check_class_weight("cross_entropy", logits, options.weight);
  require<ValueError>(options.ignore_index < 0,
                      "cross_entropy: ignore_index is {} with probabilities {} as targets; it "
                      "needs class targets, int64",
                      options.ignore_index, target.sizes());
  return static_cast<double>(logits.numel() / class_count(logits.sizes()));
}

// The rows' losses, of the targets' shape, as the caller wants them.
template <class T>
Tensor reduce_losses(const Tensor& losses, Reduction reduction, double divisor) {
  if (reduction == Reduction::none) return losses;
  const T* values = elements<const T>(losses);
  double sum = sum_of(losses.numel(), [=](std::int64_t i) { return values[i]; });
  if (reduction == Reduction::mean) sum /= divisor;
  Tensor y = empty({}, losses.dtype());
  elements<T>(y)[0] = static_cast<T>(sum);
  return y;
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& target,
                     const CrossEntropyOptions& options) {
  const double divisor = check(logits, target, options);
  const Tensor& weight = options.weight;
  const bool classes = target.dtype() == kInt64;
  const Call call{class_rows(logits),
                  classes ? as_contiguous(target) : class_rows(target),
                  weight.defined() ? as_contiguous(weight) : Tensor(),
                  class_count(logits.sizes()),
                  options.ignore_index,
                  options.label_smoothing};
  const Tensor losses = empty(sizes_without_classes(logits.sizes()), logits.dtype());
  const Tensor facts = empty({losses.numel(), 2}, logits.dtype());
  Tensor y = visit_float(logits.dtype(), "cross_entropy", [&]<class T>() {
    call.rows<T>().forward(elements<T>(losses), elements<RowFacts<T>>(facts));
    return reduce_losses<T>(losses, options.reduction, divisor);
  });
  return record<CrossEntropyNode>(
      std::move(y), {&logits},
      [&](CrossEntropyNode& node) {
        node.save_input(0, call.logits);
        node.save_extra(call.target);
        node.save_extra(facts);
        node.has_weight = weight.defined();
        if (weight.defined()) node.save_extra(call.weight);
      },
      logits.sizes(), options.ignore_index, options.label_smoothing, options.reduction,
      options.reduction == Reduction::mean ? divisor : 1.0);
}

// Negative log-likelihood ------------------------------------------------------------------------

namespace {

struct NllLossNode final : NodeOf<NllLossNode> {
  static constexpr std::string_view op = "nll_loss", formula = "L = -w(t) · x(t), reduced",
                                    gradient = "dx = -g · w(t) / n at t, 0 elsewhere";
  NllLossNode(const Shape& sizes, std::int64_t ignore, Reduction how, double mean_divisor)
      : input_sizes(sizes), ignore_index(ignore), reduction(how), divisor(mean_divisor) {}

  void backward(const Tensor& g, Gradients& gradients) override {
    require<AutogradError>(!GradMode::is_enabled(),
                           "nll_loss: second derivatives are not available; go back without "
                           "create_graph here");
    const Tensor target = saved_extra(0), weight = has_weight ? saved_extra(1) : Tensor();
    const Tensor upstream = as_contiguous(g);
    const std::int64_t classes = class_count(input_sizes);
    const Tensor dx = zeros({target.numel(), classes}, g.dtype());
    const auto* t = elements<const std::int64_t>(target);
    visit_float(g.dtype(), op, [&]<class T>() {
      const T* values = elements<const T>(upstream);
      const T* w = weight.defined() ? elements<const T>(weight) : nullptr;
      T* out = elements<T>(dx);
      for (std::int64_t r = 0; r < target.numel(); ++r) {
        if (t[r] == ignore_index) continue;
        const double each =
            static_cast<double>(values[reduction == Reduction::none ? r : 0]) / divisor;
        out[r * classes + t[r]] = -static_cast<T>(each) * (w == nullptr ? T(1) : w[t[r]]);
      }
    });
    Shape sizes = sizes_without_classes(input_sizes);
    sizes.push_back(classes);
    gradients.give(0,
                   from_class_rows(make_view(dx, sizes, contiguous_strides(sizes)), input_sizes));
  }

  Shape input_sizes;
  std::int64_t ignore_index;
  Reduction reduction;
  double divisor;
  bool has_weight = false;
};

}  // namespace

Tensor nll_loss(const Tensor& input, const Tensor& target, const NllLossOptions& options) {
  check_input("nll_loss", input, target);
  const double divisor =
      check_classes("nll_loss", input, target, options.weight, options.ignore_index);
  const Tensor targets = as_contiguous(target), rows = class_rows(input);
  const Tensor weight = options.weight.defined() ? as_contiguous(options.weight) : Tensor();
  const std::int64_t classes = class_count(input.sizes());
  const Tensor losses = empty(target.sizes(), input.dtype());
  const auto* t = elements<const std::int64_t>(targets);
  Tensor y = visit_float(input.dtype(), "nll_loss", [&]<class T>() {
    const T *x = elements<const T>(rows),
            *w = weight.defined() ? elements<const T>(weight) : nullptr;
    T* out = elements<T>(losses);
    for (std::int64_t r = 0; r < targets.numel(); ++r) {
      out[r] = t[r] == options.ignore_index
                   ? T(0)
                   : -x[r * classes + t[r]] * (w == nullptr ? T(1) : w[t[r]]);
    }
    return reduce_losses<T>(losses, options.reduction, divisor);
  });
  return record<NllLossNode>(
      std::move(y), {&input},
      [&](NllLossNode& node) {
        node.save_extra(targets);
        node.has_weight = weight.defined();
        if (weight.defined()) node.save_extra(weight);
      },
      input.sizes(), options.ignore_index, options.reduction,
      options.reduction == Reduction::mean ? divisor : 1.0);
}

}  // namespace retrace::losses
