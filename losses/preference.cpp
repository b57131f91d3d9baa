#include <retrace/autograd/composite.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/elementwise.h>
#include <retrace/losses/preference.h>
#include <retrace/losses/preference_rules.h>

#include <numbers>

namespace retrace::losses {
namespace {

// One number that comes with the responses: kl, nll.
void require_number(std::string_view op, const Tensor& like, const Tensor& x, std::string_view name,
                    std::string_view reduced = "mean()") {
  require_defined(op, {&like, &x});
  require_same_dtype(op, like, x);
  require<ShapeError>(x.dim() == 0, "{}: {} is {}; it must be one number, 0-d: take its {}", op,
                      name, x.sizes(), reduced);
}

// The negative log-likelihood of the chosen responses: of all, or of each where nothing is reduced.
void require_nll(std::string_view op, const Tensor& chosen, const Tensor& nll,
                 Reduction reduction) {
  if (reduction == Reduction::sum) return require_number(op, chosen, nll, "nll", "sum()");
  if (reduction == Reduction::mean) return require_number(op, chosen, nll, "nll");
  require_defined(op, {&chosen, &nll});
  require_same_dtype(op, chosen, nll);
  require<ShapeError>(nll.sizes() == chosen.sizes(),
                      "{}: nll is {}, chosen {}; without a reduction give one number a pair", op,
                      nll.sizes(), chosen.sizes());
}

struct OfPairs {
  static constexpr std::string_view inputs[] = {"chosen", "rejected", "margin"};
};

struct RewardRule : OfPairs {
  static constexpr std::string_view op = "reward_loss",
                                    formula = "y = -log σ(w - l - m) + κ (w + l)², reduced",
                                    gradient =
                                        "dw = g (2 κ (w + l) - σ(m - w + l)) / n, "
                                        "dl = g (2 κ (w + l) + σ(m - w + l)) / n";
  static constexpr std::size_t constants = 1;
  double centring;
  template <class T>
  T y(T w, T l, T m) const {
    return T(centring) * (w + l) * (w + l) - log_sigmoid(w - l - m);
  }
};

// Good and bad responses.
struct KtoRule {
  static constexpr std::string_view op = "kto_loss",
                                    formula =
                                        "y = wD σ(-x) if label else wU σ(x), x = β (π - r - "
                                        "z)",
                                    gradient = "dπ = g β σ(x) σ(-x) · (-wD if label else wU)";
  static constexpr std::string_view inputs[] = {"policy", "reference", "label", "kl"};
  static constexpr std::size_t constants = 3;
  double beta, desirable, undesirable;
  template <class T>
  T y(T policy, T reference, T label, T kl) const {
    const T x = T(beta) * (policy - reference - kl);
    return math::select(label != T(0), T(desirable) * math::sigmoid(-x),
                        T(undesirable) * math::sigmoid(x));
  }
};

struct OfKl {
  static constexpr std::string_view op = "kto_kl";
  static constexpr std::string_view inputs[] = {"policy", "reference"};
};

// 1 and 0 in the dtype of the rest.
Tensor good_ones(const Tensor& label, const Tensor& like) {
  require<DTypeError>(!label.is_floating_point() || label.dtype() == like.dtype(),
                      "kto_loss: label is {} {}, the log-probabilities {} {}; convert it with "
                      ".to(kBool)",
                      label.dtype(), label.sizes(), like.dtype(), like.sizes());
  const Tensor good = label.detach().to(like.dtype());
  require_each(
      "kto_loss", "label", good, [](auto value) { return value == 0 || value == 1; },
      "1 for a good response, 0 for a bad one");
  return good;
}

// Log of the odds ---------------------------------------------------------------------------------

template <class T>
T below_zero(T a) {
  return math::select(a > T(-1e-12), T(-1e-12), a);
}

/// log(p / (1 - p)) of p = exp(a), a < 0; the branch keeps the digits of 1 - p.
template <class T>
T logit_of_log(T a) {
  const T far = math::log1p(-math::exp(a)), near = math::log(-math::expm1(a));
  return a - math::select(a < T(-std::numbers::ln2), far, near);
}
template <class T>
T logit_slope(T a) {
  return T(-1) / math::expm1(a);
}

struct LogOdds : OfPairs {
  static constexpr std::string_view op = "orpo_loss", formula = "y = logit(exp w) - logit(exp l)",
                                    gradient = "dw = g / (1 - exp w), dl = -g / (1 - exp l)";
  template <class T>
  T y(T w, T l) const {
    return logit_of_log(below_zero(w)) - logit_of_log(below_zero(l));
  }
  template <class T>
  T dy_da(T w, T) const {
    return logit_slope(below_zero(w));
  }
  template <class T>
  T dy_db(T, T l) const {
    return -logit_slope(below_zero(l));
  }
};

struct OddsRatio : LogOdds {
  static constexpr std::string_view formula =
                                        "y = nll - β log σ(logit(exp w) - logit(exp l)), "
                                        "reduced",
                                    gradient =
                                        "dw = -g β σ(-r) / (1 - exp w) / n, dl = g β σ(-r) "
                                        "/ (1 - exp l) / n, r the log of the odds ratio, "
                                        "dnll = g";
  double beta;
  template <class T>
  T y(T w, T l) const {
    return T(-beta) * log_sigmoid(LogOdds::y(w, l));
  }
  template <class T>
  T dy_da(T w, T l) const {
    return T(-beta) * math::sigmoid(-LogOdds::y(w, l)) * LogOdds::dy_da(w, l);
  }
  template <class T>
  T dy_db(T w, T l) const {
    return T(-beta) * math::sigmoid(-LogOdds::y(w, l)) * LogOdds::dy_db(w, l);
  }
};

// Margins -----------------------------------------------------------------------------------------

struct SimpoRule : OfPairs {
  static constexpr std::string_view op = "simpo_loss",
                                    formula =
                                        "y = -(1 - ε) log σ(x) - ε log σ(-x), x = β (w - l) "
                                        "- γ, reduced",
                                    gradient = "dw = -g β ((1 - ε) σ(-x) - ε σ(x)) / n, dl = -dw";
  double beta, gamma, smoothing;
  template <class T>
  T y(T w, T l) const {
    return logistic_loss(T(beta) * (w - l) - T(gamma), smoothing);
  }
};

struct CpoRule : SimpoRule {
  static constexpr std::string_view op = "cpo_loss",
                                    formula =
                                        "y = -(1 - ε) log σ(x) - ε log σ(-x) + α nll, x = β "
                                        "(w - l), reduced",
                                    gradient =
                                        "dw = -g β ((1 - ε) σ(-x) - ε σ(x)) / n, dl = -dw, "
                                        "dnll = g α";
};

template <class Rule>
Rule margin_rule(double beta, double gamma, double smoothing) {
  require_above_zero(Rule::op, "beta", beta);
  require_share(Rule::op, "label_smoothing", smoothing);
  require_finite(Rule::op, "gamma", gamma);
  Rule rule;
  rule.beta = beta;
  rule.gamma = gamma;
  rule.smoothing = smoothing;
  return rule;
}

}  // namespace

Tensor reward_loss(const Tensor& chosen, const Tensor& rejected, const RewardLossOptions& options) {
  require_at_least_zero("reward_loss", "center_rewards_coefficient",
                        options.center_rewards_coefficient);
  require_defined("reward_loss", {&chosen, &rejected});
  RewardRule rule;
  rule.centring = options.center_rewards_coefficient;
  const Tensor margin = options.margin.defined() ? options.margin : zeros_like(chosen);
  return reduced(rule, options.reduction, chosen, rejected, margin);
}

KtoResult kto_loss(const Tensor& policy, const Tensor& reference, const Tensor& label,
                   const Tensor& kl, const KtoOptions& options) {
  require_above_zero("kto_loss", "beta", options.beta);
  require_at_least_zero("kto_loss", "desirable_weight", options.desirable_weight);
  require_at_least_zero("kto_loss", "undesirable_weight", options.undesirable_weight);
  require_defined("kto_loss", {&policy, &reference, &label, &kl});
  require_number("kto_loss", policy, kl, "kl");
  const Tensor good = good_ones(label, policy);
  KtoRule rule;
  rule.beta = options.beta;
  rule.desirable = options.desirable_weight;
  rule.undesirable = options.undesirable_weight;
  KtoResult result;
  result.losses =
      reduced(rule, Reduction::none, policy, reference, good, kl.detach().expand(policy.sizes()));
  result.loss = result.losses.mean();
  return result;
}

Tensor kto_kl(const Tensor& policy, const Tensor& reference) {
  require_alike<OfKl>(policy, reference);
  return without_recording([&] { return (policy - reference).mean().clamp(0); });
}

OrpoResult orpo_loss(const Tensor& chosen, const Tensor& rejected, const Tensor& nll,
                     const OrpoOptions& options) {
  require_above_zero("orpo_loss", "beta", options.beta);
  require_alike<LogOdds>(chosen, rejected);
  require_nll("orpo_loss", chosen, nll, options.reduction);
  OddsRatio rule;
  rule.beta = options.beta;
  OrpoResult result;
  result.log_odds = reduced(LogOdds(), Reduction::none, chosen, rejected);
  result.loss = composite<OddsRatio>(
      [rule, reduction = options.reduction](const Tensor& w, const Tensor& l,
                                            const Tensor& of_chosen) {
        return of_chosen + reduced(rule, reduction, w, l);
      },
      chosen, rejected, nll);
  return result;
}

Tensor simpo_loss(const Tensor& chosen, const Tensor& rejected, const SimpoOptions& options) {
  const auto rule = margin_rule<SimpoRule>(options.beta, options.gamma, options.label_smoothing);
  return reduced(rule, options.reduction, chosen, rejected);
}

Tensor cpo_loss(const Tensor& chosen, const Tensor& rejected, const Tensor& nll,
                const CpoOptions& options) {
  const auto rule = margin_rule<CpoRule>(options.beta, 0, options.label_smoothing);
  require_at_least_zero("cpo_loss", "nll_coef", options.nll_coef);
  require_alike<CpoRule>(chosen, rejected);
  require_nll("cpo_loss", chosen, nll, options.reduction);
  return composite<CpoRule>(
      [rule, options](const Tensor& w, const Tensor& l, const Tensor& of_chosen) {
        return reduced(rule, options.reduction, w, l) + options.nll_coef * of_chosen;
      },
      chosen, rejected, nll);
}

}  // namespace retrace::losses
