#include <retrace/autograd/composite.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/autograd/ops/softmax.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/elementwise.h>
#include <retrace/losses/named.h>
#include <retrace/losses/policy_gradient.h>
#include <retrace/losses/relative_entropy.h>
#include <retrace/losses/token_mask.h>

#include <cmath>
#include <limits>

namespace retrace::losses {
namespace {

// The clipped surrogate of a log-ratio d and an advantage a: -min(min(ρ, cap) a, clip(ρ) a).
struct Surrogate {
  double low, high;
  double cap = std::numeric_limits<double>::infinity();

  template <class T>
  [[gnu::always_inline]] T value(T d, T a) const {
    return -math::min(unclipped(d, a), clipped(d, a));
  }
  /// By d. Of equal terms the unclipped one counts; a ratio of NaN is not hidden.
  template <class T>
  T slope(T d, T a) const {
    const T ratio = math::exp(d);
    const bool stopped = math::select(clipped(d, a) < unclipped(d, a),
                                      ratio < T(low) || ratio > T(high), ratio > T(cap));
    return math::select(stopped, T(0), -weighted(a, ratio));
  }

 private:
  // An advantage of 0 is worth nothing even where the ratio overflows.
  template <class T>
  static T weighted(T a, T ratio) {
    return math::select(a == T(0), T(0), a * ratio);
  }
  template <class T>
  T unclipped(T d, T a) const {
    return weighted(a, math::min(math::exp(d), T(cap)));
  }
  template <class T>
  T clipped(T d, T a) const {
    return a * math::min(math::max(math::exp(d), T(low)), T(high));
  }
};

Surrogate surrogate(std::string_view op, double below, double above, std::string_view low_name,
                    std::string_view high_name) {
  require_at_least_zero(op, low_name, below);
  require_at_least_zero(op, high_name, above);
  return {1 - below, 1 + above};
}

// PPO ---------------------------------------------------------------------------------------------

struct PolicyRule {
  static constexpr std::string_view op = "ppo_policy_loss",
                                    formula =
                                        "y = mean max(-A ρ, -A clip(ρ, 1 - ε, 1 + ε)), ρ = "
                                        "exp(new - old)",
                                    gradient =
                                        "dnew = -g A ρ / n, 0 where the clipped term is "
                                        "larger";
  static constexpr std::string_view inputs[] = {"new_logps", "old_logps", "advantages", "mask"};
  static constexpr std::size_t constants = 3;
  Surrogate of;
  template <class T>
  T y(T now, T old, T a, T keep) const {
    return math::select(keep != T(0), of.value(now - old, a), T(0));
  }
  template <class T>
  T dy_da(T now, T old, T a, T keep) const {
    return math::select(keep != T(0), of.slope(now - old, a), T(0));
  }
};

struct ValueRule {
  static constexpr std::string_view op = "ppo_value_loss",
                                    formula = "y = ½ mean max((v - R)², (clip(v, old ± ε) - R)²)",
                                    gradient =
                                        "dv = g (v - R) / n, 0 where the clipped term is "
                                        "larger";
  static constexpr std::string_view inputs[] = {"values", "old_values", "returns", "mask"};
  static constexpr std::size_t constants = 3;
  double clip;
  template <class T>
  T clipped_error(T v, T old, T target) const {
    return math::min(math::max(v, old - T(clip)), old + T(clip)) - target;
  }
  template <class T>
  T y(T v, T old, T target, T keep) const {
    const T d = v - target, c = clipped_error(v, old, target);
    return math::select(keep != T(0), T(0.5) * math::max(d * d, c * c), T(0));
  }
  template <class T>
  T dy_da(T v, T old, T target, T keep) const {
    const T d = v - target, c = clipped_error(v, old, target);
    return math::select(keep == T(0) || c * c > d * d, T(0), d);
  }
};

PolicyRule policy_rule(std::string_view op, double clip) {
  return {surrogate(op, clip, clip, "clip", "clip")};
}

ValueRule value_rule(std::string_view op, double clip, std::string_view name) {
  require_at_least_zero(op, name, clip);
  return {clip};
}

Reducing mean_of(const Tensor& kept) { return {Reduction::mean, divisor_of(kept)}; }

struct PpoTexts {
  static constexpr std::string_view
      op = "ppo_loss",
      formula = "y = policy loss + cv · value loss - ce · mean entropy",
      gradient =
          "dnew = g · that of the policy loss, dv = g cv · that of the value loss, dlogits "
          "= g ce p (log p + H) / n";
  static constexpr std::string_view inputs[] = {"new_logps",  "values",     "old_logps",
                                                "advantages", "old_values", "returns"};
};

// Of softmax(logits) in each place that is kept, 0 elsewhere. The bound keeps 0 · log 0 at 0.
Tensor entropies(const Tensor& logits, const Tensor& kept) {
  const Tensor padded = eq(kept, 0);
  const Tensor log_p = log_softmax(masked_fill(logits, padded.unsqueeze(-1), 0), -1);
  return masked_fill(-(log_p.exp() * log_p.clamp(-1e30)).sum(-1), padded, 0);
}

void require_logits(const Tensor& logits, const Tensor& like) {
  require_defined("ppo_loss", {&logits});
  require_same_dtype("ppo_loss", like, logits);
  Shape sizes = like.sizes();
  sizes.push_back(logits.dim() > 0 ? logits.size(-1) : 1);
  require<ShapeError>(logits.sizes() == sizes,
                      "ppo_loss: new_logps is {}, logits {}; they must have the same sizes and one "
                      "dim of classes more",
                      like.sizes(), logits.sizes());
}

// Groups ------------------------------------------------------------------------------------------

// One token; d is its log-ratio, which another's may be, w its weight in the sum.
struct GrpoRule {
  static constexpr std::string_view op = "grpo_loss";
  static constexpr std::string_view formula =
      "y = Σ w (-min(ρ A, clip(ρ, 1 - εl, 1 + εh) A) + β (exp(r - new) - 1 + new - r)), ρ = "
      "exp(new "
      "- old)";
  static constexpr std::string_view gradient =
      "dnew = g w (-A ρ + β (1 - exp(r - new))), without the first term where ρ is clipped away";
  static constexpr std::string_view inputs[] = {"new_logps", "old_logps", "advantages",
                                                "reference_logps", "mask"};
  static constexpr std::size_t constants = 3;
  Surrogate of;
  double beta;

