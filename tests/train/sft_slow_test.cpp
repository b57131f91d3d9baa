// The example sft as a user meets it.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>

#include <retrace/retrace.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

const std::string kName = "sft";

// Questions to which the answer is their last word.
std::string echoes(int rows) {
  const std::vector<std::string> words = {"cat", "dog", "sun", "sea", "owl", "fig"};
  std::string text;
  for (int i = 0; i < rows; ++i) {
    const std::string word = words[static_cast<std::size_t>(i * 5 + i / 6) % words.size()];
    text += "{\"prompt\": \"say " + word + ":\", \"completion\": \" " + word + "\"}\n";
  }
  return text;
}

// A long conversation and many short ones: most of the places of their rows are padding.
std::string padded(const std::function<std::string()>& prompt,
                   const std::function<std::string(int)>& completion) {
  std::string text;
  for (int i = 0; i < 600; ++i)
    text += "{\"prompt\": \"" + prompt() + "\", \"completion\": \"" +
            completion(i == 0 ? 120 : 10) + "\"}\n";
  return text;
}

// The mean loss of the last ten steps of a short training.
double loss_at_end(const std::string& data, const std::string& learn) {
  const Outcome outcome =
      run_example(kName, {"--data", data, "--learn", learn, "--steps", "60", "--lr", "3e-3",
                          "--seed", "1", "--generate", "1", "--json", "-"});
  CAPTURE(outcome.err);
  REQUIRE(outcome.code == 0);
  double sum = 0;
  for (const auto& line : json_lines(outcome.out))
    if (line["event"] == "step" && line["step"] > 50) sum += line["loss"].get<double>();
  return sum / 10;
}

}  // namespace

