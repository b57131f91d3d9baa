#pragma once

// Texts as blocks of tokens, for models that predict each token from those before it.

#include <string>
#include <vector>

#include <retrace/data/dataset.h>
#include <retrace/data/gzip.h>
#include <retrace/data/tokenizer.h>
#include <retrace/tensor/random.h>

namespace retrace::data {

/// The text of a file as tokens, in order.
struct TokenFile {
  std::string path;
  Tensor tokens;           ///< int64 [n]
  std::int64_t bytes = 0;  ///< of the text
};

/// Encodes a file, plain or gzip, piece by piece: its text is never in memory as a whole. IoError
/// as of TextReader, and for a character that the tokenizer does not know, with its line.
TokenFile read_tokens(const std::string& path, const Tokenizer& tokenizer,
                      const UnpackLimits& limits = {});

/// Tokens of which each but the first is the target of those before it.
class TextBlocks {
 public:
  /// int64 [n], n >= 2; DTypeError, ShapeError or ValueError for others.
  explicit TextBlocks(const Tensor& tokens);

  const Tensor& tokens() const { return tokens_; }
  std::int64_t targets() const { return tokens_.size(0) - 1; }
  /// Of the targets' text: what bits per byte are counted by.
  std::int64_t target_bytes(const Tokenizer& tokenizer) const;

  /// Blocks that begin anywhere, drawn alike and put back: inputs int64 [rows, length], targets the
  /// same moved on by one token. ValueError unless there are length + 1 tokens.
  TensorDataset sample(std::int64_t rows, std::int64_t length,
                       Generator& generator = default_generator()) const;

  /// One block behind the other, so that each target comes exactly once: views [rows, length] of
  /// inputs and targets, a last one of fewer rows, and at the end a block [1, what is left].
  /// ValueError for rows or length below 1.
  std::vector<TensorDataset> batches(std::int64_t rows, std::int64_t length) const;

 private:
  Tensor tokens_;
};

/// Of one text, its end held out. The first token to test on follows upon the last to train on.
struct TextSplit {
  TextBlocks train, test;
};

/// The targets to test on are the tokens within the last held_out_bytes(file.bytes, test_fraction),
/// of which Tokenizer::train(..., test_fraction) knows nothing. `tokenizer` is the file's. IoError,
/// beginning with the path, unless what is left to train on has length + 1 tokens, and a token is
/// left to test on; ValueError for a fraction outside (0, 1).
TextSplit split_text(const TokenFile& file, const Tokenizer& tokenizer, double test_fraction,
                     std::int64_t length);

}  // namespace retrace::data