  template <class T>
  T y(T now, T d, T a, T reference, T w) const {
    return math::select(w != T(0), w * (of.value(d, a) + penalty(now - reference)), T(0));
  }
  template <class T>
  T dy_da(T now, T, T, T reference, T w) const {
    return math::select(w != T(0), w * penalty_slope(now - reference), T(0));
  }
  template <class T>
  T dy_db(T, T d, T a, T, T w) const {
    return math::select(w != T(0), w * of.slope(d, a), T(0));
  }

 protected:
  template <class T>
  [[gnu::always_inline]] T penalty(T delta) const {
    return T(beta) * exp_remainder(-delta);
  }
  template <class T>
  T penalty_slope(T delta) const {
    return T(-beta) * math::expm1(-delta);
  }
};

struct CispoRule : GrpoRule {
  static constexpr std::string_view formula =
      "y = Σ w (-min(ρ, εh) A · new + β (exp(r - new) - 1 + new - r)), ρ = exp(new - old) constant";
  static constexpr std::string_view gradient = "dnew = g w (-min(ρ, εh) A + β (1 - exp(r - new)))";
  template <class T>
  T y(T now, T d, T a, T reference, T w) const {
    const T token = penalty(now - reference) - factor(d, a) * now;
    return math::select(w != T(0), w * token, T(0));
  }
  template <class T>
  T dy_da(T now, T d, T a, T reference, T w) const {
    return math::select(w != T(0), w * (penalty_slope(now - reference) - factor(d, a)), T(0));
  }
  template <class T>
  T dy_db(T, T, T, T, T) const {
    return T(0);
  }

