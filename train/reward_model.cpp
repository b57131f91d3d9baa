#include <retrace/train/reward_model.h>

#include <retrace/autograd/ops/comparison.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/train/language_model.h>
#include <retrace/train/predict.h>
#include <retrace/train/saved_model.h>

namespace retrace::train {

ScoringModel load_reward_model(const std::string& folder_or_file) {
  const SavedModel saved(folder_or_file);
  const auto described = TransformerDescription::of(saved);
  ScoringModel scoring = {.model = nn::RewardModel(described.vocab_size, described.options),
                          .tokenizer = described.tokenizer,
                          .metadata = saved.metadata()};
  saved.load_into(scoring.model);
  return scoring;
}

Tensor scores_of(const nn::RewardModel& model, const data::Responses& responses,
                 const Tensor& numbers) {
  const data::Responses rows = responses.take(numbers);
  return model(rows.tokens, rows.last()).view(numbers.sizes());
}

Tensor score_responses(const nn::RewardModel& model, const data::Responses& responses) {
  const EvalGuard eval(model);
  const auto score = [&](const Tensor& numbers) { return scores_of(model, responses, numbers); };
  const Tensor scores = predict(score, arange(responses.size()));
  require<ValueError>(isfinite(scores).all().item<bool>(),
                      "score_responses: of {} responses one has a score that is not finite; train "
                      "the reward model anew, at a lower rate",
                      responses.size());
  return scores;
}

}  // namespace retrace::train
