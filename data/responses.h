#pragma once

// Responses to prompts, and which of two was preferred, as tensors.

#include <cstdint>
#include <optional>
#include <vector>

#include <retrace/data/dataset.h>
#include <retrace/data/jsonl.h>
#include <retrace/data/tokenizer.h>
#include <retrace/tensor/tensor.h>

namespace retrace::data {

/// Responses as a language model reads them, a row each with its prompt in front; what comes after
/// one, up to the length of the longest, is padding.
struct Responses {
  Tensor tokens;  ///< int64 [responses, length]
  Tensor mask;    ///< bool alike: tokens of responses

  std::int64_t size() const { return tokens.size(0); }
  /// Those with these numbers, int64 of any shape, one behind the other, as long as the longest of
  /// them. IndexError.
  Responses take(const Tensor& numbers) const;
  /// The tokens before a response; all, padding too, where a row has none. IndexError for a number
  /// that there is none of.
  std::vector<std::int64_t> prompt(std::int64_t number) const;
  /// The place of each response's last token, int64 [responses]; 0 where a row has none.
  Tensor last() const;
};

/// Every response behind another prompt: that of the first row with a different one, looked for
/// from half of all rows away on. One that then is too long is cut off. ValueError when all prompts
/// are equal.
Responses mispaired(const Responses& responses);

/// Pairs of responses to one prompt, the preferred one first.
struct PreferencePairs {
  Responses responses;
  /// inputs: numbers of responses, int64 [pairs, 2]; targets: margins, float32 [pairs].
  TensorDataset pairs;
  std::int64_t left_out = 0;  ///< preferences that are too long
};

/// Prompts and responses are encoded one by one (no token reaches from one into the other), with
/// `end`, if given, behind each response. Preferences with a response that does not fit into
/// `context`, its prompt included, are left out and counted.
///
/// ValueError when none is left, naming the shortest; or when tokens of two different texts are
/// the same, which no model can tell apart.
PreferencePairs encode_preferences(const Tokenizer& tokenizer,
                                   const std::vector<Preference>& preferences,
                                   std::optional<std::int64_t> end, std::int64_t context);

}  // namespace retrace::data
