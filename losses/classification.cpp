#include <retrace/autograd/ops/activation.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/autograd/ops/softmax.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/class_loss.h>
#include <retrace/losses/classification.h>
#include <retrace/tensor/kernels/softmax.h>

namespace retrace::losses {
namespace {

struct Nll {
  static constexpr std::string_view op = "nll_loss", formula = "L = -w(t) · x(t), reduced",
                                    gradient = "dx = -g · w(t) / n at t, 0 elsewhere";
  template <class T>
  T loss(const ClassRow<T>& row) const {
    return -row[row.target];
  }
  template <class T>
  void slopes(const ClassRow<T>& row, T g, T* dx) const {
    dx[row.target] = -g;
  }
  Tensor by_ops(const Tensor& rows, const Tensor& target) const { return -at_class(rows, target); }
};

struct FocalMulticlass {
  static constexpr std::string_view
      op = "focal_loss_multiclass",
      formula = "L = -α(t) · (1 - p(t))^γ · log p(t), p = softmax(z), reduced",
      gradient =
          "dz(k) = g · α(t) · (1 - p(t))^(γ-1) · (γ p(t) log p(t) - (1 - p(t))) · ([k = t] - "
          "p(k)) / n";
  double gamma;

  template <class T>
  struct Target {
    kernels::LogSumExp<T> sum;
    T log_p, missing;  // missing = 1 - p(t), to its last digit
    explicit Target(const ClassRow<T>& row)
        : sum(kernels::log_sum_exp_row(row.scores, row.classes)),
          log_p(row[row.target] - sum.largest - sum.log_sum),
          missing(-math::expm1(log_p)) {}
  };

  template <class T>
  T loss(const ClassRow<T>& row) const {
    const Target<T> target(row);
    return -math::pow(target.missing, T(gamma)) * target.log_p;
  }
  template <class T>
  void slopes(const ClassRow<T>& row, T g, T* dz) const {
    const Target<T> target(row);
    const T p = math::exp(target.log_p), missing = target.missing;
    // p · log p / (1 - p) tends to -1 where p is 1, and to 0 where it is 0.
    T bent = 0;
    if (missing == T(0)) {
      bent = T(-1);
    } else if (p != T(0)) {
      bent = p * target.log_p / missing;
    }
    const T slope = g * math::pow(missing, T(gamma)) * (T(gamma) * bent - T(1));
    const T largest = target.sum.largest, log_sum = target.sum.log_sum;
    kernels::dense_row([=](T score) { return -slope * math::exp(score - largest - log_sum); },
                       row.classes, dz, row.scores);
    dz[row.target] = slope * missing;
  }
  Tensor by_ops(const Tensor& rows, const Tensor& target) const {
    const Tensor log_p = at_class(log_softmax(rows, 1), target), missing = -expm1(log_p);
    const Tensor sure = missing.detach() == 0;  // a power of 0 need not have a slope
    const Tensor weight = pow(where(sure, Scalar(1.0), missing), gamma);
    return -(gamma == 0 ? weight : masked_fill(weight, sure, 0)) * log_p;
  }
};

struct MulticlassHinge {
  static constexpr std::string_view
      op = "multiclass_hinge_cs",
      formula = "L = max(0, m + max over j ≠ t of s(j) - s(t)), reduced",
      gradient = "ds = g / n at the best wrong class, -g / n at t, where L > 0";
  double margin;
  bool squared;

