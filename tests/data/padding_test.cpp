#include <doctest/doctest.h>

#include <map>

#include <retrace/data/padding.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::testing;
using data::TokenBatch;
using data::Tokenizer;
using data::TokenRow;

namespace {

Tensor flags(const data::TokenBatch& batch) { return batch.mask.to(kInt64); }

}  // namespace

TEST_CASE("a conversation is encoded part by part, its responses learned") {
  Tokenizer tokenizer = Tokenizer::bpe("ab ab ab", 5);
  const std::int64_t end = tokenizer.add_special("<|end|>");
  const data::Conversation conversation = {{"xa", false}, {"b", true}};
  const TokenRow row = data::encode_conversation(tokenizer, conversation, end);
  // "ab" would be one token, were it not cut.
  CHECK(row.tokens == std::vector<std::int64_t>{'x', 'a', 'b', end});
  CHECK(row.learned == std::vector<bool>{false, false, true, true});
  CHECK(data::encode_conversation(tokenizer, conversation).tokens.size() == 3);
  CHECK(data::encode_conversation(tokenizer, {{"a", true}, {"b", false}}, end).learned ==
        std::vector<bool>{true, false, false});
}

TEST_CASE("rows are filled up to the longest") {
  const std::vector<TokenRow> rows = {{{1, 2, 3}, {false, true, true}}, {{4}, {true}}};
  const TokenBatch batch = data::pad(rows, 9);
  CHECK(batch.tokens.equal(tensor({{1, 2, 3}, {4, 9, 9}})));
  CHECK(batch.mask.dtype() == kBool);
  CHECK(flags(batch).equal(tensor({{0, 1, 1}, {1, 0, 0}})));
  CHECK(data::pad(rows, 9, 3).tokens.equal(batch.tokens));
  CHECK(message_of<ValueError>([&] { data::pad(rows, 9, 2); }) ==
        "pad: row 0 has 3 tokens, more than the context of 2; cut it, or leave it out");
}

TEST_CASE("rows are packed into few blocks") {
  const std::vector<TokenRow> rows = {{{1, 1}, {true, true}},
                                      {{2, 2, 2, 2}, {false, true, true, true}},
                                      {{3}, {true}},
                                      {{4}, {false}}};
  const TokenBatch batch = data::pack(rows, 5, 0);
  CHECK(batch.tokens.equal(tensor({{2, 2, 2, 2, 0}, {1, 1, 0, 3, 0}, {4, 0, 0, 0, 0}})));
  CHECK(flags(batch).equal(tensor({{0, 1, 1, 1, 0}, {1, 1, 0, 1, 0}, {0, 0, 0, 0, 0}})));
  CHECK(data::pack(rows, 11, 0).tokens.equal(tensor({{2, 2, 2, 2, 0, 1, 1, 0, 3, 0, 4}})));
  CHECK(message_of<ValueError>([&] { data::pack(rows, 3, 0); }) ==
        "pack: row 1 has 4 tokens, more than the context of 3; cut it, or leave it out");
}

TEST_CASE("every row is in a block, whole, and blocks are well filled") {
  Generator generator(8);
  for (int round = 0; round < 50; ++round) {
    const std::int64_t length = 1 + generator.next_below(40);
    std::vector<TokenRow> rows(static_cast<std::size_t>(1 + generator.next_below(60)));
    std::int64_t total = 0;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto size = static_cast<std::size_t>(1 + generator.next_below(length));
      rows[i].tokens.assign(size, static_cast<std::int64_t>(i) + 1);
      rows[i].learned.assign(size, i % 2 == 0);
      total += static_cast<std::int64_t>(size) + 1;
    }
    const TokenBatch batch = data::pack(rows, length, 0);
    REQUIRE(batch.tokens.size(1) == length);
    // Two blocks together are more than full, or they would be one.
    CHECK(batch.tokens.size(0) <= 2 * total / (length + 1) + 1);
    std::map<std::int64_t, std::vector<std::int64_t>> places;
    const auto tokens = batch.tokens.to_vector<std::int64_t>();
    const auto mask = batch.mask.to_vector<bool>();
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      CHECK(mask[i] == (tokens[i] % 2 == 1));
      if (tokens[i] != 0) places[tokens[i]].push_back(static_cast<std::int64_t>(i));
    }
    REQUIRE(places.size() == rows.size());
    for (const auto& [token, where] : places) {
      CHECK(where.size() == rows[static_cast<std::size_t>(token - 1)].tokens.size());
      CHECK(where.back() - where.front() == std::ssize(where) - 1);
      CHECK(where.back() / length == where.front() / length);
    }
  }
}

TEST_CASE("rows that make no batch are refused") {
  for (const bool packed : {false, true}) {
    const auto refusal = [&](const std::vector<TokenRow>& rows) {
      return message_of<ValueError>([&] { packed ? data::pack(rows, 8, 0) : data::pad(rows, 0); });
    };
    CHECK(says(refusal({}), "there are no rows"));
    CHECK(says(refusal({{{1}, {true}}, {{}, {}}}), "row 1 has no tokens"));
    CHECK(says(refusal({{{1, 2}, {true}}}), "row 0 has 2 tokens and 1 flags"));
  }
}
