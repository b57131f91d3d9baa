#pragma once

#include <span>
#include <string>
#include <vector>

#include <retrace/data/dataset.h>
#include <retrace/tensor/random.h>

namespace retrace::data {

struct DigitInstructionsOptions {
  std::int64_t digits = 10;  ///< how many there are
  std::int64_t length = 6;   ///< L, of what is to be worked on
  double noise = 0.1;        ///< η: how often a token of the response is another digit
};

/// Digits, what to do with them, and the answer, some of it wrong: a task for supervised
/// fine-tuning whose best possible loss is known.
///
///     reverse 3 1 4 1 5 9 : 9 5 1 4 1 3
///
/// A row has 2 L + 2 tokens: one of the instructions copy, reverse and add one (modulo the number
/// of digits), L digits, a separator, L tokens of response; instruction and digits are uniform. A
/// token of the response is right with probability 1 - η, else one of the other digits. The end
/// needs no token of its own, every response having the same length.
///
/// Tokens: the digits, then copy, reverse, add one, then the separator.
class DigitInstructions {
 public:
  /// ValueError for fewer than two digits, no length, a noise outside (0, 1).
  explicit DigitInstructions(const DigitInstructionsOptions& options = {});

  const DigitInstructionsOptions& options() const { return options_; }
  std::int64_t vocab_size() const { return std::ssize(words_); }
  std::int64_t prompt_length() const { return options_.length + 2; }
  std::int64_t row_length() const { return 2 * options_.length + 2; }

  /// Fresh rows: inputs, the tokens, int64 [rows, 2 L + 2]; targets, whether each belongs to the
  /// response, bool alike: what losses::sft_loss takes.
  TensorDataset sample(std::int64_t rows, Generator& generator = default_generator()) const;

  /// The right responses, int64 [rows, L], to rows or prompts int64 [rows, L + 2 or more], of which
  /// only the first L + 2 tokens are read. ShapeError; ValueError for what is no prompt.
  Tensor answers(const Tensor& tokens) const;

  /// Mean over the tokens of the responses of -ln p(token | all before it), on these very rows,
  /// int64 [rows, 2 L + 2]: -ln(1-η) where it is right, -ln(η / (digits - 1)) where not.
  double oracle_loss(const Tensor& tokens) const;
  /// Its mean over all data, -(1-η) ln(1-η) - η ln(η / (digits - 1)): 0.544805431 by default.
  double population_floor() const;
  /// The floor when every token but the first is to be predicted, prompts too: 1.314180 by default,
  /// (L ln digits + L population_floor) / (2 L + 1). The separator costs nothing.
  double all_token_floor() const;

  /// Of each token.
  const std::vector<std::string>& words() const { return words_; }
  /// The words of tokens with blanks between them. IndexError for a token outside the vocabulary.
  std::string text(std::span<const std::int64_t> tokens) const;
  /// The tokens of such a text. ValueError naming a word that is not known.
  std::vector<std::int64_t> tokens(std::string_view text) const;

 private:
  std::int64_t first_instruction() const { return options_.digits; }
  std::int64_t separator() const { return vocab_size() - 1; }
  void answer(const std::int64_t* prompt, std::int64_t* response) const;

  DigitInstructionsOptions options_;
  std::vector<std::string> words_;
};

}  // namespace retrace::data
