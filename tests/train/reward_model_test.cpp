// The example reward_model as a user meets it.
#include <doctest/doctest.h>

#include <cmath>

#include <retrace/retrace.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

const std::string kName = "reward_model";

std::string pair(const std::string& prompt, const std::string& chosen, const std::string& rejected,
                 const std::string& more = "") {
  return "{\"prompt\": \"" + prompt + "\", \"chosen\": \"" + chosen + "\", \"rejected\": \"" +
         rejected + "\"" + more + "}\n";
}

std::string pairs(int count) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += pair("say " + std::to_string(i), "yes " + std::to_string(i), "no");
  return text;
}

}  // namespace

TEST_CASE("rewards of items are learnt to the bounds of the check") {
  const TemporaryFolder folder;
  const auto result = result_of(kName, {"--seed", "1", "--report", folder / "page.html"});
  CHECK(result["data"] == "gumbel_rewards");
  CHECK(result["passed"] == true);
  CHECK(result["population_floor"] == 0.5);
  CHECK(std::abs(result["floor"].get<double>() - 0.5) < 4 * 0.5 / std::sqrt(100'000.0));
  CHECK(result["gap"].get<double>() < 0.01);
  CHECK(std::abs(metric(result, "pair_accuracy") - 0.75) < 0.01);
  CHECK(metric(result, "reward_margin") > 0.8);
  const std::string page = contents_of(folder / "page.html");
  CHECK(says(page, "<svg"));
  CHECK(says(page, "correlation"));
}

TEST_CASE("a reward model of too few steps does not pass, and says why") {
  const Outcome outcome = run_example(kName, {"--check", "--steps", "5"});
  CHECK(outcome.code == 5);
  CHECK(says(outcome.err, "the gap is"));
  CHECK(says(outcome.err, "pair_accuracy is"));
}

TEST_CASE("a margin and a centre keep the order of rewards, and hold their mean near 0") {
  const auto wide = result_of(kName, {"--margin", "1"}),
             held = result_of(kName, {"--center", "0.1"});
  CHECK(wide["passed"] == true);
  CHECK(held["passed"] == true);
  CHECK(metric(wide, "reward_margin") > 1.2);
  CHECK(metric(held, "reward_margin") < 0.6);
  CHECK(wide["gap"].get<double>() > 0.01);
  const Outcome outcome = run_example(kName, {"--center", "0.1", "--steps", "500"});
  CHECK(says(outcome.out, "their differences do not"));
}

TEST_CASE("an interrupted training of rewards ends in the same bits") {
  const TemporaryFolder folder;
  const std::string data = folder.put("pairs.jsonl", pairs(20));
  for (const std::vector<std::string>& what : {std::vector<std::string>{"--task", "features"},
                                               {"--task", "responses"},
                                               {"--data", data}}) {
    CAPTURE(what);
    const auto run = [&](const char* how, const std::string& where) {
      std::vector<std::string> arguments = {how,      where, "--steps",      "6",
                                            "--seed", "2",   "--save-every", "3"};
      arguments.insert(arguments.end(), what.begin(), what.end());
      return run_example(kName, arguments);
    };
    CHECK(run("--save", folder / "whole").code == 0);
    CHECK(run("--save", folder / "parts").code == 0);
    std::filesystem::remove(folder / "parts/model.safetensors");
    std::filesystem::remove(folder / "parts/checkpoint-6.safetensors");
    const Outcome resumed = run("--resume", folder / "parts");
    CHECK(resumed.code == 0);
    CHECK(says(resumed.err, "going on after step 3 of 6\n"));
    CHECK(contents_of(folder / "parts/model.safetensors") ==
          contents_of(folder / "whole/model.safetensors"));
  }
}

TEST_CASE("a reward model of responses begins at ln 2, is kept, and scores responses") {
  const TemporaryFolder folder;
  const Outcome learnt = run_example(
      kName, {"--task", "responses", "--steps", "100", "--save", folder / "model", "--json", "-"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  const auto result = json_lines(learnt.out).back();
  CHECK(result["data"] == "rewarded_responses");
  CHECK(result["start"].get<double>() == doctest::Approx(std::log(2.0)).epsilon(1e-9));
  CHECK(result["floor"].get<double>() == doctest::Approx(0.533026920).epsilon(1e-8));
  CHECK(result["population_floor"].get<double>() ==
        doctest::Approx(result["floor"].get<double>()).epsilon(1e-12));
  CHECK(metric(result, "test_loss") < 0.62);
  const auto lines = json_lines(learnt.out);
  CHECK(lines.front()["loss"].get<double>() == doctest::Approx(std::log(2.0)).epsilon(1e-6));

  const train::ScoringModel model = train::load_reward_model(folder / "model");
  CHECK(model.metadata.at("task") == "responses");
  const Tensor scores = train::score_responses(model.model, data::RewardedResponses().responses());
  const Outcome score = run_example(
      kName, {"--load", folder / "model", "--prompt", "1", "--response", "031"});  // 0 3 1 is 13
  CHECK(score.code == 0);
  CHECK(std::stod(score.out) == doctest::Approx(scores[64 + 13].item<double>()).epsilon(1e-5));
  check_refused(kName, 1, {"--load", folder / "model", "--response", "x"}, "\"x\"");
  check_refused(kName, 1, {"--load", folder / "model", "--prompt", "0", "--response", "0000"},
                "reads at most 4");
}

TEST_CASE("preferences of a file are learnt; those that are too long are counted aloud") {
  const TemporaryFolder folder;
  const std::string data =
      folder.put("pairs.jsonl", pairs(40) + pair(std::string(300, 'x'), "a", "b") +
                                    pair("p", "q", "r", ", \"margin\": 1.5"));
  const Outcome learnt = run_example(kName, {"--data", data, "--steps", "20", "--save",
                                             folder / "model", "--json", folder / "out.jsonl"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  CHECK(says(learnt.err, "1 of 42 preferences are left out"));
  const auto result = json_lines(contents_of(folder / "out.jsonl")).back();
  CHECK(result["start"].get<double>() == doctest::Approx(std::log(2.0)).epsilon(1e-9));
  CHECK(result["floor"].is_null());
  CHECK(metric(result, "test_loss") < 0.4);
  CHECK(metric(result, "pair_accuracy") == 1);
  const auto score = [&](const char* response) {
    return std::stod(run_example(kName, {"--load", folder / "model", "--prompt", "say 7",
                                         "--response", response})
                         .out);
  };
  CHECK(score("yes 7") > score("no") + 1);
}

TEST_CASE("margins of a file and of the command line are added") {
  const TemporaryFolder folder;
  const std::string plain = folder.put("a.jsonl", pair("a", "b", "c") + pair("d", "e", "f")),
                    told = folder.put("b.jsonl", pair("a", "b", "c", ", \"margin\": 2") +
                                                     pair("d", "e", "f", ", \"margin\": 2"));
  const auto first_loss = [&](const std::string& data, const char* margin) {
    const Outcome outcome = run_example(kName, {"--data", data, "--test-fraction", "0.5", "--steps",
                                                "1", "--margin", margin, "--json", "-"});
    CAPTURE(outcome.err);
    REQUIRE(outcome.code == 0);
    return json_lines(outcome.out).front()["loss"].get<double>();
  };
  CHECK(first_loss(plain, "0") == doctest::Approx(std::log(2.0)).epsilon(1e-6));
  CHECK(first_loss(plain, "1") == doctest::Approx(std::log1p(std::exp(1.0))).epsilon(1e-6));
  CHECK(first_loss(told, "1") == doctest::Approx(std::log1p(std::exp(3.0))).epsilon(1e-6));
}

TEST_CASE("a reward model begins with a language model, and knows other models from its own") {
  const TemporaryFolder folder;
  const std::string data = folder.put("pairs.jsonl", pairs(10));
  const data::Tokenizer bytes = data::Tokenizer::bytes();
  const nn::Gpt gpt(bytes.size(), {.context = 24, .layers = 1, .heads = 2, .embed_dim = 8});
  std::filesystem::create_directory(folder / "base");
  save_safetensors(folder / "base/model.safetensors", gpt.state_dict(),
                   train::describe(gpt.vocab_size(), gpt.options(), &bytes));
  const Outcome learnt = run_example(kName, {"--data", data, "--base", folder / "base", "--steps",
                                             "2", "--save", folder / "model"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  CHECK(train::load_reward_model(folder / "model").model.options().context == 24);

  check_refused(kName, 3, {"--load", folder / "base", "--response", "a"}, "another kind of model");
  check_refused(kName, 3, {"--data", data, "--base", folder / "model"}, "another kind of model");
  check_refused(kName, 3, {"--data", data, "--base", RETRACE_SOURCE_DIR "/tests/train/gpt2_tiny"},
                "has no tokenizer");
  check_refused(kName, 3, {"--data", data, "--base", folder / "none"}, "none");
  check_refused(kName, 2, {"--data", data, "--base", folder / "base", "--save", folder / "base"},
                "removes that model");
  CHECK(std::filesystem::exists(folder / "base/model.safetensors"));

  nn::RewardModel broken(bytes.size(), gpt.options());
  broken.head.bias.detach().fill_(std::nan(""));
  save_safetensors(folder / "broken.safetensors", broken.state_dict(),
                   train::describe(gpt.vocab_size(), gpt.options(), &bytes));
  check_refused(kName, 1, {"--load", folder / "broken.safetensors", "--response", "a"},
                "not finite");
}

TEST_CASE("reward_model says what is wrong with preferences or a command line") {
  const TemporaryFolder folder;
  const auto refused = [&](const std::string& text, const std::string& words) {
    check_refused(kName, 3, {"--data", folder.put("bad.jsonl", pairs(2) + text)}, words);
  };
  refused(pair("a", "b", "b"), "bad.jsonl:3: \"chosen\" and \"rejected\" are equal");
  refused(pair("a", "b", ""), "bad.jsonl:3: \"rejected\" is empty");
  refused("{\"prompt\": \"a\", \"chosen\": \"b\"}\n", "bad.jsonl:3");
  refused(pair("a", "b", "c", ", \"margin\": -1"), "bad.jsonl:3: \"margin\" is -1");
  check_refused(kName, 3,
                {"--data", folder.put("long.jsonl", pair(std::string(300, 'x'), "a", "b"))},
                "long.jsonl: encode_preferences: of 1 preferences none fits into the 256 tokens");
  check_refused(kName, 3, {"--data", folder.put("none.jsonl", "")}, "none.jsonl");
  check_refused(kName, 3, {"--data", folder / "nothing.jsonl"}, "nothing.jsonl");
  for (const char* margin : {"-1", "nan", "wide"}) {
    check_refused(kName, 2, {"--margin", margin}, "--margin");
    check_refused(kName, 2, {"--center", margin}, "--center");
  }
  check_refused(kName, 2, {"--task", "songs"}, "songs");
  check_refused(kName, 2, {"--base", folder.path()}, "--base needs --data");
  check_refused(kName, 2, {"--load", folder.path()}, "--response");
  check_refused(kName, 2, {"--response", "a"}, "--load");
  check_refused(kName, 2, {"--epochs", "3"}, "--epochs");
  check_refused(kName, 4, {"--lr", "1e30", "--steps", "50"}, "the loss is nan");
}
