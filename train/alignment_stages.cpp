#include <retrace/train/alignment_stages.h>

#include <retrace/autograd/autograd.h>
#include <retrace/losses/language.h>
#include <retrace/losses/preference.h>
#include <retrace/tensor/check.h>
#include <retrace/train/language_model.h>
#include <retrace/train/preference_loss.h>
#include <retrace/train/recipe.h>
#include <retrace/train/reward_model.h>

namespace retrace::train {
namespace {

const Recipe kBaseRecipe = {.steps = 100, .batch_size = 256, .lr = 3e-3};
const Recipe kSftRecipe = {.steps = 400, .batch_size = 512, .lr = 3e-3};
const Recipe kRewardRecipe = {.steps = 600, .batch_size = 512, .lr = 3e-3};
const Recipe kTuneRecipe = {.steps = 1500, .batch_size = 512, .lr = 3e-3, .weight_decay = 0};

// A model that was kept, if the task's tokens are its own.
template <class Model>
Model fitting(Model model, const std::string& path, const data::RewardedResponses& task) {
  const std::int64_t context = model.options().context, length = task.options().length + 1;
  require<IoError>(
      model.vocab_size() == task.vocab_size() && context >= length,
      "{}: this model knows {} tokens and reads {} at once; the task has {} in rows of "
      "{}",
      path, model.vocab_size(), context, task.vocab_size(), length);
  return model;
}

void learn(Run& run, nn::Gpt& model, const data::RewardedResponses& task, const Recipe& recipe,
           const std::string& stage, const std::function<data::Responses(std::int64_t)>& sample) {
  const auto rows = [&sample](std::int64_t count) {
    const data::Responses responses = sample(count);
    return data::TensorDataset{responses.tokens, responses.mask};
  };
  const auto loss = [&model](const Tensor& tokens, const Tensor& mask) {
    return losses::sft_loss(model(tokens), tokens, mask);
  };
  fit(run, model, rows, recipe, loss,
      {.description = describe_for_task(task, model.options()), .stage = stage});
}

Rows drawn_from(const data::TablePreferences& preferences) {
  return [&preferences](std::int64_t count) {
    const Tensor pairs = preferences.sample(count);
    return data::TensorDataset{pairs, pairs};
  };
}

}  // namespace

void SavedStages::offer(CommandLine& command) {
  command.add("--base", base, "A base model to begin with, instead of a fresh one")
      .excludes({"--sft"});
  command.add(
      "--sft", sft,
      "A model to tune that is fine-tuned already, of sft or tiny_lm or in GPT-2's form; it "
      "drops nothing out here");
}

nn::Gpt reference_policy(Run& run, const data::RewardedResponses& task, const SavedStages& saved) {
  const auto load = [&task](const std::string& path) {
    return fitting(load_language_model(path).gpt, path, task);
  };
  if (!saved.sft.empty()) {
    nn::Gpt model = load(saved.sft);
    run.relies_on(model.parameters());
    return model;
  }
  const auto demonstrations = [&task](std::int64_t count) {
    return task.responses().take(task.sample(count, task.demonstration_logps()));
  };
  nn::Gpt model(task.vocab_size(), kTaskTransformer);
  if (saved.base.empty()) {
    learn(run, model, task, kBaseRecipe, "base", [&](std::int64_t count) {
      data::Responses responses = demonstrations(count);
      // Whose response it is, is not to be known.
      responses.tokens.select(1, 0).copy_(randint(0, task.options().prompts, {count}));
      return responses;
    });
  } else {
    model = load(saved.base);
  }
  learn(run, model, task, kSftRecipe, "sft", demonstrations);
  return model;
}

nn::RewardModel learned_reward(Run& run, const data::RewardedResponses& task, const nn::Gpt& policy,
                               const data::TablePreferences& preferences,
                               const SavedStages& saved) {
  if (!saved.reward.empty()) {
    const nn::RewardModel model =
        fitting(load_reward_model(saved.reward).model, saved.reward, task);
    run.relies_on(model.parameters());
    return model;
  }
  nn::RewardModel model(policy);
  const auto loss = [&](const Tensor& pairs, const Tensor&) {
    const Tensor scores = scores_of(model, task.responses(), pairs);
    return losses::reward_loss(scores.select(1, 0), scores.select(1, 1));
  };
  fit(run, model, drawn_from(preferences), kRewardRecipe, loss,
      {.description = describe_for_task(task, model.options()), .stage = "reward_model"});
  return model;
}

nn::Gpt tuned_by_preferences(Run& run, const data::RewardedResponses& task,
                             const nn::Gpt& reference, const data::TablePreferences& preferences,
                             const PreferenceLoss& loss, const std::string& stage) {
  nn::Gpt policy = nn::without_dropout(reference);
  fit(run, policy, drawn_from(preferences), kTuneRecipe,
      [&](const Tensor& pairs, const Tensor&) { return loss(policy, pairs); },
      {.description = describe_for_task(task, policy.options()), .stage = stage});
  return policy;
}

Tensor reward_table(const nn::RewardModel& model, const data::RewardedResponses& task) {
  return score_responses(model, task.responses()).to(kFloat64).view(task.rewards().sizes());
}

Tensor policy_table(const nn::Gpt& policy, const data::RewardedResponses& task) {
  const NoGradGuard no_grad;
  // Rows sum to 1 but for float32's rounding.
  return response_logps(policy, task.responses())
      .to(kFloat64)
      .view(task.rewards().sizes())
      .log_softmax(1);
}

Metadata describe_for_task(const data::RewardedResponses& task,
                           const nn::TransformerOptions& options) {
  std::string digits;
  for (std::int64_t token = 0; token < task.vocab_size(); ++token)
    digits += static_cast<char>('0' + token);
  const auto tokenizer = data::Tokenizer::characters(digits);
  Metadata description = describe(task.vocab_size(), options, &tokenizer);
  description["task"] = "responses";
  return description;
}

}  // namespace retrace::train
