// The example masked_lm as a user meets it.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/train/process.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

const std::string kName = "masked_lm";

// Between two letters of a pair stands always the same third one.
std::string rhymes() {
  std::string text;
  for (int i = 0; i < 1500; ++i)
    text +=
        std::vector<std::string>{"abc ", "dbe ", "fgh\n"}[static_cast<std::size_t>(i * i % 7 % 3)];
  return text;
}

// What the last line of the output says, which is the text without blanks.
std::string last_line(std::string text) {
  if (text.ends_with('\n')) text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

}  // namespace

TEST_CASE("hidden tokens of a chain are found to the bound of the check") {
  const auto result = result_of(kName, {"--seed", "1", "--steps", "600"});
  CHECK(result["data"] == "markov_chain");
  CHECK(result["passed"] == true);
  CHECK(result["population_floor"].get<double>() == doctest::Approx(0.955984809).epsilon(1e-8));
  CHECK(result["gap"].get<double>() < 0.02 * result["floor"].get<double>());
  CHECK(result["gap"].get<double>() > -0.002);
  CHECK(std::exp(metric(result, "test_loss")) ==
        doctest::Approx(metric(result, "perplexity")).epsilon(1e-9));
}

TEST_CASE("each way of hiding has its own floor; too few steps do not pass") {
  const Outcome random =
      run_example(kName, {"--corruption", "random", "--steps", "2", "--check", "--json", "-"});
  CHECK(random.code == 5);
  CHECK(says(random.err, "the gap is"));
  CHECK(says(random.err, "the token before it"));
  const auto result = json_lines(random.out).back();
  CHECK(result["population_floor"].get<double>() == doctest::Approx(1.107133552).epsilon(1e-8));
  CHECK(result["floor"].get<double>() == doctest::Approx(1.107).epsilon(0.03));
  CHECK(metric(result, "test_loss") > 1.9);
  // A tenth is shown as it is, which tells more than that another tenth is shown wrong hides.
  const auto bert = result_of(kName, {"--corruption", "bert", "--steps", "2"}, 5);
  CHECK(bert["population_floor"].is_null());
  CHECK(bert["floor"].get<double>() < 1.107);
}

TEST_CASE("a text is learnt, and a model that was kept fills blanks as the one in memory did") {
  const TemporaryFolder folder;
  const std::string data = folder.put("rhymes.txt", rhymes());
  const std::string blanks = "abc d_e f_h";
  const Outcome learnt = run_example(
      kName, {"--data", data, "--steps", "500", "--context", "16", "--layers", "1", "--width", "32",
              "--fill", blanks, "--save", folder / "model", "--json", folder / "out.jsonl"});
  CAPTURE(learnt.err);
  REQUIRE(learnt.code == 0);
  CHECK(says(learnt.out, "6000 characters of 10 kinds; the last 1200 are held out"));
  CHECK(says(learnt.out, "\nabc dbe fgh\n"));
  const auto result = json_lines(contents_of(folder / "out.jsonl")).back();
  CHECK(metric(result, "test_accuracy") > 0.8);
  CHECK(metric(result, "test_loss") < 0.6 * result["start"].get<double>());
  CHECK(result["floor"].is_null());

  const Outcome filled = run_example(kName, {"--load", folder / "model", "--fill", blanks});
  CAPTURE(filled.err);
  REQUIRE(filled.code == 0);
  CHECK(last_line(filled.out) == "abc dbe fgh");
  CHECK(says(learnt.out, filled.out.substr(0, filled.out.size() - 1)));
  CHECK(run_example(kName, {"--load", folder / "model", "--fill", "_"}).code == 0);
  check_refused(kName, 2, {"--load", folder / "model", "--fill", "abc"});
  check_refused(kName, 2, {"--load", folder / "model", "--fill", "d_z"});
  check_refused(kName, 2, {"--load", folder / "model", "--fill", "abc abc abc abc _"});
  check_refused(kName, 2, {"--load", folder / "model"});
  check_refused(kName, 2, {"--load", folder / "model", "--fill", "_", "--data", data});

  // Blanks that make no sense are refused before a long training, not after it.
  for (const char* text : {"abc", "d_z", "abc abc abc abc _"})
    check_refused(kName, 2, {"--data", data, "--context", "16", "--fill", text});
}

TEST_CASE("masked_lm: wrong usage gives 2, data and models that cannot be used 3, each one line") {
  const TemporaryFolder folder;
  const std::string tiny = folder.put("tiny.txt", "abc");
  const std::string empty = folder.put("empty.txt", "");
  const std::string latin = folder.put("latin.txt", "caf\xe9");
  save_safetensors(folder / "other.safetensors", {{"weight", zeros({2})}});
  REQUIRE(run_example(kName, {"--steps", "1", "--save", folder / "chain"}).code == 0);
  const nn::TransformerOptions size = {.context = 8, .layers = 1, .heads = 1, .embed_dim = 8};
  auto tokenizer = data::Tokenizer::characters("abc");
  tokenizer.add_special("<mask>");
  const nn::Gpt gpt(tokenizer.size(), size);
  save_safetensors(folder / "gpt.safetensors", gpt.state_dict(),
                   train::describe(tokenizer.size(), size, &tokenizer));
  const std::pair<int, std::vector<std::string>> calls[] = {
      {2, {"--corruption", "all"}},
      {2, {"--mask-prob", "1"}},
      {2, {"--fill", "a_"}},
      {2, {"--data", tiny, "--check"}},
      {3, {"--data", tiny}},
      {3, {"--data", empty}},
      {3, {"--data", latin}},
      {3, {"--data", folder / "none.txt"}},
      {3, {"--load", folder / "none", "--fill", "a_"}},
      {3, {"--load", folder / "other.safetensors", "--fill", "a_"}},
      {3, {"--load", folder / "chain", "--fill", "a_"}},
      {3, {"--load", folder / "gpt.safetensors", "--fill", "a_"}},
  };
  for (const auto& call : calls) check_refused(kName, call.first, call.second);
}
