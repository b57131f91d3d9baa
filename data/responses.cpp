#include <retrace/data/responses.h>

#include <algorithm>
#include <limits>

#include <retrace/data/padding.h>
#include <retrace/data/text.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {

Responses Responses::take(const Tensor& numbers) const {
  const std::vector<std::int64_t> rows = numbers.to_vector<std::int64_t>();
  const Responses taken = {take_rows(tokens, rows), take_rows(mask, rows)};
  std::int64_t longest = 1;
  for (const std::int64_t place : taken.last().to_vector<std::int64_t>())
    longest = std::max(longest, place + 1);
  return {taken.tokens.narrow(1, 0, longest).contiguous(),
          taken.mask.narrow(1, 0, longest).contiguous()};
}

std::vector<std::int64_t> Responses::prompt(std::int64_t number) const {
  std::vector<std::int64_t> row = take_rows(tokens, {number})[0].to_vector<std::int64_t>();
  const std::vector<bool> counts = take_rows(mask, {number})[0].to_vector<bool>();
  row.resize(
      static_cast<std::size_t>(std::find(counts.begin(), counts.end(), true) - counts.begin()));
  return row;
}

Tensor Responses::last() const {
  const Tensor places = zeros({size()}, kInt64), dense = as_contiguous(mask);
  const bool* counts = elements<bool>(dense);
  const std::int64_t length = mask.size(1);
  for (std::int64_t r = 0; r < size(); ++r)
    for (std::int64_t t = 0; t < length; ++t)
      if (counts[r * length + t]) elements<std::int64_t>(places)[r] = t;
  return places;
}

Responses mispaired(const Responses& responses) {
  const std::int64_t rows = responses.size(), length = responses.mask.size(1);
  const Responses result = {zeros({rows, length}, kInt64), zeros({rows, length}, kBool)};
  const Tensor tokens = responses.tokens.contiguous(), mask = responses.mask.contiguous();
  const bool* counts = elements<bool>(mask);
  const auto* from = elements<std::int64_t>(tokens);
  std::vector<std::vector<std::int64_t>> prompts;
  for (std::int64_t r = 0; r < rows; ++r) prompts.push_back(responses.prompt(r));
  const auto at = [rows](std::int64_t row) { return static_cast<std::size_t>(row % rows); };
  for (std::int64_t r = 0; r < rows; ++r) {
    std::int64_t place = r * length;
    const std::int64_t end = place + length;
    std::int64_t apart = rows / 2;
    while (apart < rows / 2 + rows && prompts[at(r + apart)] == prompts[at(r)]) ++apart;
    require<ValueError>(
        apart < rows / 2 + rows,
        "mispaired: all {} responses are to one prompt; kto needs two prompts or more", rows);
    const std::int64_t other = (r + apart) % rows * length;
    for (std::int64_t t = other; t < other + length && !counts[t]; ++t)
      elements<std::int64_t>(result.tokens)[place++] = from[t];
    for (std::int64_t t = r * length; t < (r + 1) * length && place < end; ++t) {
      if (!counts[t]) continue;
      elements<std::int64_t>(result.tokens)[place] = from[t];
      elements<bool>(result.mask)[place++] = true;
    }
  }
  return result;
}

PreferencePairs encode_preferences(const Tokenizer& tokenizer,
                                   const std::vector<Preference>& preferences,
                                   std::optional<std::int64_t> end, std::int64_t context) {
  std::vector<TokenRow> rows;
  std::vector<std::int64_t> pairs;
  std::vector<float> margins;
  auto shortest = std::numeric_limits<std::int64_t>::max();
  for (const Preference& preference : preferences) {
    const auto row_of = [&](const std::string& response) {
      return encode_conversation(tokenizer, {{preference.prompt, false}, {response, true}}, end);
    };
    TokenRow chosen = row_of(preference.chosen), rejected = row_of(preference.rejected);
    require<ValueError>(chosen.tokens != rejected.tokens,
                        "encode_preferences: {} and {} have the same tokens; leave the pair out",
                        shown(preference.chosen), shown(preference.rejected));
    const std::int64_t longer = std::max(std::ssize(chosen.tokens), std::ssize(rejected.tokens));
    shortest = std::min(shortest, longer);
    if (longer > context) continue;
    pairs.insert(pairs.end(), {std::ssize(rows), std::ssize(rows) + 1});
    margins.push_back(static_cast<float>(preference.margin));
    rows.push_back(std::move(chosen));
    rows.push_back(std::move(rejected));
  }
  require<ValueError>(!rows.empty(),
                      "encode_preferences: of {} preferences none fits into the {} tokens that the "
                      "model reads, the shortest has {} with its prompt; use a model with a larger "
                      "context",
                      preferences.size(), context, preferences.empty() ? 0 : shortest);
  const TokenBatch batch = pad(rows, 0);
  const std::int64_t count = std::ssize(margins);
  return {.responses = {batch.tokens, batch.mask},
          .pairs = {tensor(pairs).view({count, 2}), tensor(margins)},
          .left_out = std::ssize(preferences) - count};
}

}  // namespace retrace::data
