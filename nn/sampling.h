#pragma once

// Text from a language model, token by token.

#include <functional>
#include <optional>
#include <vector>

#include <retrace/nn/language_model.h>

namespace retrace {
class Generator;
}

namespace retrace::nn {

struct SamplingOptions {
  bool greedy = false;     ///< always the most probable token, the first of equals
  double temperature = 1;  ///< above 0; what logits are divided by: below 1 bolder, above 1 wilder
  std::int64_t top_k = 0;  ///< only the k most probable; 0: all
  double top_p = 1;        ///< only the most probable that have this share together; in (0, 1]
  Generator* generator = nullptr;  ///< by default default_generator()
};

/// A token for each row of logits [rows, V]: int64 [rows]. First the temperature, then top_k, then
/// top_p; what is left is drawn by softmax, one number of the generator a row.
/// Errors: ShapeError, DTypeError; ValueError for options outside their ranges, and for a row that
/// has NaN or nothing but -infinity.
/// Source: top_p, nucleus sampling, Holtzman et al. 2019, arXiv:1904.09751, section 3.1.
Tensor sample_tokens(const Tensor& logits, const SamplingOptions& options = {});

struct GenerateOptions {
  std::int64_t max_new_tokens = 100;      ///< a row
  std::optional<std::int64_t> stop = {};  ///< a row ends behind this token
  SamplingOptions sampling = {};
  bool use_cache = true;  ///< false: the whole text is read for every token, to the same effect
  /// Told of every new token of the first row as soon as there is one; false ends all.
  std::function<bool(std::int64_t token)> on_token = {};
};

/// Continues each prompt, and returns the new tokens of each. Rows may differ in length: all are
/// read together, and those of longer prompts join in later. A text that reaches the model's
/// context goes on from its second half. In evaluation mode, unrecorded.
/// Errors: ValueError for no prompt or an empty one, one longer than the context, or a number of
/// tokens below 0; IndexError for a token outside the vocabulary; those of sample_tokens.
std::vector<std::vector<std::int64_t>> generate(
    const Gpt& model, const std::vector<std::vector<std::int64_t>>& prompts,
    const GenerateOptions& options = {});

}  // namespace retrace::nn
