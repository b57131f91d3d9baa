#include <retrace/train/exact_preference_loss.h>

#include <algorithm>

#include <retrace/autograd/autograd.h>
#include <retrace/optim/adam.h>
#include <retrace/optim/schedules.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/train/policy_table.h>

namespace retrace::train {

ExactPreferenceLoss::ExactPreferenceLoss(const PreferenceObjective& objective,
                                         const data::TablePreferences& preferences,
                                         std::int64_t length)
    : objective_(objective),
      preferences_(preferences),
      lengths_(full({preferences.distribution().numel()}, length, kInt64)) {}

// The pair (i, j) stands at [x, i, j].
PairLogps ExactPreferenceLoss::pairs(const Tensor& logps) const {
  const Shape shape = preferences_.distribution().sizes();
  const auto first = [&](const Tensor& table) {
    return table.unsqueeze(2).expand(shape).reshape({-1});
  };
  const auto second = [&](const Tensor& table) {
    return table.unsqueeze(1).expand(shape).reshape({-1});
  };
  const Tensor& reference = preferences_.logps();
  PairLogps known = {.chosen = first(logps),
                     .rejected = second(logps),
                     .reference_chosen = first(reference),
                     .reference_rejected = second(reference),
                     .chosen_lengths = lengths_,
                     .rejected_lengths = lengths_};
  if (objective_.needs_kl()) {
    // Responses as the reference gives them to other prompts.
    const NoGradGuard no_grad;
    const Tensor given = reference.exp();
    const double others = std::max(1.0, static_cast<double>(given.size(0) - 1));
    const Tensor elsewhere = (given.sum(0, true) - given) / others;
    known.kl = (elsewhere * (logps - reference)).sum(1).mean().clamp(0);
  }
  return known;
}

Tensor ExactPreferenceLoss::operator()(const Tensor& logps) const {
  return (objective_.losses(pairs(logps)) * preferences_.distribution().reshape({-1})).sum();
}

Metrics ExactPreferenceLoss::metrics(const Tensor& logps) const {
  return objective_.metrics(pairs(logps), preferences_.distribution().reshape({-1}));
}

bool ExactPreferenceLoss::has_optimum() const {
  const std::string& loss = objective_.options().loss;
  if (loss == "robust") return preferences_.flips() >= objective_.options().label_smoothing;
  return loss != "apo_zero" && loss != "apo_down" && loss != "kto";
}

Tensor ExactPreferenceLoss::optimum() const {
  const PreferenceOptions& o = objective_.options();
  const double flips = preferences_.flips();
  const Tensor &reference = preferences_.logps(), rewards = preferences_.rewards();
  if ((o.loss == "sigmoid" && o.label_smoothing == 0 && flips == 0) ||
      (o.loss == "robust" && o.label_smoothing == flips))
    return optimal_policy(reference, rewards, o.beta);
  if (o.loss == "ipo" && flips == 0) return ipo_optimal_policy(reference, rewards, o.beta);
  return descend();
}

Tensor ExactPreferenceLoss::descend() const {
  require<ValueError>(has_optimum(), "ExactPreferenceLoss: {} has no finite optimum",
                      objective_.options().loss);
  constexpr std::int64_t kSteps = 3000;
  Tensor logits = preferences_.logps().clone();
  logits.requires_grad_();
  optim::Adam adam({logits}, {.lr = 0.05});
  optim::WarmupCosineLR schedule(adam, {.warmup_steps = 0, .total_steps = kSteps});
  for (std::int64_t step = 0; step < kSteps; ++step) {
    adam.zero_grad();
    (*this)(logits.log_softmax(1)).backward();
    adam.step();
    schedule.step();
  }
  const double slope = logits.grad().abs().max().item<double>();
  require<ValueError>(slope < 1e-8 || objective_.options().loss == "hinge",
                      "ExactPreferenceLoss: {} was not minimised in {} steps, its slope is {}",
                      objective_.options().loss, kSteps, slope);
  return logits.detach().log_softmax(1);
}

}  // namespace retrace::train