  template <class T>
  std::int64_t best_wrong(const ClassRow<T>& row) const {
    std::int64_t best = row.target == 0 ? 1 : 0;
    for (std::int64_t k = best + 1; k < row.classes; ++k) {
      const bool better = row[k] > row[best] || std::isnan(row[k]);
      if (better && k != row.target) best = k;
    }
    return best;
  }
  template <class T>
  T missing(const ClassRow<T>& row, std::int64_t best) const {
    return math::max(T(margin) + (row[best] - row[row.target]), T(0));
  }
  template <class T>
  T loss(const ClassRow<T>& row) const {
    const T value = missing(row, best_wrong(row));
    return squared ? value * value : value;
  }
  template <class T>
  void slopes(const ClassRow<T>& row, T g, T* ds) const {
    const std::int64_t best = best_wrong(row);
    const T value = missing(row, best);
    if (value == T(0)) return;
    ds[best] = squared ? T(2) * value * g : g;
    ds[row.target] = -ds[best];
  }
  Tensor by_ops(const Tensor& rows, const Tensor& target) const {
    const Tensor dense = as_contiguous(rows), best = empty(target.sizes(), kInt64);
    const std::int64_t classes = rows.size(1);
    visit_float(rows.dtype(), op, [&]<class T>() {
      for (std::int64_t r = 0; r < rows.size(0); ++r) {
        elements<std::int64_t>(best)[r] = best_wrong(ClassRow<T>{
            elements<T>(dense) + r * classes, classes, elements<std::int64_t>(target)[r]});
      }
    });
    const Tensor missing = relu(at_class(rows, best) - at_class(rows, target) + margin);
    return squared ? missing.square() : missing;
  }
};

struct MultiMargin {
  static constexpr std::string_view
      op = "multi_margin_loss",
      formula = "L = w(t) · Σ over j ≠ t of max(0, m - s(t) + s(j))^p / C, reduced",
      gradient =
          "ds(j) = g · w(t) · p · max(0, m - s(t) + s(j))^(p-1) / C / n inside the margin, "
          "minus their sum at t";
  double margin;
  bool squared;

  template <class T>
  T missing(const ClassRow<T>& row, std::int64_t k) const {
    return math::max(T(margin) + (row[k] - row[row.target]), T(0));
  }
  template <class T>
  T loss(const ClassRow<T>& row) const {
    double sum = 0;
    for (std::int64_t k = 0; k < row.classes; ++k) {
      const auto value = static_cast<double>(missing(row, k));
      if (k != row.target) sum += squared ? value * value : value;
    }
    return static_cast<T>(sum / static_cast<double>(row.classes));
  }
  template <class T>
  void slopes(const ClassRow<T>& row, T g, T* ds) const {
    const T each = g / static_cast<T>(row.classes);
    double sum = 0;
    for (std::int64_t k = 0; k < row.classes; ++k) {
      const T value = missing(row, k);
      if (k == row.target || value == T(0)) continue;
      ds[k] = squared ? T(2) * value * each : each;
      sum += static_cast<double>(ds[k]);
    }
    ds[row.target] = static_cast<T>(-sum);
  }
  // (The target itself adds a constant.)
  Tensor by_ops(const Tensor& rows, const Tensor& target) const {
    const Tensor missing = relu(rows - at_class(rows, target).unsqueeze(1) + margin);
    return (squared ? missing.square() : missing).mean(1);
  }
};

}  // namespace

Tensor nll_loss(const Tensor& input, const Tensor& target, const NllLossOptions& options) {
  return class_loss(Nll(), input, target,
                    {.weight = options.weight,
                     .weighted_mean = true,
                     .ignore_index = options.ignore_index,
                     .reduction = options.reduction});
}

Tensor focal_loss_multiclass(const Tensor& logits, const Tensor& target,
                             const FocalLossMulticlassOptions& options) {
  require_at_least_zero(FocalMulticlass::op, "gamma", options.gamma);
  return class_loss(FocalMulticlass{options.gamma}, logits, target,
                    {.weight = options.alpha,
                     .weight_name = "alpha",
                     .ignore_index = options.ignore_index,
                     .reduction = options.reduction});
}

Tensor multiclass_hinge_cs(const Tensor& input, const Tensor& target,
                           const MulticlassHingeOptions& options) {
  check_scores(MulticlassHinge::op, input, target);
  require<ShapeError>(class_count(input.sizes()) > 1,
                      "multiclass_hinge_cs: the input is {}; it needs two classes or more",
                      input.sizes());
  require_finite(MulticlassHinge::op, "margin", options.margin);
  return class_loss(MulticlassHinge{options.margin, options.squared}, input, target,
                    {.reduction = options.reduction});
}

Tensor multi_margin_loss(const Tensor& input, const Tensor& target,
                         const MultiMarginLossOptions& options) {
  require_option(MultiMargin::op, "p", static_cast<double>(options.p),
                 options.p == 1 || options.p == 2, "1 or 2");
  require_finite(MultiMargin::op, "margin", options.margin);
  return class_loss(MultiMargin{options.margin, options.p == 2}, input, target,
                    {.weight = options.weight, .reduction = options.reduction});
}

}  // namespace retrace::losses
