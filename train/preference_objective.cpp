#include <retrace/train/preference_objective.h>

#include <algorithm>

#include <fmt/ranges.h>

#include <retrace/autograd/autograd.h>
#include <retrace/losses/preference.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::train {
namespace {

// The mean over the tokens of each response.
Tensor of_token(const Tensor& sum, const Tensor& length) {
  return sum / length.to(sum.dtype()).clamp(1);
}

}  // namespace

const std::vector<std::string>& PreferenceObjective::names() {
  static const std::vector<std::string> all = {
      "sigmoid",   "ipo",      "hinge",    "robust", "exo_pair", "nca_pair", "bco_pair",
      "sppo_hard", "apo_zero", "apo_down", "kto",    "orpo",     "simpo",    "cpo"};
  return all;
}

PreferenceObjective::PreferenceObjective(const PreferenceOptions& options) : options_(options) {
  require<ValueError>(std::find(names().begin(), names().end(), options.loss) != names().end(),
                      "PreferenceObjective: there is no loss {}; there are {}", options.loss,
                      fmt::join(names(), ", "));
  // Refuses numbers before anything is trained.
  const Tensor none = zeros({1}), one = ones({1}, kInt64);
  losses({none, none, none, none, one, one, zeros({})});
}

bool PreferenceObjective::has_reference() const {
  const std::string& loss = options_.loss;
  return loss != "orpo" && loss != "simpo" && loss != "cpo";
}

Tensor PreferenceObjective::losses(const PairLogps& p) const {
  const std::string& loss = options_.loss;
  const double beta = options_.beta, smoothing = options_.label_smoothing;
  if (loss == "kto") {
    const losses::KtoOptions kto = {.beta = beta,
                                    .desirable_weight = options_.desirable_weight,
                                    .undesirable_weight = options_.undesirable_weight};
    const Tensor good = ones(p.chosen.sizes(), kBool), bad = zeros(p.chosen.sizes(), kBool);
    return 0.5 * (losses::kto_loss(p.chosen, p.reference_chosen, good, p.kl, kto).losses +
                  losses::kto_loss(p.rejected, p.reference_rejected, bad, p.kl, kto).losses);
  }
  if (has_reference()) {
    return losses::dpo_loss(p.chosen, p.rejected, p.reference_chosen, p.reference_rejected,
                            {.loss_type = losses::dpo_loss_type_from_string(loss),
                             .beta = beta,
                             .label_smoothing = smoothing})
        .losses;
  }
  const Tensor chosen = of_token(p.chosen, p.chosen_lengths);
  if (loss == "cpo")
    return losses::cpo_loss(p.chosen, p.rejected, -chosen,
                            {.beta = beta,
                             .nll_coef = options_.nll_coef,
                             .label_smoothing = smoothing,
                             .reduction = Reduction::none});
  const Tensor rejected = of_token(p.rejected, p.rejected_lengths);
  if (loss == "orpo")
    return losses::orpo_loss(chosen, rejected, -chosen,
                             {.beta = beta, .reduction = Reduction::none})
        .loss;
  return losses::simpo_loss(chosen, rejected,
                            {.beta = beta,
                             .gamma = options_.gamma,
                             .label_smoothing = smoothing,
                             .reduction = Reduction::none});
}

Metrics PreferenceObjective::metrics(const PairLogps& p, const Tensor& share) const {
  const NoGradGuard no_grad;
  const auto mean = [&share](const Tensor& x) {
    return (share.defined() ? (share * x).sum() : x.mean()).item<double>();
  };
  const bool is_mean = options_.loss == "orpo" || options_.loss == "simpo";
  const Tensor logps_chosen = is_mean ? of_token(p.chosen, p.chosen_lengths) : p.chosen,
               logps_rejected = is_mean ? of_token(p.rejected, p.rejected_lengths) : p.rejected;
  const auto reward = [this](const Tensor& policy, const Tensor& reference) {
    return options_.beta * (has_reference() ? policy - reference : policy);
  };
  const Tensor chosen = reward(logps_chosen, p.reference_chosen),
               rejected = reward(logps_rejected, p.reference_rejected);
  return {{"logps_chosen", mean(logps_chosen)},
          {"logps_rejected", mean(logps_rejected)},
          {"rewards_chosen", mean(chosen)},
          {"rewards_rejected", mean(rejected)},
          {"margin", mean(chosen - rejected)},
          {"accuracy", mean(gt(chosen, rejected).to(chosen.dtype()))}};
}

}  // namespace retrace::train
