#include <retrace/autograd/composite.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/elementwise.h>
#include <retrace/losses/named.h>
#include <retrace/losses/preference.h>
#include <retrace/losses/preference_rules.h>
#include <retrace/losses/relative_entropy.h>

namespace retrace::losses {
namespace {

// A loss type is a rule of c and l, the log-ratios of the chosen and the rejected response.
struct DpoRule {
  static constexpr std::string_view op = "dpo_loss";
  static constexpr bool per_token = false;  // c and l are divided by the responses' lengths first
  static constexpr std::string_view smoothings = "0, it has none";
  static bool takes(double smoothing) { return smoothing == 0; }

  double beta, smoothing, tau;
};

struct Sigmoid : DpoRule {
  static constexpr std::string_view formula = "y = -(1 - ε) log σ(x) - ε log σ(-x), x = β (c - l)",
                                    gradient = "dπw = -g β ((1 - ε) σ(-x) - ε σ(x)), dπl = -dπw",
                                    smoothings = "in [0, 1]";
  static bool takes(double smoothing) { return smoothing >= 0 && smoothing <= 1; }
  template <class T>
  T y(T c, T l) const {
    return logistic_loss(T(beta) * (c - l), smoothing);
  }
};

struct SigmoidNorm : Sigmoid {
  static constexpr std::string_view formula = "y = -log σ(x), x = β (c/nw - l/nl)",
                                    gradient = "dπw = -g β σ(-x) / nw, dπl = g β σ(-x) / nl",
                                    smoothings = DpoRule::smoothings;
  static constexpr bool per_token = true;
  static bool takes(double smoothing) { return DpoRule::takes(smoothing); }
};

struct Robust : DpoRule {
  static constexpr std::string_view
      formula = "y = (-(1 - ε) log σ(x) + ε log σ(-x)) / (1 - 2 ε), x = β (c - l)",
      gradient = "dπw = -g β ((1 - ε) σ(-x) + ε σ(x)) / (1 - 2 ε), dπl = -dπw",
      smoothings = "at least 0 and below 1/2";
  static bool takes(double smoothing) { return smoothing >= 0 && smoothing < 0.5; }
  template <class T>
  T y(T c, T l) const {
    const T x = T(beta) * (c - l);
    return (T(smoothing) * log_sigmoid(-x) - T(1 - smoothing) * log_sigmoid(x)) /
           T(1 - 2 * smoothing);
  }
};

struct Hinge : DpoRule {
  static constexpr std::string_view formula = "y = max(0, 1 - x), x = β (c - l)",
                                    gradient = "dπw = -g β [x < 1], dπl = -dπw";
  template <class T>
  T y(T c, T l) const {
    return math::max(T(0), T(1) - T(beta) * (c - l));
  }
  template <class T>
  T dy_da(T c, T l) const {
    return math::select(T(beta) * (c - l) < T(1), T(-beta), T(0));
  }
  template <class T>
  T dy_db(T c, T l) const {
    return -dy_da(c, l);
  }
};

struct Ipo : DpoRule {
  static constexpr std::string_view formula = "y = (h - 1 / (2 β))², h = c - l",
                                    gradient = "dπw = 2 g (h - 1 / (2 β)), dπl = -dπw";
  template <class T>
  T y(T c, T l) const {
    const T d = c - l - T(0.5 / beta);
    return d * d;
  }
};

struct IpoMean : Ipo {
  static constexpr std::string_view
      formula = "y = (h - 1 / (2 β))², h = c/nw - l/nl",
      gradient = "dπw = 2 g (h - 1 / (2 β)) / nw, dπl = -2 g (h - 1 / (2 β)) / nl";
  static constexpr bool per_token = true;
};

struct ExoPair : DpoRule {
  static constexpr std::string_view
      formula = "y = σ(x) (log σ(x) - log(1 - ε)) + σ(-x) (log σ(-x) - log ε), x = β (c - l)",
      gradient = "dπw = g β σ(x) σ(-x) (x - log(1 - ε) + log ε), dπl = -dπw",
      smoothings = "above 0 and below 1, 0.001 say";
  static bool takes(double smoothing) { return smoothing > 0 && smoothing < 1; }
  double best() const { return std::log1p(-smoothing) - std::log(smoothing); }
  // The divergence of (σ(x), σ(-x)) from (1 - ε, ε), of how far x is from where it is 0.
  template <class T>
  T y(T c, T l) const {
    const T x = T(beta) * (c - l), d = x - T(best()), p = math::sigmoid(x), q = math::sigmoid(-x);
    const T likely = T(1 - smoothing), unlikely = T(smoothing);
    return OverMixture<T>(p, likely, -d, unlikely).entropy(p, likely) +
           OverMixture<T>(q, unlikely, d, likely).entropy(q, unlikely);
  }
  template <class T>
  T dy_da(T c, T l) const {
    const T x = T(beta) * (c - l);
    return T(beta) * math::sigmoid(x) * math::sigmoid(-x) * (x - T(best()));
  }
  template <class T>
  T dy_db(T c, T l) const {
    return -dy_da(c, l);
  }
};

struct NcaPair : DpoRule {
  static constexpr std::string_view formula = "y = -log σ(β c) - ½ log σ(-β c) - ½ log σ(-β l)",
                                    gradient = "dπw = g β (½ σ(β c) - σ(-β c)), dπl = ½ g β σ(β l)";
  template <class T>
  T y(T c, T l) const {
    const T w = T(beta) * c;
    return -log_sigmoid(w) - T(0.5) * (log_sigmoid(-w) + log_sigmoid(T(-beta) * l));
  }
};

struct BcoPair : DpoRule {
  static constexpr std::string_view formula = "y = -log σ(β c) - log σ(-β l)",
                                    gradient = "dπw = -g β σ(-β c), dπl = g β σ(β l)";
  template <class T>
  T y(T c, T l) const {
    return -log_sigmoid(T(beta) * c) - log_sigmoid(T(-beta) * l);
  }
};

struct SppoHard : DpoRule {
  static constexpr std::string_view formula = "y = (c - 1 / (2 β))² + (l + 1 / (2 β))²",
                                    gradient =
                                        "dπw = 2 g (c - 1 / (2 β)), dπl = 2 g (l + 1 / (2 β))";
  template <class T>
  T y(T c, T l) const {
    const T half = T(0.5 / beta);
    return (c - half) * (c - half) + (l + half) * (l + half);
  }
};

struct ApoZero : DpoRule {
  static constexpr std::string_view formula = "y = σ(-β c) + σ(β l)",
                                    gradient =
                                        "dπw = -g β σ(β c) σ(-β c), dπl = g β σ(β l) σ(-β l)";
  template <class T>
  T y(T c, T l) const {
    return math::sigmoid(T(-beta) * c) + math::sigmoid(T(beta) * l);
  }
};

struct ApoDown : DpoRule {
  static constexpr std::string_view
      formula = "y = σ(β c) + σ(-x), x = β (c - l)",
      gradient = "dπw = g β (σ(β c) σ(-β c) - σ(x) σ(-x)), dπl = g β σ(x) σ(-x)";
  template <class T>
  T y(T c, T l) const {
    return math::sigmoid(T(beta) * c) + math::sigmoid(T(beta) * (l - c));
  }
};

struct Discopop : DpoRule {
  static constexpr std::string_view
      formula = "y = -log σ(x) σ(-x/τ) + exp(-x) σ(x/τ), x = β (c - l)",
      gradient =
          "dπw = g β (σ(x/τ) σ(-x/τ) (log σ(x) + exp(-x)) / τ - σ(-x) σ(-x/τ) - exp(-x) "
          "σ(x/τ)), dπl = -dπw";
  template <class T>
  T y(T c, T l) const {
    // exp(-x) overflows where σ(x/τ) is 0: their product is taken as a sum of logarithms.
    const T x = T(beta) * (c - l), scaled = x / T(tau);
    return math::exp(log_sigmoid(scaled) - x) - log_sigmoid(x) * math::sigmoid(-scaled);
  }
};

struct Pairs {
  Tensor chosen, rejected, reference_chosen, reference_rejected, chosen_lengths, rejected_lengths;
};

Tensor log_ratio(const Tensor& policy, const Tensor& reference) {
  return reference.defined() ? policy - reference : policy;
}

// The lengths of responses as divisors, undefined where they are not divided by.
Tensor divisors(const Tensor& lengths, const Tensor& like, std::string_view name) {
  require<ValueError>(lengths.defined(),
                      "dpo_loss: this loss_type is per token, and {} is undefined; give the number "
                      "of tokens of each response",
                      name);
  require<DTypeError>(lengths.dtype() == kInt64 || lengths.dtype() == like.dtype(),
                      "dpo_loss: {} is {} {}, the log-probabilities {} {}; convert it with "
                      ".to(kInt64)",
                      name, lengths.dtype(), lengths.sizes(), like.dtype(), like.sizes());
  require<ShapeError>(lengths.sizes() == like.sizes(),
                      "dpo_loss: {} is {}, the log-probabilities {}; give one length a response",
                      name, lengths.sizes(), like.sizes());
  return without_recording([&] { return lengths.to(like.dtype()).clamp(1); });
}

template <class Rule>
Tensor losses_of(std::string_view type, Pairs pairs, const DpoOptions& options) {
  require<ValueError>(Rule::takes(options.label_smoothing),
                      "dpo_loss: label_smoothing is {}; for loss_type '{}' it must be {}",
                      options.label_smoothing, type, Rule::smoothings);
  if constexpr (Rule::per_token) {
    pairs.chosen_lengths = divisors(pairs.chosen_lengths, pairs.chosen, "chosen_lengths");
    pairs.rejected_lengths = divisors(pairs.rejected_lengths, pairs.chosen, "rejected_lengths");
  } else {
    pairs.chosen_lengths = pairs.rejected_lengths = {};
  }
  Rule rule;
  rule.beta = options.beta;
  rule.smoothing = options.label_smoothing;
  rule.tau = options.discopop_tau;
  return composite<Rule>(
      [rule](const Tensor& w, const Tensor& l, const Tensor& reference_w, const Tensor& reference_l,
             const Tensor& length_w, const Tensor& length_l) {
        Tensor chosen = log_ratio(w, reference_w), rejected = log_ratio(l, reference_l);
        if (length_w.defined()) chosen = chosen / length_w, rejected = rejected / length_l;
        return binary(chosen, rejected, rule);
      },
      pairs.chosen, pairs.rejected, pairs.reference_chosen, pairs.reference_rejected,
      pairs.chosen_lengths, pairs.rejected_lengths);
}

struct DpoType {
  DpoLossType value;
  std::string_view name;
  Tensor (*losses)(std::string_view type, Pairs pairs, const DpoOptions& options);
};

constexpr DpoType kDpoTypes[] = {
    {DpoLossType::sigmoid, "sigmoid", losses_of<Sigmoid>},
    {DpoLossType::robust, "robust", losses_of<Robust>},
    {DpoLossType::hinge, "hinge", losses_of<Hinge>},
    {DpoLossType::ipo, "ipo", losses_of<Ipo>},
    {DpoLossType::ipo_mean, "ipo_mean", losses_of<IpoMean>},
    {DpoLossType::sigmoid_norm, "sigmoid_norm", losses_of<SigmoidNorm>},
    {DpoLossType::exo_pair, "exo_pair", losses_of<ExoPair>},
    {DpoLossType::nca_pair, "nca_pair", losses_of<NcaPair>},
    {DpoLossType::bco_pair, "bco_pair", losses_of<BcoPair>},
    {DpoLossType::sppo_hard, "sppo_hard", losses_of<SppoHard>},
    {DpoLossType::apo_zero, "apo_zero", losses_of<ApoZero>},
    {DpoLossType::apo_down, "apo_down", losses_of<ApoDown>},
    {DpoLossType::discopop, "discopop", losses_of<Discopop>},
};

// For the checks of shapes and dtypes.
struct OfPolicy {
  static constexpr std::string_view op = "dpo_loss";
  static constexpr std::string_view inputs[] = {"policy_chosen", "policy_rejected",
                                                "reference_chosen", "reference_rejected"};
};

}  // namespace

DpoLossType dpo_loss_type_from_string(std::string_view text) {
  return value_named("dpo_loss", "loss_type", kDpoTypes, text);
}

DpoResult dpo_loss(const Tensor& policy_chosen, const Tensor& policy_rejected,
                   const Tensor& reference_chosen, const Tensor& reference_rejected,
                   const DpoOptions& options) {
  require_above_zero("dpo_loss", "beta", options.beta);
  require_above_zero("dpo_loss", "discopop_tau", options.discopop_tau);
  Pairs pairs = {policy_chosen,          policy_rejected,         {}, {},
                 options.chosen_lengths, options.rejected_lengths};
  if (options.reference_free) {
    require_alike<OfPolicy>(policy_chosen, policy_rejected);
  } else {
    require_alike<OfPolicy>(policy_chosen, policy_rejected, reference_chosen, reference_rejected);
    pairs.reference_chosen = reference_chosen.detach();
    pairs.reference_rejected = reference_rejected.detach();
  }
  const DpoType& type = entry_of(kDpoTypes, options.loss_type);
  DpoResult result;
  result.losses = type.losses(type.name, pairs, options);
  result.loss = result.losses.mean();
  const NoGradGuard measuring;
  result.chosen_rewards = options.beta * log_ratio(pairs.chosen, pairs.reference_chosen);
  result.rejected_rewards = options.beta * log_ratio(pairs.rejected, pairs.reference_rejected);
  result.accuracy =
      gt(result.chosen_rewards, result.rejected_rewards).to(policy_chosen.dtype()).mean();
  result.margin = (result.chosen_rewards - result.rejected_rewards).mean();
  return result;
}

}  // namespace retrace::losses
