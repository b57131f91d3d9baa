#include <retrace/autograd/composite.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/losses/binary_classification.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/elementwise.h>

namespace retrace::losses {
namespace {

template <bool kWeighted>
struct Bce {
  static constexpr std::string_view op = "bce_loss",
                                    formula = "y = -w · (t · ln x + (1 - t) · ln(1 - x)), reduced",
                                    gradient = "dx = g · w · (x - t) / max(x · (1 - x), 1e-12) / n";
  static constexpr std::string_view inputs[] = {"input", "target", "weight"};
  static constexpr std::size_t constants = kWeighted ? 2 : 1;

  template <class T>
  T y(T x, T t, T weight = T(1)) const {
    const T of_one = math::max(math::log(x), T(-100));
    const T of_zero = math::max(math::log1p(-x), T(-100));
    return weight * -(t * of_one + (T(1) - t) * of_zero);
  }
  template <class T>
  T dy_da(T x, T t, T weight = T(1)) const {
    return weight * (x - t) / math::max(x * (T(1) - x), T(1e-12));
  }
};

template <bool kWeighted>
struct BceWithLogits {
  static constexpr std::string_view
      op = "bce_with_logits",
      formula = "y = w · (-p · t · ln σ(x) - (1 - t) · ln σ(-x)), p = pos_weight, reduced",
      gradient = "dx = g · w · ((1 - t) · σ(x) - p · t · σ(-x)) / n";
  static constexpr std::string_view inputs[] = {"input", "target", "weight", "pos_weight"};
  static constexpr std::size_t constants = kWeighted ? 3 : 1;

  template <class T>
  T y(T x, T t, T weight = T(1), T pos_weight = T(1)) const {
    const T both = math::log1p_exp(-math::abs(x));
    const T of_one = math::max(-x, T(0)) + both, of_zero = math::max(x, T(0)) + both;
    return weight * (pos_weight * t * of_one + (T(1) - t) * of_zero);
  }
  // As a difference of sigmoids, not σ(x) - t, which has lost its digits where it is small.
  template <class T>
  T dy_da(T x, T t, T weight = T(1), T pos_weight = T(1)) const {
    return weight * ((T(1) - t) * math::sigmoid(x) - pos_weight * t * math::sigmoid(-x));
  }
};

struct FocalBinary {
  static constexpr std::string_view
      op = "focal_loss_binary",
      formula = "y = α_t · (1 - p_t)^γ · bce, p = σ(x), p_t = p t + (1 - p) (1 - t), reduced",
      gradient =
          "dx = g · α_t · ((1 - p_t)^γ · (p - t) - γ · (1 - p_t)^(γ-1) · p (1 - p) (2t - 1) "
          "· bce) / n";
  static constexpr std::size_t constants = 1;
  double alpha, gamma;

  template <class T>
  T balance(T t) const {
    return alpha < 0 ? T(1) : T(alpha) * t + T(1 - alpha) * (T(1) - t);
  }
  template <class T>
  T y(T x, T t) const {
    const T missing = math::sigmoid(x) * (T(1) - t) + math::sigmoid(-x) * t;  // 1 - p_t
    return balance(t) * math::pow(missing, T(gamma)) * BceWithLogits<false>().y(x, t);
  }
  template <class T>
  T dy_da(T x, T t) const {
    const T p = math::sigmoid(x), q = math::sigmoid(-x), missing = p * (T(1) - t) + q * t;
    // The slope of ln(1 - p_t): p_t may have become 1, where what it is multiplied by is 0.
    const T slope = math::select(missing == T(0), T(0), p * q * (T(1) - T(2) * t) / missing);
    const BceWithLogits<false> bce;
    return balance(t) * math::pow(missing, T(gamma)) *
           (T(gamma) * slope * bce.y(x, t) + bce.dy_da(x, t));
  }
};

template <bool kSquared>
struct Hinge {
  static constexpr std::string_view op = "hinge_loss",
                                    formula = kSquared ? "y = max(0, m - t · x)², reduced"
                                                       : "y = max(0, m - t · x), reduced",
                                    gradient = kSquared ? "dx = -2 g · t · max(0, m - t x) / n"
                                                        : "dx = -g · t / n where t · x < m, else 0";
  static constexpr std::size_t constants = 1;
  double margin;

