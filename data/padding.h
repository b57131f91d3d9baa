#pragma once

// Rows of tokens of different lengths as one tensor, and which of them a model learns to predict.

#include <cstdint>
#include <optional>
#include <vector>

#include <retrace/data/jsonl.h>
#include <retrace/data/tokenizer.h>
#include <retrace/tensor/tensor.h>

namespace retrace::data {

/// A text as tokens.
struct TokenRow {
  std::vector<std::int64_t> tokens;
  std::vector<bool> learned;  ///< for each token: predicting it counts in the loss
};

/// The parts of a conversation, encoded one by one (no token reaches from one into the next);
/// responses are learned. With `end`, that token behind it, learned as the last part is.
TokenRow encode_conversation(const Tokenizer& tokenizer, const Conversation& conversation,
                             std::optional<std::int64_t> end = {});

/// Rows of tokens, padded to one length.
struct TokenBatch {
  Tensor tokens;  ///< int64 [rows, length]
  Tensor mask;    ///< bool [rows, length]: learned; never at padding or separators
};

/// A row each, filled up behind with `pad_id` to the longest: a causal model's tokens never see the
/// padding. As the targets of inputs moved on by one, `tokens` and `mask` lose their first column.
///
/// ValueError for no rows, one without tokens, one with more or fewer flags than tokens, or one
/// longer than `context`.
TokenBatch pad(const std::vector<TokenRow>& rows, std::int64_t pad_id,
               std::optional<std::int64_t> context = {});

/// Several rows behind each other in a block, a `separator` between them and to the block's end:
/// the longest row first, each into the fullest block that has room (best-fit decreasing, Johnson
/// et al. 1974), which needs at most 2 in 9 blocks more than the fewest possible. A token sees the
/// rows before its own in the block, unless attention is masked.
///
/// ValueError as of pad(), for a row longer than `length`.
TokenBatch pack(const std::vector<TokenRow>& rows, std::int64_t length, std::int64_t separator);

}  // namespace retrace::data