TEST_CASE("instructions are learnt to the bound of the check, and followed") {
  const TemporaryFolder folder;
  const Outcome learnt =
      run_example(kName, {"--seed", "1", "--check", "--save", folder / "model", "--json", "-"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  const auto lines = json_lines(learnt.out);
  const auto& result = lines.back();
  CHECK(result["passed"] == true);
  CHECK(result["population_floor"].get<double>() == doctest::Approx(0.544805431).epsilon(1e-8));
  CHECK(result["gap"].get<double>() < 0.02 * result["floor"].get<double>());
  // The base knows nothing of answers, which are then digits like any other.
  CHECK(result["start"].get<double>() == doctest::Approx(std::log(10.0)).epsilon(0.02));
  CHECK(metric(result, "test_accuracy") >= 0.99);
  CHECK(lines.front()["stage"] == "base");
  CHECK_FALSE(lines[lines.size() - 2].contains("stage"));
  CHECK(says(learnt.err, "learning all"));

  const auto answer = [&](const char* prompt) {
    return run_example(kName, {"--load", folder / "model", "--prompt", prompt}).out;
  };
  CHECK(answer("reverse 1 2 3 4 5 6 :") == "reverse 1 2 3 4 5 6 : 6 5 4 3 2 1\n");
  CHECK(answer("add_one 9 8 7 0 1 2 :") == "add_one 9 8 7 0 1 2 : 0 9 8 1 2 3\n");
  check_refused(kName, 1, {"--load", folder / "model", "--prompt", "reverse 1 2 :"});
  check_refused(kName, 1, {"--load", folder / "model", "--prompt", "sort 1 2 3 4 5 6 :"}, "sort");
}

TEST_CASE("a run of several trainings that was interrupted ends in the same bits") {
  const TemporaryFolder folder;
  const auto run = [&](const char* how, const std::string& where) {
    return run_example(kName, {how, where, "--steps", "7", "--seed", "2"});
  };
  CHECK(run("--save", folder / "whole").code == 0);
  for (const char* lost : {"", "learn-all", "base"}) {
    CAPTURE(lost);
    CHECK(run("--save", folder / "parts").code == 0);
    // As if it had been stopped in that training, before the others.
    std::filesystem::remove(folder / "parts/model.safetensors");
    std::filesystem::remove(folder / "parts/checkpoint-7.safetensors");
    if (*lost != '\0') std::filesystem::remove_all(folder / "parts/learn-all");
    if (lost == std::string("base")) std::filesystem::remove_all(folder / "parts/base");
    const Outcome resumed = run("--resume", folder / "parts");
    CHECK(resumed.code == 0);
    CHECK(says(resumed.err, "going on after step 300 of 300\n") == (lost != std::string("base")));
    CHECK(says(resumed.err, "going on after step 7 of 7\n") == (*lost == '\0'));
    CHECK(contents_of(folder / "parts/model.safetensors") ==
          contents_of(folder / "whole/model.safetensors"));
  }
}

TEST_CASE("conversations are learnt, answered and kept, from a fresh model or one that is there") {
  const TemporaryFolder folder;
  const std::string data = folder.put("echo.jsonl", echoes(80));
  const Outcome learnt =
      run_example(kName, {"--data", data, "--epochs", "12", "--lr", "2e-3", "--seed", "1",
                          "--generate", "8", "--save", folder / "model", "--json", "-"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  const auto result = json_lines(learnt.out).back();
  CHECK(result["start"].get<double>() > 5);
  CHECK(metric(result, "test_loss") < 0.2);
  CHECK(says(learnt.err, "say "));
  const auto answer = [&](const std::string& model) {
    return run_example(kName, {"--load", model, "--prompt", "say owl:", "--generate", "8"}).out;
  };
  CHECK(answer(folder / "model") == " owl\n");

  const std::string chat = folder.put(
      "chat.jsonl",
      "{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", "
      "\"content\": \"ho\"}]}\n{\"messages\": [{\"role\": \"user\", \"content\": \"hi\"}, "
      "{\"role\": \"assistant\", \"content\": \"ho\"}]}\n");
  const Outcome tuned = run_example(
      kName, {"--data", chat, "--base", folder / "model", "--epochs", "40", "--lr", "1e-3",
              "--test-fraction", "0.5", "--generate", "8", "--save", folder / "chat"});
  CAPTURE(tuned.err);
  CHECK(tuned.code == 0);
  CHECK(
      run_example(kName, {"--load", folder / "chat", "--chat", "--prompt", "hi", "--generate", "8"})
          .out == " ho\n");
}

TEST_CASE("all tokens of a conversation can be learnt, but never its padding") {
  const TemporaryFolder folder;
  Generator generator(7);
  const auto letters = [&](int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += static_cast<char>('a' + generator.next_below(26));
    return text;
  };
  // Of letters that are drawn alike not much can be learnt; of padding, all.
  const std::string unknown =
      folder.put("unknown.jsonl", padded([&] { return letters(10); }, letters));
  CHECK(loss_at_end(unknown, "all") > 2.5);
  CHECK(loss_at_end(unknown, "response") > 2.5);
  // Prompts that are all alike are learnt where they count.
  const std::string known =
      folder.put("known.jsonl", padded([] { return std::string(50, 'x'); }, letters));
  CHECK(loss_at_end(known, "all") < 1.5);
  CHECK(loss_at_end(known, "response") > 2.5);
}

TEST_CASE("sft says what is wrong with conversations, a base or a command line") {
  const TemporaryFolder folder;
  const std::string data = folder.put("echo.jsonl", echoes(10));
  check_refused(kName, 2, {"--base", folder.path()}, "--base needs --data");
  check_refused(kName, 3, {"--data", data, "--base", folder.path()}, "model.safetensors");
  check_refused(kName, 3, {"--data", folder.put("bad.jsonl", echoes(1) + "{\"prompt\": \"a\"}\n")},
                "bad.jsonl:2");
  check_refused(kName, 3, {"--data", folder.put("none.jsonl", "")}, "none.jsonl");
  check_refused(kName, 3, {"--data", data, "--base", RETRACE_SOURCE_DIR "/tests/train/gpt2_tiny"},
                "has no tokenizer");
  check_refused(kName, 2, {"--load", folder.path(), "--check"}, "exclude");
}