  template <class T>
  T y(T x, T t) const {
    const T missing = math::max(T(margin) - t * x, T(0));
    return kSquared ? missing * missing : missing;
  }
  template <class T>
  T dy_da(T x, T t) const {
    const T missing = T(margin) - t * x;
    const T slope = kSquared ? T(2) * missing : T(1);
    return math::select(missing > T(0), -t * slope, T(0));
  }
};

struct SoftMargin {
  static constexpr std::string_view op = "soft_margin_loss",
                                    formula = "y = ln(1 + exp(-t · x)), reduced",
                                    gradient = "dx = -g · t · σ(-t x) / n";
  static constexpr std::size_t constants = 1;
  template <class T>
  T y(T x, T t) const {
    return math::log1p_exp(-t * x);
  }
  template <class T>
  T dy_da(T x, T t) const {
    return -t * math::sigmoid(-t * x);
  }
};

struct HingeEmbedding {
  static constexpr std::string_view
      op = "hinge_embedding_loss",
      formula = "y = x where t = 1, max(0, m - x) where t = -1, reduced",
      gradient = "dx = g / n where t = 1, -g / n where t = -1 and x < m, else 0";
  static constexpr std::size_t constants = 1;
  double margin;

  template <class T>
  T y(T x, T t) const {
    return math::select(t > T(0), x, math::max(T(margin) - x, T(0)));
  }
  template <class T>
  T dy_da(T x, T t) const {
    const T apart = math::select(x < T(margin), T(-1), T(0));
    return math::select(t > T(0), T(1), apart);
  }
};

struct MultilabelSoftMargin : BceWithLogits<true> {
  static constexpr std::string_view op = "multilabel_soft_margin_loss",
                                    formula = "y = mean over labels of bce_with_logits, reduced",
                                    gradient = "dx = g · w · (σ(x) - t) / C / n";
  static constexpr std::size_t constants = 2;
  template <class T>
  T y(T x, T t, T weight) const {
    return BceWithLogits<true>::y(x, t, weight);
  }
  template <class T>
  T dy_da(T x, T t, T weight) const {
    return BceWithLogits<true>::dy_da(x, t, weight);
  }
};

struct MarginRanking {
  static constexpr std::string_view op = "margin_ranking_loss",
                                    formula = "y = max(0, m - t · (x₁ - x₂)), reduced",
                                    gradient = "dx₁ = -g · t / n where y > 0, else 0; dx₂ = -dx₁";
  static constexpr std::string_view inputs[] = {"input1", "input2", "target"};
  static constexpr std::size_t constants = 1;
  double margin;

