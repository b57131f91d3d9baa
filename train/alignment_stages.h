#pragma once

// The stages that come before the tuning of a policy on data::RewardedResponses: each trains, or
// takes a model that was trained before.

#include <string>

#include <retrace/data/tasks/rewarded_responses.h>
#include <retrace/nn/language_model.h>
#include <retrace/nn/reward_model.h>
#include <retrace/train/preference_loss.h>
#include <retrace/train/run.h>

namespace retrace::train {

/// Large enough for the default task, of which it learns every distribution in seconds.
inline const nn::TransformerOptions kTaskTransformer = {
    .context = 4, .layers = 2, .heads = 2, .embed_dim = 32};

/// Models that are there already, as folders of runs or files; empty: train them.
struct SavedStages {
  /// Adds --base and --sft to what the program understands.
  void offer(CommandLine& command);

  std::string base = {}, sft = {}, reward = {};
};

/// A model that has seen demonstrations, and is the reference of what follows: first a base model
/// (stage "base"), which knows what responses look like and not which belongs to a prompt, then
/// supervised fine-tuning (stage "sft").
/// IoError for a saved model of another vocabulary, or one that reads too few tokens.
nn::Gpt reference_policy(Run& run, const data::RewardedResponses& task, const SavedStages& saved);

/// A reward model that begins with what the policy knows and learns from the preferences (stage
/// "reward_model"). IoError as above.
nn::RewardModel learned_reward(Run& run, const data::RewardedResponses& task, const nn::Gpt& policy,
                               const data::TablePreferences& preferences, const SavedStages& saved);

/// A copy of the reference without its dropout, trained on pairs that the preferences draw; `loss`
/// is of the task's responses. With a stage that one (see TrainerOptions), else the run's training.
nn::Gpt tuned_by_preferences(Run& run, const data::RewardedResponses& task,
                             const nn::Gpt& reference, const data::TablePreferences& preferences,
                             const PreferenceLoss& loss, const std::string& stage = {});

/// A reward model's scores of all responses, float64 [P, R].
Tensor reward_table(const nn::RewardModel& model, const data::RewardedResponses& task);

/// ln π(y | x) of all responses, float64 [P, R]; every row sums to 1.
Tensor policy_table(const nn::Gpt& policy, const data::RewardedResponses& task);

/// For the file of a transformer of the task: tokens are written as digits.
Metadata describe_for_task(const data::RewardedResponses& task,
                           const nn::TransformerOptions& options);

}  // namespace retrace::train
