#include <algorithm>
#include <limits>
#include <map>
#include <numeric>

#include <retrace/data/padding.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

void check(std::string_view op, const std::vector<TokenRow>& rows, std::int64_t longest) {
  require<ValueError>(!rows.empty(), "{}: there are no rows", op);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const TokenRow& row = rows[i];
    require<ValueError>(!row.tokens.empty(), "{}: row {} has no tokens", op, i);
    require<ValueError>(row.learned.size() == row.tokens.size(),
                        "{}: row {} has {} tokens and {} flags of what is learned", op, i,
                        row.tokens.size(), row.learned.size());
    require<ValueError>(std::ssize(row.tokens) <= longest,
                        "{}: row {} has {} tokens, more than the context of {}; cut it, or leave "
                        "it out",
                        op, i, row.tokens.size(), longest);
  }
}

TokenBatch filled(std::int64_t rows, std::int64_t length, std::int64_t token) {
  return {full({rows, length}, token, kInt64), zeros({rows, length}, kBool)};
}

// The row of tokens from `place` of the batch on, counted over all its rows.
void put(const TokenRow& row, std::int64_t place, const TokenBatch& batch) {
  std::copy(row.tokens.begin(), row.tokens.end(), elements<std::int64_t>(batch.tokens) + place);
  std::copy(row.learned.begin(), row.learned.end(), elements<bool>(batch.mask) + place);
}

}  // namespace

TokenRow encode_conversation(const Tokenizer& tokenizer, const Conversation& conversation,
                             std::optional<std::int64_t> end) {
  TokenRow row;
  for (const TextPart& part : conversation) {
    const std::vector<std::int64_t> tokens = tokenizer.encode(part.text);
    row.tokens.insert(row.tokens.end(), tokens.begin(), tokens.end());
    row.learned.insert(row.learned.end(), tokens.size(), part.response);
  }
  if (end) {
    row.tokens.push_back(*end);
    row.learned.push_back(!conversation.empty() && conversation.back().response);
  }
  return row;
}

TokenBatch pad(const std::vector<TokenRow>& rows, std::int64_t pad_id,
               std::optional<std::int64_t> context) {
  check("pad", rows, context.value_or(std::numeric_limits<std::int64_t>::max()));
  std::int64_t length = 0;
  for (const TokenRow& row : rows) length = std::max<std::int64_t>(length, std::ssize(row.tokens));
  const TokenBatch batch = filled(std::ssize(rows), length, pad_id);
  for (std::size_t i = 0; i < rows.size(); ++i)
    put(rows[i], static_cast<std::int64_t>(i) * length, batch);
  return batch;
}

TokenBatch pack(const std::vector<TokenRow>& rows, std::int64_t length, std::int64_t separator) {
  check("pack", rows, length);
  std::vector<std::size_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return rows[a].tokens.size() > rows[b].tokens.size();
  });
  std::vector<std::int64_t> places(rows.size());   // over all blocks
  std::multimap<std::int64_t, std::int64_t> room;  // how much is free -> where, to its block's end
  std::int64_t blocks = 0;
  for (const std::size_t i : order) {
    const std::int64_t size = std::ssize(rows[i].tokens);
    const auto block = room.lower_bound(size + 1);  // with a separator
    std::int64_t free = length;
    if (block != room.end()) {
      places[i] = block->second + 1;
      free = block->first - 1;
      room.erase(block);
    } else {
      places[i] = length * blocks++;
    }
    room.emplace(free - size, places[i] + size);
  }
  const TokenBatch batch = filled(blocks, length, separator);
  for (std::size_t i = 0; i < rows.size(); ++i) put(rows[i], places[i], batch);
  return batch;
}

}  // namespace retrace::data
