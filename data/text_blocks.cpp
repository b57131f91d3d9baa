#include <algorithm>
#include <cmath>
#include <memory>
#include <span>

#include <retrace/data/text.h>
#include <retrace/data/text_blocks.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

using Ids = std::vector<std::int64_t>;

// What a tokenizer says of a piece, with the line of the file.
Ids encode_piece(const Tokenizer& tokenizer, std::string_view piece, const TextReader& reader) {
  try {
    return tokenizer.encode(piece);
  } catch (const ValueError&) {
    for (std::int64_t line = reader.line(); !piece.empty(); ++line) {
      const std::string_view text = piece.substr(0, piece.find('\n'));
      try {
        tokenizer.encode(text);
      } catch (const ValueError& error) {
        fail<IoError>("{}:{}: {}", reader.path(), line, error.what());
      }
      piece.remove_prefix(std::min(text.size() + 1, piece.size()));
    }
    fail<IoError>("{}:{}: a line end is not in the vocabulary of the tokenizer", reader.path(),
                  reader.line());
  }
}

// A tensor of the numbers, which are not copied.
Tensor as_tensor(Ids ids) {
  const auto owner = std::make_shared<Ids>(std::move(ids));
  return from_blob(owner->data(), {std::ssize(*owner)}, kInt64, owner);
}

void require_block(std::int64_t rows, std::int64_t length) {
  require<ValueError>(rows >= 1 && length >= 1,
                      "TextBlocks: {} rows of {} tokens are none; both must be 1 or more", rows,
                      length);
}

}  // namespace

TokenFile read_tokens(const std::string& path, const Tokenizer& tokenizer,
                      const UnpackLimits& limits) {
  TextReader reader(path, limits);
  Ids ids;
  std::int64_t bytes = 0;
  while (const auto piece = reader.next()) {
    const Ids more = encode_piece(tokenizer, *piece, reader);
    ids.insert(ids.end(), more.begin(), more.end());
    bytes += std::ssize(*piece);
  }
  return {path, as_tensor(std::move(ids)), bytes};
}

TextBlocks::TextBlocks(const Tensor& tokens) {
  require<DTypeError>(tokens.dtype() == kInt64, "TextBlocks: tokens are int64, not {}",
                      tokens.dtype());
  require<ShapeError>(tokens.dim() == 1, "TextBlocks: tokens are [n], not {}", tokens.sizes());
  require<ValueError>(tokens.size(0) >= 2,
                      "TextBlocks: {} tokens have no target; there must be 2 or more",
                      tokens.size(0));
  tokens_ = as_contiguous(tokens);
}

std::int64_t TextBlocks::target_bytes(const Tokenizer& tokenizer) const {
  const std::span<const std::int64_t> all(elements<std::int64_t>(tokens_),
                                          static_cast<std::size_t>(tokens_.numel()));
  return tokenizer.count_bytes(all.subspan(1));
}

TensorDataset TextBlocks::sample(std::int64_t rows, std::int64_t length,
                                 Generator& generator) const {
  require_block(rows, length);
  const std::int64_t starts = targets() - length + 1;
  require<ValueError>(starts >= 1, "TextBlocks: a block of {} tokens needs {}, there are {}",
                      length, length + 1, tokens_.numel());
  const TensorDataset blocks = {empty({rows, length}, kInt64), empty({rows, length}, kInt64)};
  for (std::int64_t row = 0; row < rows; ++row) {
    const auto* begin = elements<std::int64_t>(tokens_) + generator.next_below(starts);
    std::copy_n(begin, length, elements<std::int64_t>(blocks.inputs) + row * length);
    std::copy_n(begin + 1, length, elements<std::int64_t>(blocks.targets) + row * length);
  }
  return blocks;
}

std::vector<TensorDataset> TextBlocks::batches(std::int64_t rows, std::int64_t length) const {
  require_block(rows, length);
  std::vector<TensorDataset> batches;
  for (std::int64_t begin = 0; begin < targets();) {
    const std::int64_t left = targets() - begin;
    const std::int64_t columns = std::min(length, left);
    const std::int64_t count = std::min(rows, left / columns);
    const auto block = [&](std::int64_t first) {
      return tokens_.narrow(0, first, count * columns).view({count, columns});
    };
    batches.push_back({block(begin), block(begin + 1)});
    begin += count * columns;
  }
  return batches;
}

TextSplit split_text(const TokenFile& file, const Tokenizer& tokenizer, double test_fraction,
                     std::int64_t length) {
  require<ValueError>(test_fraction > 0 && test_fraction < 1,
                      "split_text: the fraction to test on must be between 0 and 1, not {}",
                      test_fraction);
  require<ValueError>(length >= 1, "split_text: a block has a token or more, not {}", length);
  const std::int64_t tokens = file.tokens.numel();
  const auto* ids = elements<std::int64_t>(file.tokens);
  std::int64_t train = tokens, left = held_out_bytes(file.bytes, test_fraction);
  while (train > 0 && (left -= std::ssize(tokenizer.token(ids[train - 1]))) >= 0) --train;
  const std::int64_t test = tokens - train;
  require<IoError>(test >= 1 && train > length,
                   "{}: has {} tokens, {} of them to train on and {} to test on; a block of {} "
                   "needs {} to train on and 1 to test on: take a longer text, or shorter blocks",
                   file.path, tokens, train, test, length, length + 1);
  return {TextBlocks(file.tokens.narrow(0, 0, train)),
          TextBlocks(file.tokens.narrow(0, train - 1, test + 1))};
}

}  // namespace retrace::data
