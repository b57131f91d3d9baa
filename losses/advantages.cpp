#include <retrace/autograd/composite.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/losses/advantages.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/elementwise.h>
#include <retrace/losses/named.h>
#include <retrace/losses/relative_entropy.h>
#include <retrace/losses/token_mask.h>

#include <cmath>

namespace retrace::losses {
namespace {

// KL ----------------------------------------------------------------------------------------------

struct KlRule {
  static constexpr std::string_view op = "kl_estimate";
  static constexpr std::string_view inputs[] = {"logps", "reference_logps"};
  static constexpr std::size_t constants = 1;
};

struct K1 : KlRule {
  static constexpr std::string_view formula = "y = δ, δ = log π - log r", gradient = "dπ = g";
  template <class T>
  T y(T p, T r) const {
    return p - r;
  }
};
struct K2 : KlRule {
  static constexpr std::string_view formula = "y = ½ δ², δ = log π - log r",
                                    gradient = "dlog π = g δ";
  template <class T>
  T y(T p, T r) const {
    return T(0.5) * (p - r) * (p - r);
  }
};
struct K3 : KlRule {
  static constexpr std::string_view formula = "y = exp(-δ) - 1 + δ, δ = log π - log r",
                                    gradient = "dlog π = g (1 - exp(-δ))";
  template <class T>
  T y(T p, T r) const {
    return exp_remainder(r - p);
  }
  template <class T>
  T dy_da(T p, T r) const {
    return -math::expm1(r - p);
  }
};

template <class Rule>
Tensor kl_of(const Tensor& logps, const Tensor& reference_logps) {
  return reduced(Rule(), Reduction::none, logps, reference_logps);
}

struct NamedEstimator {
  KlEstimator value;
  std::string_view name;
  Tensor (*estimate)(const Tensor& logps, const Tensor& reference_logps);
};
constexpr NamedEstimator kEstimators[] = {{KlEstimator::k1, "k1", kl_of<K1>},
                                          {KlEstimator::k2, "k2", kl_of<K2>},
                                          {KlEstimator::k3, "k3", kl_of<K3>}};

struct OfShaping {
  static constexpr std::string_view op = "kl_shaped_rewards";
  static constexpr std::string_view inputs[] = {"logps", "reference_logps"};
};

// Generalised advantages --------------------------------------------------------------------------

struct OfGae {
  static constexpr std::string_view op = "gae";
  static constexpr std::string_view inputs[] = {"rewards", "values"};
};

// One episode after the other, from its end. In double, whatever the dtype.
template <class T>
void advantages_of_row(std::int64_t steps, const T* reward, const T* value, const T* done,
                       double last_value, const GaeOptions& options, T* advantage, T* ret) {
  double next_value = last_value, next_advantage = 0;
  for (std::int64_t t = steps - 1; t >= 0; --t) {
    // Chosen, not multiplied by 0: what stands behind an end may be NaN.
    if (done[t] != T(0)) next_value = next_advantage = 0;
    const double v = static_cast<double>(value[t]);
    const double delta = static_cast<double>(reward[t]) + options.gamma * next_value - v;
    next_advantage = delta + options.gamma * options.lam * next_advantage;
    next_value = v;
    advantage[t] = static_cast<T>(next_advantage);
    ret[t] = static_cast<T>(next_advantage + v);
  }
}

// Whitening ---------------------------------------------------------------------------------------

struct WhitenTexts {
  static constexpr std::string_view op = "masked_whiten",
                                    formula = "y = (x - μ) / sqrt(s² + eps) where kept, else 0",
                                    gradient =
                                        "dx = (g - mean g - y Σ g y / (n - 1)) / sqrt(s² + "
                                        "eps) where kept, else 0";
};

// Groups ------------------------------------------------------------------------------------------

// Mean and unbiased deviation of n numbers; exact when all are equal.
struct Spread {
  double mean = 0, deviation = 0;
  template <class T>
  Spread(const T* x, std::int64_t n) {
    if (n == 0) return;
    const double first = static_cast<double>(x[0]), count = static_cast<double>(n);
    double sum = 0, squares = 0;
    for (std::int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) - first;
    mean = first + sum / count;
    for (std::int64_t i = 0; i < n; ++i) {
      const double d = static_cast<double>(x[i]) - mean;
      squares += d * d;
    }
    if (n > 1) deviation = std::sqrt(squares / (count - 1));
  }
};

// advantage(reward, spread of its group, spread of all) of each reward.
template <class F>
Tensor of_groups(std::string_view op, const Tensor& rewards, std::int64_t group, std::int64_t least,
                 F&& advantage) {
  require_defined(op, {&rewards});
  require<ValueError>(group >= least, "{}: the group is {}; it must be at least {}", op, group,
                      least);
  require<ShapeError>(rewards.dim() == 1 && rewards.size(0) % group == 0,
                      "{}: rewards is {}; it must be [B], B a multiple of the group, {}", op,
                      rewards.sizes(), group);
  return visit_float(rewards.dtype(), op, [&]<class T>() {
    const Tensor dense = as_contiguous(rewards);
    Tensor result = empty(rewards.sizes(), rewards.dtype());
    const T* r = elements<const T>(dense);
    T* a = elements<T>(result);
    const Spread batch(r, rewards.numel());
    for (std::int64_t begin = 0; begin < rewards.numel(); begin += group) {
      const Spread own(r + begin, group);
      for (std::int64_t i = begin; i < begin + group; ++i)
        a[i] = static_cast<T>(advantage(static_cast<double>(r[i]), own, batch));
    }
    return unrecorded(op, result, {&rewards});
  });
}

struct NamedScale {
  AdvantageScale value;
  std::string_view name;
};
constexpr NamedScale kScales[] = {{AdvantageScale::group, "group"},
                                  {AdvantageScale::batch, "batch"},
                                  {AdvantageScale::none, "none"}};

}  // namespace

KlEstimator kl_estimator_from_string(std::string_view text) {
  return value_named("kl_estimate", "estimator", kEstimators, text);
}

Tensor kl_estimate(const Tensor& logps, const Tensor& reference_logps, KlEstimator estimator) {
  return entry_of(kEstimators, estimator).estimate(logps, reference_logps);
}

Tensor kl_shaped_rewards(const Tensor& logps, const Tensor& reference_logps, const Tensor& scores,
                         const Tensor& last, const KlShapedRewardsOptions& options) {
  constexpr std::string_view op = OfShaping::op;
  require_finite(op, "kl_coef", options.kl_coef);
  require_alike<OfShaping>(logps, reference_logps);
  require_defined(op, {&scores, &last});
  require_same_dtype(op, logps, scores);
  require<DTypeError>(last.dtype() == kInt64, "{}: last is {} {}; convert it with .to(kInt64)", op,
                      last.dtype(), last.sizes());
  require<ShapeError>(
      logps.dim() == 2 && scores.sizes() == Shape{logps.size(0)} && last.sizes() == scores.sizes(),
      "{}: logps is {}, scores {}, last {}; they must be [B, T], [B] and [B]", op, logps.sizes(),
      scores.sizes(), last.sizes());
  const std::int64_t steps = logps.size(1);
  const auto places = last.to_vector<std::int64_t>();
  for (const std::int64_t place : places)
    require<IndexError>(place >= 0 && place < steps,
                        "{}: a last token is {}; responses have {} tokens, 0 the first", op, place,
                        steps);
  const NoGradGuard constant;
  Tensor rewards = -options.kl_coef * kl_estimate(logps, reference_logps, options.estimator);
  const Tensor score = as_contiguous(scores);
  visit_float(rewards.dtype(), op, [&]<class T>() {
    T* row = elements<T>(rewards);
    for (std::size_t i = 0; i < places.size(); ++i, row += steps)
      row[places[i]] += elements<const T>(score)[i];
  });
  return unrecorded(op, rewards, {&logps, &reference_logps, &scores, &last});
}

AdaptiveKL::AdaptiveKL(const AdaptiveKLOptions& options)
    : target_(options.target), horizon_(options.horizon), value_(options.init) {
  require_above_zero("AdaptiveKL", "init", options.init);
  require_above_zero("AdaptiveKL", "target", options.target);
  require_above_zero("AdaptiveKL", "horizon", options.horizon);
}

double AdaptiveKL::update(double kl, std::int64_t n_steps) {
  require_finite("AdaptiveKL", "kl", kl);
  require_at_least_zero("AdaptiveKL", "n_steps", static_cast<double>(n_steps));
  const double error = std::clamp(kl / target_ - 1, -0.2, 0.2);
  return value_ *= 1 + error * static_cast<double>(n_steps) / horizon_;
}

NamedTensors AdaptiveKL::state_dict() const { return {{"value", tensor(value_, kFloat64)}}; }

void AdaptiveKL::load_state_dict(const NamedTensors& state) {
  const double value = state.at("value").item<double>();
  require_above_zero("AdaptiveKL", "value", value);
  value_ = value;
}

GaeResult gae(const Tensor& rewards, const Tensor& values, const Tensor& last_value,
              const Tensor& dones, const GaeOptions& options) {
  constexpr std::string_view op = OfGae::op;
  require_share(op, "gamma", options.gamma);
  require_share(op, "lam", options.lam);
  require_alike<OfGae>(rewards, values);
  require<ShapeError>(rewards.dim() == 2, "{}: rewards is {}; it must be [B, T]", op,
                      rewards.sizes());
  const std::int64_t rows = rewards.size(0), steps = rewards.size(1);
  if (last_value.defined()) {
    require_same_dtype(op, rewards, last_value);
    require<ShapeError>(last_value.sizes() == Shape{rows},
                        "{}: rewards is {}, last_value {}; they must be [B, T] and [B]", op,
                        rewards.sizes(), last_value.sizes());
  }
  const Tensor done = dones.defined() ? as_contiguous(kept_tokens(op, rewards, dones))
                                      : zeros(rewards.sizes(), rewards.dtype());
  GaeResult result = {empty(rewards.sizes(), rewards.dtype()),
                      empty(rewards.sizes(), rewards.dtype())};
  if (rewards.numel() == 0) return result;  // of however many rows
  const Tensor reward = as_contiguous(rewards), value = as_contiguous(values);
  const auto after = last_value.defined() ? last_value.to_vector<double>()
                                          : std::vector<double>(static_cast<std::size_t>(rows));
  visit_float(rewards.dtype(), op, [&]<class T>() {
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t at = row * steps;
      advantages_of_row(steps, elements<const T>(reward) + at, elements<const T>(value) + at,
                        elements<const T>(done) + at, after[static_cast<std::size_t>(row)], options,
                        elements<T>(result.advantages) + at, elements<T>(result.returns) + at);
    }
  });
  for (const Tensor* each : {&result.advantages, &result.returns})
    unrecorded(op, *each, {&rewards, &values, &last_value, &dones});
  return result;
}

