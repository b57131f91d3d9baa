#pragma once

// Reward models as files keep them, and what they say of responses.

#include <optional>
#include <string>

#include <retrace/data/responses.h>
#include <retrace/nn/reward_model.h>
#include <retrace/tensor/safetensors.h>

namespace retrace::train {

/// A reward model and what turns texts into its tokens. Its file says what describe() does: see
/// language_model.h.
struct ScoringModel {
  nn::RewardModel model;
  std::optional<data::Tokenizer> tokenizer = {};
  Metadata metadata = {};  ///< all that its file says
};

/// The folder of a run that kept a reward model, or its file. IoError, also when it is a model of
/// another kind.
ScoringModel load_reward_model(const std::string& folder_or_file);

/// The score of each response at its last token, float32 [responses]: in batches, in evaluation
/// mode, unrecorded. ValueError when one is not finite, besides those of the model.
Tensor score_responses(const nn::RewardModel& model, const data::Responses& responses);

/// The scores at their last tokens of the responses with these numbers, int64 of any shape: alike.
/// Recorded, in one batch.
Tensor scores_of(const nn::RewardModel& model, const data::Responses& responses,
                 const Tensor& numbers);

}  // namespace retrace::train