 private:
  template <class T>
  T factor(T d, T a) const {
    return math::min(math::exp(d), T(of.high - 1)) * a;
  }
};

struct OfReference {
  static constexpr std::string_view op = GrpoRule::op;
  static constexpr std::string_view inputs[] = {"new_logps", "reference_logps"};
};

// What the tokens' weights are divided by: one number, or one a sequence [B, 1].
Tensor by_sequence(const Tensor& kept, const GrpoOptions&) {
  return kept.sum(-1, true).clamp(1) * kept.size(0);
}
Tensor by_batch(const Tensor& kept, const GrpoOptions&) { return kept.sum().clamp(1); }
Tensor by_whole_batch(const Tensor& kept, const GrpoOptions& options) {
  return options.num_tokens ? full_unchecked({}, *options.num_tokens, kept.dtype())
                            : by_batch(kept, options);
}
Tensor by_longest(const Tensor& kept, const GrpoOptions& options) {
  return full({}, kept.size(0) * *options.max_len, kept.dtype());
}

template <class Rule>
Tensor grpo_of(const Surrogate& of, const GrpoOptions& options, const Tensor& now,
               const Tensor& old, const Tensor& a, const Tensor& reference, const Tensor& weight) {
  Rule rule;
  rule.of = of;
  rule.beta = options.beta;
  return composite<Rule>(
      [rule, level = options.level](const Tensor& logps, const Tensor& before, const Tensor& worth,
                                    const Tensor& fixed, const Tensor& w) {
        Tensor d = logps - before;
        if (level == RatioLevel::sequence) {
          const Tensor kept = ne(w, 0);
          const Tensor length = kept.sum(-1, true).to(d.dtype()).clamp(1);
          d = (where(kept, d, 0).sum(-1, true) / length).expand(logps.sizes());
        }
        const Tensor from = fixed.defined() ? fixed : logps.detach();
        return reduced(rule, Reduction::sum, logps, d, worth, from, w);
      },
      now, old, a, reference, weight);
}

struct GrpoType {
  GrpoLossType value;
  std::string_view name;
  decltype(&grpo_of<GrpoRule>) loss;
  Tensor (*divisor)(const Tensor& kept, const GrpoOptions& options);
};

constexpr GrpoType kGrpoTypes[] = {
    {GrpoLossType::grpo, "grpo", grpo_of<GrpoRule>, by_sequence},
    {GrpoLossType::bnpo, "bnpo", grpo_of<GrpoRule>, by_batch},
    {GrpoLossType::dapo, "dapo", grpo_of<GrpoRule>, by_whole_batch},
    {GrpoLossType::dr_grpo, "dr_grpo", grpo_of<GrpoRule>, by_longest},
    {GrpoLossType::cispo, "cispo", grpo_of<CispoRule>, by_whole_batch},
};

struct NamedLevel {
  RatioLevel value;
  std::string_view name;
};
constexpr NamedLevel kLevels[] = {{RatioLevel::token, "token"}, {RatioLevel::sequence, "sequence"}};

struct RlooRule {
  static constexpr std::string_view op = "rloo_loss",
                                    formula =
                                        "y = -mean min(ρ A, clip(ρ, 1 - εl, 1 + εh) A), ρ = "
                                        "exp(new - old)",
                                    gradient =
                                        "dnew = -g A ρ / n, 0 where the clipped term is "
                                        "smaller";
  static constexpr std::string_view inputs[] = {"new_logps", "old_logps", "advantages"};
  static constexpr std::size_t constants = 2;
  Surrogate of;
  template <class T>
  T y(T now, T old, T a) const {
    return of.value(now - old, a);
  }
  template <class T>
  T dy_da(T now, T old, T a) const {
    return of.slope(now - old, a);
  }
};

}  // namespace

Tensor ppo_policy_loss(const Tensor& new_logps, const Tensor& old_logps, const Tensor& advantages,
                       const Tensor& mask, const PpoPolicyOptions& options) {
  const PolicyRule rule = policy_rule(PolicyRule::op, options.clip);
  require_alike<PolicyRule>(new_logps, old_logps, advantages);
  const Tensor kept = kept_tokens(PolicyRule::op, new_logps, mask);
  return reduced(rule, mean_of(kept), new_logps, old_logps, advantages, kept);
}

Tensor ppo_value_loss(const Tensor& values, const Tensor& old_values, const Tensor& returns,
                      const Tensor& mask, const PpoValueOptions& options) {
  const ValueRule rule = value_rule(ValueRule::op, options.clip, "clip");
  require_alike<ValueRule>(values, old_values, returns);
  const Tensor kept = kept_tokens(ValueRule::op, values, mask);
  return reduced(rule, mean_of(kept), values, old_values, returns, kept);
}

Tensor ppo_loss(const Tensor& new_logps, const Tensor& values, const Tensor& logits,
                const PpoBatch& batch, const PpoOptions& options) {
  const PolicyRule policy = policy_rule("ppo_loss", options.clip);
  const ValueRule value = value_rule("ppo_loss", options.clip_value, "clip_value");
  require_at_least_zero("ppo_loss", "value_coef", options.value_coef);
  require_at_least_zero("ppo_loss", "entropy_coef", options.entropy_coef);
  require_alike<PpoTexts>(new_logps, values, batch.old_logps, batch.advantages, batch.old_values,
                          batch.returns);
  if (options.entropy_coef > 0) require_logits(logits, new_logps);
  const Tensor kept = kept_tokens("ppo_loss", new_logps, batch.mask);
  return composite<PpoTexts>(
      [policy, value, options, mean = mean_of(kept)](
          const Tensor& logps, const Tensor& v, const Tensor& z, const Tensor& old_logps,
          const Tensor& advantages, const Tensor& old_values, const Tensor& returns,
          const Tensor& keep) {
        const Tensor loss = reduced(policy, mean, logps, old_logps, advantages, keep) +
                            options.value_coef * reduced(value, mean, v, old_values, returns, keep);
        if (options.entropy_coef == 0) return loss;
        return loss - options.entropy_coef / mean.divisor * entropies(z, keep).sum();
      },
      new_logps, values, logits, batch.old_logps.detach(), batch.advantages.detach(),
      batch.old_values.detach(), batch.returns.detach(), kept);
}

GrpoLossType grpo_loss_type_from_string(std::string_view text) {
  return value_named("grpo_loss", "loss_type", kGrpoTypes, text);
}

RatioLevel ratio_level_from_string(std::string_view text) {
  return value_named("grpo_loss", "level", kLevels, text);
}

Tensor grpo_loss(const Tensor& new_logps, const Tensor& old_logps, const Tensor& advantages,
                 const Tensor& mask, const Tensor& reference_logps, const GrpoOptions& options) {
  constexpr std::string_view op = GrpoRule::op;
  const GrpoType& type = entry_of(kGrpoTypes, options.loss_type);
  Surrogate of = surrogate(op, options.eps_low, options.eps_high, "eps_low", "eps_high");
  require_at_least_zero(op, "beta", options.beta);
  if (options.delta) {
    require_above_zero(op, "delta", *options.delta);
    of.cap = *options.delta;
  }
  if (options.loss_type == GrpoLossType::dr_grpo)
    require<ValueError>(options.max_len.value_or(0) > 0,
                        "{}: loss_type 'dr_grpo' divides by max_len, which is {}; give the longest "
                        "length that a response may have",
                        op, options.max_len.value_or(0));
  if (options.num_tokens) require_above_zero(op, "num_tokens", *options.num_tokens);
  require_alike<GrpoRule>(new_logps, old_logps);
  if (options.beta > 0) require_alike<OfReference>(new_logps, reference_logps);
  require_defined(op, {&advantages});
  require_same_dtype(op, new_logps, advantages);
  require<ShapeError>(
      new_logps.dim() == 2 && advantages.dim() == 1 && advantages.size(0) == new_logps.size(0),
      "{}: new_logps is {}, advantages {}; they must be [B, T] and [B]", op, new_logps.sizes(),
      advantages.sizes());
  const Tensor kept = kept_tokens(op, new_logps, mask);
  const Tensor weight = without_recording([&] { return kept / type.divisor(kept, options); });
  return type.loss(of, options, new_logps, old_logps.detach(),
                   advantages.detach().unsqueeze(1).expand(new_logps.sizes()),
                   options.beta > 0 ? reference_logps.detach() : Tensor(), weight);
}

Tensor rloo_loss(const Tensor& new_logps, const Tensor& old_logps, const Tensor& advantages,
                 const RlooOptions& options) {
  RlooRule rule = {
      surrogate(RlooRule::op, options.clip_low, options.clip_high, "clip_low", "clip_high")};
  return reduced(rule, Reduction::mean, new_logps, old_logps, advantages);
}

}  // namespace retrace::losses
