// The example dpo as a user meets it.
#include <doctest/doctest.h>

#include <cmath>

#include <retrace/retrace.h>
#include <retrace/tests/train/preference_files.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

const std::string kName = "dpo";

}  // namespace

TEST_CASE("the whole road ends at the best possible policy") {
  const TemporaryFolder folder;
  const Outcome learnt =
      run_example(kName, {"--seed", "1", "--check", "--save", folder / "all", "--json", "-"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  const auto lines = json_lines(learnt.out);
  const auto& result = lines.back();
  CHECK(result["passed"] == true);
  CHECK(std::abs(metric(result, "first_loss") - std::log(2.0)) < 1e-5);
  CHECK(result["gap"].get<double>() < 0.01 * result["floor"].get<double>());
  CHECK(metric(result, "kl") < 0.02);
  CHECK(metric(result, "objective") > 0.98 * metric(result, "objective_max"));
  CHECK(metric(result, "objective") < metric(result, "objective_max"));
  CHECK(lines.front()["stage"] == "base");
  const auto& step = lines[lines.size() - 2];
  CHECK(step["step"] == 1500);
  CHECK(step["rewards_chosen"].get<double>() > step["rewards_rejected"].get<double>());
  CHECK(step.contains("logps_chosen"));
  CHECK(says(learnt.err, "rewards_chosen"));
  CHECK(says(learnt.err, "J = E[reward] - beta KL"));

  // Another loss, from the stage that was kept: its own optimum, which is not that of J.
  const auto ipo = result_of(
      kName, {"--seed", "1", "--sft", folder / "all/sft", "--loss", "ipo", "--beta", "0.5"});
  CHECK(ipo["start"].get<double>() == doctest::Approx(1).epsilon(1e-9));
  CHECK(metric(ipo, "kl") < 0.01);
  CHECK(metric(ipo, "objective") < 0.9 * metric(ipo, "objective_max"));
  // A reference with another vocabulary.
  check_refused(kName, 3, {"--sft", RETRACE_SOURCE_DIR "/tests/train/gpt2_tiny"}, "tokens");
}

TEST_CASE("a run of all stages that was interrupted ends in the same bits") {
  const TemporaryFolder folder;
  const auto run = [&](const char* how, const std::string& where) {
    return run_example(kName, {how, where, "--steps", "5", "--seed", "2", "--prefer",
                               "reward_model", "--batch-size", "16"});
  };
  CHECK(run("--save", folder / "whole").code == 0);
  CHECK(run("--save", folder / "parts").code == 0);
  std::filesystem::remove(folder / "parts/model.safetensors");
  std::filesystem::remove(folder / "parts/checkpoint-5.safetensors");
  std::filesystem::remove_all(folder / "parts/reward_model");
  const Outcome resumed = run("--resume", folder / "parts");
  CHECK(resumed.code == 0);
  CHECK(says(resumed.err, "going on after step 100 of 100\n"));  // base
  CHECK(says(resumed.err, "going on after step 400 of 400\n"));  // sft
  CHECK(contents_of(folder / "parts/model.safetensors") ==
        contents_of(folder / "whole/model.safetensors"));
}

TEST_CASE("preferences of a file are learnt on a model of bytes, by every kind of loss") {
  const TemporaryFolder folder;
  const std::string data = folder.put("pairs.jsonl", echo_preferences(60));
  const Outcome learnt =
      run_example(kName, {"--data", data, "--seed", "1", "--generate", "4", "--epochs", "2", "--lr",
                          "5e-4", "--save", folder / "model", "--json", "-"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  const auto result = json_lines(learnt.out).back();
  CHECK(metric(result, "first_loss") == doctest::Approx(std::log(2.0)).epsilon(1e-5));
  CHECK(metric(result, "test_loss") < 0.65);
  CHECK(metric(result, "pair_accuracy") > 0.6);
  CHECK(says(learnt.err, "before: ["));
  for (const char* loss : {"kto", "orpo", "simpo", "ipo", "robust"}) {
    CAPTURE(loss);
    CHECK(run_example(kName, {"--data", data, "--sft", folder / "model/sft", "--loss", loss,
                              "--steps", "2", "--generate", "1"})
              .code == 0);
  }
  // Labels by a reward model that reads the same tokens; it is answered with the same end.
  CHECK(run_example("reward_model", {"--data", data, "--base", folder / "model", "--steps", "2",
                                     "--save", folder / "reward"})
            .code == 0);
  const std::vector<std::string> judged = {
      "--data",       data,       "--sft",           folder / "model", "--prefer",
      "reward_model", "--reward", folder / "reward", "--steps",        "1"};
  CHECK(run_example(kName, judged).code == 0);
}

TEST_CASE("dpo says what is wrong with preferences, models or a command line") {
  const TemporaryFolder folder;
  const std::string data = folder.put("pairs.jsonl", echo_preferences(10));
  const auto refused = [&](int code, const std::vector<std::string>& arguments,
                           const std::string& words) {
    check_refused(kName, code, arguments, words);
  };
  refused(2, {"--beta", "0"}, "--beta");
  refused(2, {"--loss", "dpo"}, "sigmoid");
  refused(2, {"--reward", folder.path()}, "--reward needs --prefer reward_model");
  refused(2, {"--data", data, "--prefer", "reward_model"}, "needs --reward");
  refused(2, {"--base", "a", "--sft", "b"}, "--base says nothing with --sft");
  refused(2, {"--reference", "a"}, "needs --data");
  refused(2, {"--loss", "hinge", "--label-smoothing", "0.3"}, "label_smoothing");
  refused(2, {"--gamma", "1"}, "--gamma needs --loss simpo");
  refused(2, {"--data", data, "--check"}, "exclude each other");
  refused(3, {"--data", folder.put("one.jsonl", echo_preferences(1))}, "two are needed");
  const auto bad = [&](const std::string& line) {
    return folder.put("bad.jsonl", echo_preferences(1) + line + "\n");
  };
  refused(3, {"--data", bad(R"({"prompt": "a", "chosen": "b"})")}, "bad.jsonl:2");
  refused(3, {"--data", bad(R"({"prompt": "a", "chosen": "b", "rejected": "b"})")}, "are equal");
  refused(3, {"--data", bad(R"({"prompt": "a", "chosen": "", "rejected": "b"})")}, "is empty");
  const std::string endless =
      folder.put("long.jsonl", R"({"prompt": ")" + std::string(400, 'x') +
                                   R"(", "chosen": "b", "rejected": "c"})" + "\n");
  refused(3, {"--data", endless}, "use a model with a larger context");
  refused(3, {"--data", data, "--sft", RETRACE_SOURCE_DIR "/tests/train/gpt2_tiny"},
          "has no tokenizer");
  refused(3, {"--sft", folder.path()}, "model.safetensors");
}
