#include <doctest/doctest.h>

#include <cmath>

#include <retrace/data/tasks/digit_instructions.h>
#include <retrace/losses/language.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/data/near.h>

using namespace retrace;
using namespace retrace::data;

namespace {

// ln p of each token given all before it, as logits of a model [rows, 14, 14].
Tensor oracle_logits(const DigitInstructions& task, const Tensor& tokens) {
  const Tensor logits = full({tokens.size(0), 14, 14}, -100, kFloat64);
  logits.slice(1, 0, 6).slice(2, 0, 10).fill_(-std::log(10.0));
  logits.select(1, 6).select(1, 13).fill_(0);  // the separator
  logits.slice(1, 7).slice(2, 0, 10).fill_(std::log(0.1 / 9));
  const Tensor answers = task.answers(tokens);
  for (std::int64_t row = 0; row < tokens.size(0); ++row)
    for (std::int64_t i = 0; i < 6; ++i)
      logits[row][7 + i][answers[row][i].item<std::int64_t>()] = std::log(0.9);
  return logits;
}

}  // namespace

TEST_CASE("digit instructions: what is known exactly") {
  const DigitInstructions task;
  CHECK(task.vocab_size() == 14);
  CHECK(task.prompt_length() == 8);
  CHECK(task.row_length() == 14);
  CHECK(matches(task.population_floor(), 0.544805431, 9));
  CHECK(matches(task.all_token_floor(), 1.314180, 6));
}

TEST_CASE("digit instructions: answers") {
  const DigitInstructions task;
  const auto answer = [&](const char* prompt) {
    return task.text(task.answers(tensor({task.tokens(prompt)}))[0].to_vector<std::int64_t>());
  };
  CHECK(answer("copy 3 1 4 1 5 9 :") == "3 1 4 1 5 9");
  CHECK(answer("reverse 3 1 4 1 5 9 :") == "9 5 1 4 1 3");
  CHECK(answer("add_one 3 1 4 1 5 9 : 0 0") == "4 2 5 2 6 0");
  const DigitInstructions small({.digits = 2, .length = 3});
  CHECK(small.answers(tensor({small.tokens("add_one 0 1 1 :")})).equal(tensor({{1, 0, 0}})));
}

TEST_CASE("digit instructions: rows follow their definition") {
  const DigitInstructions task;
  Generator generator(8);
  constexpr std::int64_t kRows = 10'000;
  const TensorDataset data = task.sample(kRows, generator);
  CHECK(data.inputs.sizes() == Shape{kRows, 14});
  CHECK(data.inputs.dtype() == kInt64);
  CHECK(data.targets.dtype() == kBool);
  CHECK_FALSE(data.targets.slice(1, 0, 8).any().item<bool>());
  CHECK(data.targets.slice(1, 8).all().item<bool>());
  const auto tokens = data.inputs.to_vector<std::int64_t>();
  const auto right = task.answers(data.inputs).to_vector<std::int64_t>();
  std::vector<double> words(14), changes(10);
  for (std::size_t row = 0; row < kRows; ++row) {
    for (std::size_t i = 0; i < 7; ++i) words[static_cast<std::size_t>(tokens[14 * row + i])] += 1;
    for (std::size_t i = 0; i < 6; ++i) {
      const std::int64_t change = tokens[14 * row + 8 + i] - right[6 * row + i];
      changes[static_cast<std::size_t>((change + 10) % 10)] += 1;
    }
  }
  for (std::size_t i = 0; i < 10; ++i) {
    CHECK(near_share(words[i] / (6 * kRows), 0.1, 6 * kRows));
    CHECK(near_share(changes[i] / (6 * kRows), i == 0 ? 0.9 : 0.1 / 9, 6 * kRows));
  }
  for (std::size_t i = 10; i < 13; ++i) CHECK(near_share(words[i] / kRows, 1.0 / 3, kRows));

  // The oracle as a model: what the losses of the house say of it.
  const double loss = task.oracle_loss(data.inputs);
  const Tensor logits = oracle_logits(task, data.inputs);
  CHECK(losses::sft_loss(logits, data.inputs, data.targets).item<double>() ==
        doctest::Approx(loss).epsilon(1e-10));
  CHECK(losses::next_token_loss(logits, data.inputs).item<double>() ==
        doctest::Approx(6 * (std::log(10.0) + loss) / 13).epsilon(1e-10));
  const double jump = std::log(0.9) - std::log(0.1 / 9);
  CHECK(near(loss, task.population_floor(), jump * std::sqrt(0.09), 6 * kRows));
}

TEST_CASE("digit instructions: what makes no sense is refused") {
  CHECK_THROWS_AS(DigitInstructions({.digits = 1}), ValueError);
  CHECK_THROWS_AS(DigitInstructions({.length = 0}), ValueError);
  for (const double noise : {0.0, 1.0, std::nan("")})
    CHECK_THROWS_AS(DigitInstructions({.noise = noise}), ValueError);
  const DigitInstructions task;
  CHECK_THROWS_AS(task.answers(zeros({2, 7}, kInt64)), ShapeError);
  CHECK_THROWS_AS(task.answers(zeros({8}, kInt64)), ShapeError);
  for (const char* prompt :
       {"1 3 1 4 1 5 9 :", ": 3 1 4 1 5 9 :", "copy 3 1 copy 1 5 9 :", "copy 3 1 4 1 5 9 2"}) {
    CAPTURE(prompt);
    CHECK_THROWS_AS(task.answers(tensor({task.tokens(prompt)})), ValueError);
  }
  CHECK_THROWS_AS(task.oracle_loss(task.sample(0).inputs), ShapeError);
  CHECK_THROWS_AS(task.oracle_loss(zeros({2, 8}, kInt64)), ShapeError);
  CHECK_THROWS_AS(task.oracle_loss(tensor({task.tokens("copy 1 1 1 1 1 1 : 1 1 1 1 1 copy")})),
                  ValueError);
  CHECK_THROWS_AS(task.tokens("copy 10"), ValueError);
  CHECK_THROWS_AS(task.text(std::vector<std::int64_t>{14}), IndexError);
}
