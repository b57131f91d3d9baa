// The example tiny_lm as a user meets it.
#include <doctest/doctest.h>

#include <cmath>

#include <retrace/retrace.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

const std::string kName = "tiny_lm";

// Lines of a text in which every word tells the next.
std::string rhyme(int lines) {
  std::string text;
  for (int i = 0; i < lines; ++i) text += "one two buckle my shoe\nthree four shut the door\n";
  return text;
}

const std::vector<std::string> kSmall = {"--context", "16", "--layers", "1",
                                         "--width",   "16", "--heads",  "2"};

std::vector<std::string> with(std::vector<std::string> arguments,
                              const std::vector<std::string>& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace

TEST_CASE("the grammar is learnt to the bound of the check, and gone on with") {
  const TemporaryFolder folder;
  const Outcome learnt =
      run_example(kName, {"--seed", "1", "--check", "--save", folder / "model", "--json", "-"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  const auto result = json_lines(learnt.out).back();
  CHECK(result["passed"] == true);
  CHECK(result["population_floor"].get<double>() == doctest::Approx(1.227435250).epsilon(1e-8));
  CHECK(result["gap"].get<double>() < 0.01 * result["floor"].get<double>());
  CHECK(metric(result, "perplexity") ==
        doctest::Approx(std::exp(metric(result, "test_loss"))).epsilon(1e-6));
  CHECK(metric(result, "tokens_per_second") > 0);
  for (const char* line : {"1.6319", "1.5538", "1.2589", "follow the grammar"})
    CHECK(says(learnt.err, line));

  const Outcome written = run_example(
      kName, {"--load", folder / "model", "--prompt", "the dog that some cats", "--greedy"});
  CAPTURE(written.err);
  CHECK(written.code == 0);
  CHECK(says(written.out, "the dog that some cats "));
  CHECK(says(written.out, "Of 200 such sentences 200 follow"));
  const Outcome unknown = run_example(kName, {"--load", folder / "model", "--prompt", "the cow"});
  CHECK(unknown.code == 1);
  CHECK(says(unknown.err, "cow"));
}

TEST_CASE("a text is learnt by every tokenizer, kept, gone on with, tested and exported") {
  const TemporaryFolder folder;
  const std::string text = folder.put("rhyme.txt", rhyme(60)), model = folder / "model";
  for (const std::string tokenizer : {"byte", "char", "bpe"}) {
    CAPTURE(tokenizer);
    std::vector<std::string> arguments =
        with({"--data", text, "--tokenizer", tokenizer, "--steps", "150", "--lr", "0.01",
              "--test-fraction", "0.1", "--save", model, "--generate", "30", "--seed", "3",
              "--json", "-"},
             kSmall);
    if (tokenizer == "bpe") arguments.insert(arguments.end(), {"--merges", "20"});
    const Outcome learnt = run_example(kName, arguments);
    CAPTURE(learnt.err);
    REQUIRE(learnt.code == 0);
    const auto result = json_lines(learnt.out).back();
    CHECK(result["data"] == text);
    CHECK(metric(result, "test_loss") < 0.5 * result["start"].get<double>());
    const double bits = metric(result, "bits_per_byte") * std::log(2);
    if (tokenizer == "bpe") {
      CHECK(bits < metric(result, "test_loss"));
    } else {
      CHECK(bits == doctest::Approx(metric(result, "test_loss")).epsilon(1e-6));
    }
    CHECK(says(learnt.err,
               tokenizer == "bpe"
                   ? "nats per token"
                   : "nats per " + (tokenizer == "char" ? std::string("character") : tokenizer)));

    const std::vector<std::string> go_on = {"--prompt", "one two", "--generate", "20", "--greedy"};
    const Outcome written = run_example(kName, with({"--load", model}, go_on));
    CHECK(written.code == 0);
    CHECK(written.out.starts_with("one two"));
    CHECK(run_example(kName, with({"--load", model, "--export", folder / "gpt2"}, go_on)).out ==
          written.out);
    CHECK(run_example(kName, with({"--load", folder / "gpt2"}, go_on)).out == written.out);

    const std::string other = folder.put("other.txt", rhyme(20));
    const Outcome tested = run_example(kName, {"--load", model, "--data", other, "--json", "-"});
    CAPTURE(tested.err);
    REQUIRE(tested.code == 0);
    CHECK(metric(json_lines(tested.out).back(), "test_loss") ==
          doctest::Approx(metric(result, "test_loss")).epsilon(0.5));
  }
}

TEST_CASE("tokens per second are those of the steps, not those that a check of the trace reads") {
  const TemporaryFolder folder;
  const std::string text = folder.put("rhyme.txt", rhyme(20));
  const auto tokens = [&](const std::vector<std::string>& more) {
    const Outcome learnt = run_example(
        kName,
        with({"--data", text, "--steps", "4", "--batch-size", "2", "--generate", "1", "--json", "-",
              "--context", "4", "--layers", "1", "--width", "4", "--heads", "1"},
             more));
    CAPTURE(learnt.err);
    REQUIRE(learnt.code == 0);
    const auto result = json_lines(learnt.out).back();
    return metric(result, "tokens_per_second") * result["train_seconds"].get<double>();
  };
  CHECK(tokens({}) == doctest::Approx(4 * 2 * 4));
  CHECK(tokens({"--trace", folder / "trace", "--trace-step", "2", "--trace-check"}) ==
        doctest::Approx(4 * 2 * 4));
}

TEST_CASE("a language model that was interrupted ends in the same bits") {
  const TemporaryFolder folder;
  const std::string text = folder.put("rhyme.txt", rhyme(40));
  const auto run = [&](const std::vector<std::string>& how) {
    return run_example(
        kName, with(with({"--data", text, "--generate", "5", "--save-every", "4"}, kSmall), how));
  };
  CHECK(run({"--save", folder / "whole", "--steps", "9"}).code == 0);
  CHECK(run({"--save", folder / "parts", "--steps", "9"}).code == 0);
  std::filesystem::remove(folder / "parts/checkpoint-9.safetensors");
  std::filesystem::remove(folder / "parts/model.safetensors");
  const Outcome resumed = run({"--resume", folder / "parts", "--steps", "9"});
  CHECK(resumed.code == 0);
  CHECK(says(resumed.err, "going on after step 8 of 9\n"));
  CHECK(contents_of(folder / "parts/model.safetensors") ==
        contents_of(folder / "whole/model.safetensors"));
}

TEST_CASE("tiny_lm says what is wrong with a text, a model or a command line") {
  const TemporaryFolder folder;
  check_refused(kName, 3, {"--data", folder.put("empty.txt", "")}, "is empty");
  check_refused(kName, 3, {"--data", folder.put("latin.txt", "caf\xe9\nau lait")}, "latin.txt:1");
  check_refused(kName, 3, {"--data", folder.put("short.txt", "too short")}, "short.txt");
  check_refused(kName, 3, {"--data", folder / "none.txt"}, "none.txt");
  check_refused(kName, 1, {"--prompt", "the cow"}, "cow");  // before it trains
  check_refused(
      kName, 2,
      {"--prompt", std::string(80, ' ') +
                       "the dog that the dog that the dog "
                       "that the dog that the dog that the dog that the dog that the dog that"},
      "at most 22 words");
  check_refused(kName, 1, {"--data", folder.put("rhyme.txt", rhyme(20)), "--prompt", "X"}, "X");
  check_refused(kName, 2, {"--temperature", "0"}, "0 is not a number in (0, inf)");
  check_refused(kName, 2, {"--top-p", "1.5"}, "1.5 is not a number in (0, 1]");
  check_refused(kName, 3, {"--prompt", "the the", "--load", folder.path()}, "model.safetensors");
  check_refused(kName, 3, {"--load", RETRACE_SOURCE_DIR "/tests/train/gpt2_tiny"},
                "has no tokenizer");
  check_refused(kName, 2,
                {"--data", folder.put("rhyme.txt", rhyme(20)), "--width", "30", "--heads", "4",
                 "--context", "8", "--steps", "1"},
                "4 heads");
}