  template <class T>
  T y(T x1, T x2, T t) const {
    return Hinge<false>{margin}.y(x1 - x2, t);
  }
  template <class T>
  T dy_da(T x1, T x2, T t) const {
    return Hinge<false>{margin}.dy_da(x1 - x2, t);
  }
  template <class T>
  T dy_db(T x1, T x2, T t) const {
    return -Hinge<false>{margin}.dy_da(x1 - x2, t);
  }
};

/// A weight in the input's shape; ones where none was given.
Tensor spread(std::string_view loss, std::string_view name, const Tensor& weight,
              const Tensor& input) {
  if (!weight.defined()) return ones({}, input.dtype()).expand(input.sizes());
  require<DTypeError>(weight.dtype() == input.dtype(),
                      "{}: {} is {} {}, the input {} {}; convert it with .to({})", loss, name,
                      weight.dtype(), weight.sizes(), input.dtype(), input.sizes(), input.dtype());
  require<ShapeError>(broadcast_shapes(loss, weight.sizes(), input.sizes()) == input.sizes(),
                      "{}: {} is {} for an input {}; it must broadcast to the input's shape", loss,
                      name, weight.sizes(), input.sizes());
  return weight.detach().expand(input.sizes());
}

// NaN goes on, to be seen in the loss.
void require_probabilities(std::string_view loss, const Tensor& target) {
  require_each(
      loss, "target", target, [](auto t) { return !(t < 0 || t > 1); },
      "in [0, 1]: turn labels y of -1 and 1 into (y + 1) / 2");
}

}  // namespace

Tensor bce_loss(const Tensor& input, const Tensor& target, const BceLossOptions& options) {
  constexpr std::string_view op = Bce<false>::op;
  require_alike<Bce<false>>(input, target);
  require_each(
      op, "input", input, [](auto p) { return p >= 0 && p <= 1; },
      "a probability in [0, 1]; for logits use bce_with_logits");
  require_probabilities(op, target);
  if (!options.weight.defined()) return reduced(Bce<false>(), options.reduction, input, target);
  return reduced(Bce<true>(), options.reduction, input, target,
                 spread(op, "weight", options.weight, input));
}

Tensor bce_with_logits(const Tensor& input, const Tensor& target,
                       const BceWithLogitsOptions& options) {
  using Plain = BceWithLogits<false>;
  require_alike<Plain>(input, target);
  require_probabilities(Plain::op, target);
  if (!options.weight.defined() && !options.pos_weight.defined())
    return reduced(Plain(), options.reduction, input, target);
  return reduced(BceWithLogits<true>(), options.reduction, input, target,
                 spread(Plain::op, "weight", options.weight, input),
                 spread(Plain::op, "pos_weight", options.pos_weight, input));
}

Tensor focal_loss_binary(const Tensor& input, const Tensor& target,
                         const FocalLossBinaryOptions& options) {
  require_at_least_zero(FocalBinary::op, "gamma", options.gamma);
  require_option(FocalBinary::op, "alpha", options.alpha, options.alpha <= 1,
                 "in [0, 1], or negative for no balance");
  require_alike<FocalBinary>(input, target);
  require_probabilities(FocalBinary::op, target);
  return reduced(FocalBinary{options.alpha, options.gamma}, options.reduction, input, target);
}

Tensor hinge_loss(const Tensor& input, const Tensor& target, const HingeLossOptions& options) {
  require_alike<Hinge<false>>(input, target);
  require_signs("hinge_loss", target);
  require_finite("hinge_loss", "margin", options.margin);
  if (options.squared)
    return reduced(Hinge<true>{options.margin}, options.reduction, input, target);
  return reduced(Hinge<false>{options.margin}, options.reduction, input, target);
}

Tensor soft_margin_loss(const Tensor& input, const Tensor& target,
                        const ReductionOptions& options) {
  require_alike<SoftMargin>(input, target);
  require_signs("soft_margin_loss", target);
  return reduced(SoftMargin(), options.reduction, input, target);
}

Tensor hinge_embedding_loss(const Tensor& input, const Tensor& target,
                            const HingeEmbeddingLossOptions& options) {
  require_alike<HingeEmbedding>(input, target);
  require_signs("hinge_embedding_loss", target);
  require_finite("hinge_embedding_loss", "margin", options.margin);
  return reduced(HingeEmbedding{options.margin}, options.reduction, input, target);
}

Tensor multilabel_soft_margin_loss(const Tensor& input, const Tensor& target,
                                   const MultilabelSoftMarginLossOptions& options) {
  using Rule = MultilabelSoftMargin;
  require_alike<Rule>(input, target);
  require<ShapeError>(input.dim() > 0 && input.size(-1) > 0,
                      "{}: the input is {}; its last dim must hold at least one label", Rule::op,
                      input.sizes());
  refuse_batchmean(Rule::op, options.reduction);
  require_probabilities(Rule::op, target);
  const Tensor weight = spread(Rule::op, "weight", options.weight, input);
  if (options.reduction == Reduction::none) {
    return composite<Rule>(
        [target = target.detach(), weight](const Tensor& x) {
          return reduced(Rule(), Reduction::none, x, target, weight).mean(-1);
        },
        input);
  }
  const std::int64_t labels = input.size(-1);
  const std::int64_t divisor = options.reduction == Reduction::mean ? input.numel() : labels;
  return reduced(Rule(), Reducing::over(Reduction::mean, divisor), input, target, weight);
}

Tensor margin_ranking_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                           const MarginRankingLossOptions& options) {
  require_alike<MarginRanking>(input1, input2, target);
  require_signs("margin_ranking_loss", target);
  require_finite("margin_ranking_loss", "margin", options.margin);
  return reduced(MarginRanking{options.margin}, options.reduction, input1, input2, target);
}

}  // namespace retrace::losses
