#pragma once

#include <retrace/data/tasks/rewarded_responses.h>
#include <retrace/train/preference_objective.h>

namespace retrace::train {

/// A loss over preferences where all responses can be listed: its expected value, not a sample of
/// it, and the policy for which that is least. The reference is the policy that pairs are drawn
/// from. Tables are float64 [P, R].
class ExactPreferenceLoss {
 public:
  /// `length`: tokens of every response.
  ExactPreferenceLoss(const PreferenceObjective& objective,
                      const data::TablePreferences& preferences, std::int64_t length);

  /// The mean over the distribution of pairs, in nats; gradients flow to logps. Of kto with the KL
  /// over all other prompts, which batches only estimate.
  Tensor operator()(const Tensor& logps) const;
  /// PreferenceObjective::metrics over that distribution.
  Metrics metrics(const Tensor& logps) const;

  /// False: the loss falls for ever while some log-probability goes to -∞. So it does for apo_zero,
  /// apo_down and kto, whose terms saturate, so that to lower a response that loses (of apo_down
  /// nearly any) always gains a little more; and for robust with fewer wrong labels than it thinks.
  bool has_optimum() const;
  /// ln π of the best policy. In closed form for sigmoid, robust and ipo with the right noise of
  /// labels (see optimal_policy); else by Adam on the table, to a slope below 1e-8 (of hinge, whose
  /// optimum is a corner, to about 1e-4 of the loss). ValueError unless has_optimum().
  Tensor optimum() const;
  /// That of Adam, whatever there is in closed form.
  Tensor descend() const;

 private:
  PairLogps pairs(const Tensor& logps) const;

  PreferenceObjective objective_;
  data::TablePreferences preferences_;
  Tensor lengths_;
};

}  // namespace retrace::train
