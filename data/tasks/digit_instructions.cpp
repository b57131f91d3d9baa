#include <retrace/data/tasks/digit_instructions.h>

#include <algorithm>
#include <cmath>

#include <retrace/data/tasks/words.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

enum Instruction { kCopy, kReverse, kAddOne, kInstructions };

}  // namespace

DigitInstructions::DigitInstructions(const DigitInstructionsOptions& options) : options_(options) {
  require<ValueError>(options.digits >= 2, "DigitInstructions: needs two digits or more, not {}",
                      options.digits);
  require<ValueError>(options.length >= 1, "DigitInstructions: needs a length of 1 or more, not {}",
                      options.length);
  require<ValueError>(options.noise > 0 && options.noise < 1,
                      "DigitInstructions: noise must lie between 0 and 1, not {}", options.noise);
  for (std::int64_t digit = 0; digit < options.digits; ++digit)
    words_.push_back(std::to_string(digit));
  for (const char* word : {"copy", "reverse", "add_one", ":"}) words_.emplace_back(word);
}

void DigitInstructions::answer(const std::int64_t* prompt, std::int64_t* response) const {
  const std::int64_t instruction = prompt[0] - first_instruction();
  const std::int64_t* digits = prompt + 1;
  std::copy(digits, digits + options_.length, response);
  if (instruction == kReverse) std::reverse(response, response + options_.length);
  if (instruction == kAddOne)
    for (std::int64_t i = 0; i < options_.length; ++i)
      response[i] = (response[i] + 1) % options_.digits;
}

TensorDataset DigitInstructions::sample(std::int64_t rows, Generator& generator) const {
  const std::int64_t length = options_.length, digits = options_.digits;
  TensorDataset data = {empty({rows, row_length()}, kInt64), zeros({rows, row_length()}, kBool)};
  auto* token = elements<std::int64_t>(data.inputs);
  auto* in_response = elements<bool>(data.targets);
  for (std::int64_t row = 0; row < rows; ++row) {
    token[0] = first_instruction() + generator.next_below(kInstructions);
    for (std::int64_t i = 1; i <= length; ++i) token[i] = generator.next_below(digits);
    token[length + 1] = separator();
    std::int64_t* response = token + prompt_length();
    answer(token, response);
    for (std::int64_t i = 0; i < length; ++i) {
      if (generator.next_uniform() >= options_.noise) continue;
      response[i] = (response[i] + 1 + generator.next_below(digits - 1)) % digits;
    }
    std::fill_n(in_response + prompt_length(), length, true);
    token += row_length();
    in_response += row_length();
  }
  return data;
}

Tensor DigitInstructions::answers(const Tensor& tokens) const {
  require<ShapeError>(tokens.dim() == 2 && tokens.size(1) >= prompt_length(),
                      "DigitInstructions: tokens must be [rows, {} or more], not {}",
                      prompt_length(), tokens.sizes());
  const std::vector<std::int64_t> numbers = tokens.to_vector<std::int64_t>();
  Tensor result = empty({tokens.size(0), options_.length}, kInt64);
  auto* response = elements<std::int64_t>(result);
  const std::int64_t* prompt = numbers.data();
  const auto is_digit = [this](std::int64_t x) { return x >= 0 && x < options_.digits; };
  for (std::int64_t row = 0; row < tokens.size(0); ++row) {
    const std::int64_t instruction = prompt[0] - first_instruction();
    require<ValueError>(instruction >= 0 && instruction < kInstructions &&
                            std::all_of(prompt + 1, prompt + 1 + options_.length, is_digit) &&
                            prompt[options_.length + 1] == separator(),
                        "DigitInstructions: row {} does not begin with an instruction, {} digits "
                        "and the separator",
                        row, options_.length);
    answer(prompt, response);
    prompt += tokens.size(1);
    response += options_.length;
  }
  return result;
}

double DigitInstructions::oracle_loss(const Tensor& tokens) const {
  require<ShapeError>(tokens.dim() == 2 && tokens.size(1) == row_length() && tokens.size(0) > 0,
                      "DigitInstructions: tokens must be [rows, {}] with rows > 0, not {}",
                      row_length(), tokens.sizes());
  const std::vector<std::int64_t> right = answers(tokens).to_vector<std::int64_t>();
  const std::vector<std::int64_t> given =
      tokens.narrow(1, prompt_length(), options_.length).to_vector<std::int64_t>();
  const auto others = static_cast<double>(options_.digits - 1);
  double sum = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    require<ValueError>(given[i] >= 0 && given[i] < options_.digits,
                        "DigitInstructions: token {} of a response is not a digit", given[i]);
    sum -= std::log(given[i] == right[i] ? 1 - options_.noise : options_.noise / others);
  }
  return sum / static_cast<double>(given.size());
}

double DigitInstructions::population_floor() const {
  const double eta = options_.noise, others = static_cast<double>(options_.digits - 1);
  return -(1 - eta) * std::log(1 - eta) - eta * std::log(eta / others);
}

double DigitInstructions::all_token_floor() const {
  const auto length = static_cast<double>(options_.length);
  const double digit = std::log(static_cast<double>(options_.digits));
  return length * (digit + population_floor()) / (2 * length + 1);
}

std::string DigitInstructions::text(std::span<const std::int64_t> tokens) const {
  return join_words("DigitInstructions", words_, tokens);
}

std::vector<std::int64_t> DigitInstructions::tokens(std::string_view text) const {
  return split_words("DigitInstructions", words_, text);
}

}  // namespace retrace::data
