#pragma once

// Preferences and language models: the loss on pairs of responses.

#include <retrace/data/responses.h>
#include <retrace/nn/language_model.h>
#include <retrace/train/batch_loss.h>
#include <retrace/train/preference_objective.h>

namespace retrace::train {

/// ln π(y | x) of every response, [responses], in the model's dtype: in batches, in evaluation
/// mode, unrecorded.
Tensor response_logps(const nn::Gpt& model, const data::Responses& responses);

/// The reference is frozen: its log-probabilities are computed once, here.
class PreferenceLoss {
 public:
  /// ValueError when a log-probability of the reference is not finite.
  PreferenceLoss(const PreferenceObjective& objective, const data::Responses& responses,
                 const nn::Gpt& reference);

  /// The mean over pairs, numbers of responses int64 [B, 2], the preferred one first; with
  /// PreferenceObjective::metrics.
  BatchLoss operator()(const nn::Gpt& policy, const Tensor& pairs) const;
  /// The same of any number of pairs, in batches, in evaluation mode, unrecorded; "loss" is the
  /// first of the metrics.
  Metrics score(const nn::Gpt& policy, const Tensor& pairs) const;

 private:
  PairLogps logps(const nn::Gpt& policy, const Tensor& pairs) const;

  PreferenceObjective objective_;
  data::Responses responses_, elsewhere_;  // elsewhere: behind other prompts
  Tensor lengths_, reference_, reference_elsewhere_;
};

}  // namespace retrace::train