Tensor masked_whiten(const Tensor& values, const Tensor& mask, const MaskedWhitenOptions& options) {
  constexpr std::string_view op = WhitenTexts::op;
  require_at_least_zero(op, "eps", options.eps);
  require_alike<WhitenTexts>(values);
  const Tensor kept = kept_tokens(op, values, mask);
  const double n = kept.sum().item<double>();
  require<ValueError>(n >= 2,
                      "{}: {} of the values {} are kept; a variance needs two: whiten more of them",
                      op, n, values.sizes());
  return composite<WhitenTexts>(
      [options, n](const Tensor& x, const Tensor& keep) {
        const Tensor padded = eq(keep, 0);
        const auto mean_of = [&](const Tensor& v) { return masked_fill(v, padded, 0).sum() / n; };
        const Tensor mean = mean_of(x), near = x - mean;
        // Once more, since the mean itself was rounded.
        const Tensor d = masked_fill(near - mean_of(near), padded, 0);
        const Tensor y = d * rsqrt(d.square().sum() / (n - 1) + options.eps);
        return options.shift_mean ? y : y + keep * mean;
      },
      values, kept);
}

AdvantageScale advantage_scale_from_string(std::string_view text) {
  return value_named("group_advantages", "scale", kScales, text);
}

Tensor group_advantages(const Tensor& rewards, std::int64_t group,
                        const GroupAdvantagesOptions& options) {
  require_at_least_zero("group_advantages", "eps", options.eps);
  return of_groups("group_advantages", rewards, group, 1,
                   [&](double reward, const Spread& own, const Spread& batch) {
                     const double d = reward - own.mean;
                     if (options.scale == AdvantageScale::none || d == 0) return d;
                     const bool whole = options.scale == AdvantageScale::batch;
                     return d / ((whole ? batch : own).deviation + options.eps);
                   });
}

Tensor rloo_advantages(const Tensor& rewards, std::int64_t group) {
  const double others = static_cast<double>(group - 1), all = static_cast<double>(group);
  return of_groups("rloo_advantages", rewards, group, 2,
                   [&](double reward, const Spread& own, const Spread&) {
                     return all / others * (reward - own.mean);
                   });
}

}  // namespace retrace::losses
