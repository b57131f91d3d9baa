// The trainings of reward_model that take longer.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

TEST_CASE("rewards of responses are learnt to the bounds of the check, and kept") {
  const TemporaryFolder folder;
  const auto result =
      result_of("reward_model", {"--task", "responses", "--seed", "1", "--save", folder / "model"});
  CHECK(result["passed"] == true);
  CHECK(result["gap"].get<double>() < 0.01 * result["floor"].get<double>());
  CHECK(std::abs(metric(result, "pair_accuracy") - 0.729320068) < 0.01);
  const data::RewardedResponses task;
  const Tensor learned =
      train::score_responses(train::load_reward_model(folder / "model").model, task.responses());
  const train::RewardScores scores(learned.view(task.rewards().sizes()), task.rewards(),
                                   task.demonstration_logps().exp());
  for (const auto& prompt : scores.prompts()) {
    CHECK(prompt.correlation > 0.98);
    CHECK(prompt.rms_error < 0.2);
  }
}
