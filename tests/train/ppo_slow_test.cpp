// The example ppo as a user meets it.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/train/preference_files.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

const std::string kName = "ppo";

}  // namespace

TEST_CASE("reinforcement learning ends at the best possible policy") {
  const TemporaryFolder folder;
  const Outcome learnt = run_example(kName, {"--seed", "1", "--check", "--save", folder / "all",
                                             "--json", "-", "--report", folder / "page.html"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  const auto lines = json_lines(learnt.out);
  const auto& result = lines.back();
  CHECK(result["passed"] == true);
  CHECK(metric(result, "kl") < 0.02);
  CHECK(metric(result, "objective") > 0.98 * metric(result, "objective_max"));
  const auto& step = lines[lines.size() - 2];
  CHECK(step["reward"].get<double>() > 0.5);
  CHECK(metric(result, "kl_to_reference") > 0.2);
  CHECK(step["kl_to_reference"].get<double>() > 0.2);
  const std::string page = contents_of(folder / "page.html");
  CHECK(says(page, "How much reward for how much KL"));
  CHECK(says(page, "dpo"));
  // The policy is there without its critic, as any language model.
  CHECK(train::load_language_model(folder / "all").gpt.vocab_size() == 4);

  // Neither a part of the prompts nor an unknown end is taken for a result.
  const auto refused = [&](std::vector<std::string> arguments, const char* words) {
    arguments.insert(arguments.end(), {"--sft", folder / "all/sft"});
    check_refused(kName, 2, arguments, words);
  };
  refused({"--algorithm", "grpo", "--batch-size", "64"}, "no multiple of 512");
  refused({"--check", "--kl", "k3"}, "is not known");
  // Too few steps do not pass.
  const Outcome brief = run_example(
      kName, {"--sft", folder / "all/sft", "--check", "--steps", "2", "--batch-size", "512"});
  CHECK(brief.code == 5);
  CHECK(says(brief.err, "objective is"));
}

TEST_CASE("prompts of a file are answered, judged by a reward model, and learnt from") {
  const TemporaryFolder folder;
  const std::string data = folder.put("pairs.jsonl", echo_preferences(60));
  REQUIRE(run_example("dpo", {"--data", data, "--seed", "1", "--steps", "1", "--generate", "1",
                              "--save", folder / "model"})
              .code == 0);
  REQUIRE(run_example("reward_model", {"--data", data, "--base", folder / "model/sft", "--seed",
                                       "1", "--save", folder / "reward"})
              .code == 0);
  for (const char* algorithm : {"ppo", "grpo", "rloo"}) {
    CAPTURE(algorithm);
    const Outcome learnt = run_example(
        kName, {"--data", data, "--sft", folder / "model/sft", "--reward", folder / "reward",
                "--algorithm", algorithm, "--steps", "6", "--generate", "6", "--json", "-"});
    CAPTURE(learnt.err);
    CHECK(learnt.code == 0);
    CHECK(json_lines(learnt.out).front().contains("reward"));
    CHECK(says(learnt.err, "tuned:  ["));
  }
  check_refused(kName, 3, {"--data", data, "--sft", folder / "model", "--reward", folder / "model"},
                "another kind of model");
  check_refused(kName, 3,
                {"--data", data, "--sft", folder / "model/sft", "--reward", folder / "reward",
                 "--generate", "255"},
                "prompts 0 leave room");
}

TEST_CASE("ppo says what is wrong with a command line") {
  check_refused(kName, 2, {"--beta", "-1"}, "--beta");
  check_refused(kName, 2, {"--data", "x.jsonl"}, "--data needs --sft");
  check_refused(kName, 2, {"--reward", "x"}, "--reward needs");
  check_refused(kName, 2, {"--scale", "group"}, "of grpo");
  check_refused(kName, 2, {"--algorithm", "rloo", "--scale", "batch"}, "divides by nothing");
  check_refused(kName, 2, {"--algorithm", "dpo"}, "rloo");
  check_refused(kName, 2, {"--generate", "3"}, "--generate needs --data");
}
