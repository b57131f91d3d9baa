#include <retrace/autograd/composite.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/autograd/ops/softmax.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/class_targets.h>
#include <retrace/losses/classification.h>
#include <retrace/losses/cross_entropy_rows.h>
#include <retrace/losses/named.h>

#include <array>

namespace retrace::losses {
namespace {

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

struct CrossEntropyTexts {
  static constexpr std::string_view op = "cross_entropy",
                                    formula = "L = -Σ w · q · log p, p = softmax(z), reduced",
                                    gradient = "dz = g · (p · Σ w q - w q) / n";
};
struct LabelSmoothingTexts {
  static constexpr std::string_view
      op = "label_smoothing_ce",
      formula = "L = -Σ q · log p, p = softmax(z), q the smoothed target, reduced",
      gradient = "dz = g · (p - q) / n";
};

template <class Texts>
struct CrossEntropyNode final : NodeOf<CrossEntropyNode<Texts>> {
  static constexpr std::string_view op = Texts::op, formula = Texts::formula,
                                    gradient = Texts::gradient;
  CrossEntropyNode(const Shape& sizes, std::int64_t ignore, double smoothing, const Reducing& how)
      : logits_sizes(sizes), ignore_index(ignore), label_smoothing(smoothing), reducing(how) {}

  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor logits = bounded_input(*this, 0);
    const Call call{class_rows(logits),
                    this->saved_extra(0),
                    has_weight ? this->saved_extra(2) : Tensor(),
                    class_count(logits_sizes),
                    ignore_index,
                    label_smoothing};
    if (GradMode::is_enabled()) {
      return recorded_backward(std::array{logits}, {g}, gradients,
                               [&] { return by_ops(logits, call); });
    }
    const Tensor facts = this->saved_extra(1);
    const Tensor dlogits = empty(call.logits.sizes(), g.dtype());
    visit_float(g.dtype(), op, [&]<class T>() {
      call.rows<T>().backward(RowUpstream<T>(g, reducing), elements<const RowFacts<T>>(facts),
                              elements<T>(dlogits));
    });
    gradients.give(0, from_class_rows(dlogits, logits_sizes));
  }

  Tensor by_ops(const Tensor& logits, const Call& call) const {
    const Tensor shares = empty(call.logits.sizes(), logits.dtype());
    visit_float(shares.dtype(), op, [&]<class T>() { call.rows<T>().shares(elements<T>(shares)); });
    Tensor rows = recorded_class_rows(logits);
    if (call.target.dtype() == kInt64)  // what an ignored row holds has no effect, be it NaN
      rows = masked_fill(rows, (call.target == ignore_index).reshape({rows.size(0), 1}), 0);
    const Tensor losses = -(shares.view(rows.sizes()) * log_softmax(rows, 1)).sum(1);
    return recorded_reduction(losses, sizes_without_classes(logits_sizes), reducing);
  }

  Shape logits_sizes;
  std::int64_t ignore_index;
  double label_smoothing;
  Reducing reducing;
  bool has_weight = false;
};

bool are_probabilities(const Tensor& logits, const Tensor& target) {
  return target.is_floating_point() && target.sizes() == logits.sizes();
}

// Gives what a mean divides by.
double check(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options) {
  constexpr std::string_view op = CrossEntropyTexts::op;
  check_scores(op, logits, target);
  refuse_batchmean(op, options.reduction);
  require_share(op, "label_smoothing", options.label_smoothing);
  if (!are_probabilities(logits, target)) {
    require<DTypeError>(
        target.dtype() == kInt64,
        "cross_entropy: targets are {} {} for logits {}; they must be class indices, int64 {}, or "
        "probabilities of the logits' shape: convert with .to(kInt64)",
        target.dtype(), target.sizes(), logits.sizes(), sizes_without_classes(logits.sizes()));
    return check_classes(op, logits, target, options.weight, options.ignore_index);
  }
  require_same_dtype(op, logits, target);
  check_class_weight(op, "weight", logits, options.weight);
  require<ValueError>(options.ignore_index < 0,
                      "cross_entropy: ignore_index is {} with probabilities {} as targets; it "
                      "needs class targets, int64",
                      options.ignore_index, target.sizes());
  const std::int64_t rows = logits.numel() / class_count(logits.sizes());
  return static_cast<double>(rows);
}

// Of arguments that were checked.
template <class Texts>
Tensor loss_of(const Tensor& logits, const Tensor& target, const Tensor& weight,
               std::int64_t ignore_index, double label_smoothing, const Reducing& reducing) {
  const Call call{class_rows(logits),
                  target.dtype() == kInt64 ? as_contiguous(target) : class_rows(target),
                  weight.defined() ? as_contiguous(weight) : Tensor(),
                  class_count(logits.sizes()),
                  ignore_index,
                  label_smoothing};
  const Tensor losses = empty(sizes_without_classes(logits.sizes()), logits.dtype());
  const Tensor facts = empty({losses.numel(), 3}, logits.dtype());
  visit_float(logits.dtype(), Texts::op, [&]<class T>() {
    call.rows<T>().forward(elements<T>(losses), elements<RowFacts<T>>(facts));
  });
  return record<CrossEntropyNode<Texts>>(
      reduce_rows(losses, reducing), {&logits},
      [&](auto& node) {
        node.save_input(0, logits);
        node.save_extra(call.target);
        node.save_extra(facts);
        node.has_weight = weight.defined();
        if (weight.defined()) node.save_extra(call.weight);
      },
      logits.sizes(), ignore_index, label_smoothing, reducing);
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& target,
                     const CrossEntropyOptions& options) {
  const double divisor = check(logits, target, options);
  return loss_of<CrossEntropyTexts>(logits, target, options.weight, options.ignore_index,
                                    options.label_smoothing, {options.reduction, divisor});
}

Tensor label_smoothing_ce(const Tensor& logits, const Tensor& target,
                          const LabelSmoothingOptions& options) {
  constexpr std::string_view op = LabelSmoothingTexts::op;
  check_scores(op, logits, target);
  refuse_batchmean(op, options.reduction);
  require_share(op, "epsilon", options.epsilon);
  const double divisor = check_classes(op, logits, target, {}, options.ignore_index);
  double spread = options.epsilon;  // over all classes alike
  if (options.scheme == Smoothing::others) {
    const double classes = static_cast<double>(class_count(logits.sizes()));
    require<ShapeError>(classes > 1,
                        "label_smoothing_ce: logits are {}; the scheme `others` needs two classes "
                        "or more",
                        logits.sizes());
    spread *= classes / (classes - 1);
  }
  return loss_of<LabelSmoothingTexts>(logits, target, {}, options.ignore_index, spread,
                                      {options.reduction, divisor});
}

Smoothing smoothing_from_string(std::string_view text) {
  struct Scheme {
    Smoothing value;
    std::string_view name;
  };
  constexpr Scheme kSchemes[] = {{Smoothing::uniform, "uniform"}, {Smoothing::others, "others"}};
  return value_named(LabelSmoothingTexts::op, "scheme", kSchemes, text);
}

}  // namespace retrace::losses
