#include <cmath>

#include <doctest/doctest.h>

#include <retrace/data/text_blocks.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/data/texts.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::testing;
using data::TextBlocks;
using data::Tokenizer;

TEST_CASE("the tokens of a file are those of its text") {
  const TemporaryFolder folder;
  Generator generator(1);
  std::string text;
  while (text.size() < 2'500'000) text += random_text(80, generator) + " \n";
  data::write_gzip(folder / "t.gz", text);
  const std::string path = folder.put("t", text);
  for (const Tokenizer& tokenizer :
       {Tokenizer::bytes(), Tokenizer::characters(text),
        Tokenizer::bpe(std::string_view(text).substr(0, 10'000), 100)}) {
    const data::TokenFile file = data::read_tokens(path, tokenizer);
    CHECK(file.path == path);
    CHECK(file.bytes == std::ssize(text));
    CHECK(file.tokens.to_vector<std::int64_t>() == tokenizer.encode(text));
    CHECK(data::read_tokens(folder / "t.gz", tokenizer).tokens.equal(file.tokens));
  }
}

TEST_CASE("files that have no tokens are refused, by line") {
  const TemporaryFolder folder;
  const Tokenizer tokenizer = Tokenizer::characters("ab\n");
  const std::string path = folder / "t";
  const auto refusal = [&](const std::string& contents, const Tokenizer& by) {
    folder.put("t", contents);
    return message_of<IoError>([&] { data::read_tokens(path, by); });
  };
  CHECK(refusal("", tokenizer) == path + ": is empty");
  CHECK(says(refusal("a\nb\nax\n", tokenizer),
             path + ":3: tokenizer: the character \"x\" (U+0078) is not in the vocabulary"));
  CHECK(says(refusal("a\nb", Tokenizer::characters("ab")),
             path + ":1: a line end is not in the vocabulary"));
  CHECK(says(refusal("a\n\xff", tokenizer), path + ":2: byte 0xff is not UTF-8"));
}

TEST_CASE("blocks are drawn anywhere; targets are one token further") {
  const TextBlocks blocks(arange(10));
  CHECK(blocks.targets() == 9);
  Generator generator(4);
  std::vector<int> begins(6);
  for (int round = 0; round < 100; ++round) {
    const data::TensorDataset sample = blocks.sample(3, 4, generator);
    CHECK(sample.inputs.sizes() == Shape({3, 4}));
    CHECK(sample.targets.equal(sample.inputs.add(1)));
    for (std::int64_t row = 0; row < 3; ++row) {
      const auto begin = sample.inputs[row][0].item<std::int64_t>();
      CHECK(sample.inputs[row].equal(arange(begin, begin + 4)));
      ++begins[static_cast<std::size_t>(begin)];
    }
  }
  for (const int count : begins) CHECK(count > 20);
  Generator first(9), second(9);
  CHECK(blocks.sample(5, 3, first).inputs.equal(blocks.sample(5, 3, second).inputs));
  CHECK(blocks.sample(2, 9).inputs.equal(arange(9).expand({2, 9})));
  CHECK(message_of<ValueError>([&] { blocks.sample(1, 10); }) ==
        "TextBlocks: a block of 10 tokens needs 11, there are 10");
}

TEST_CASE("each token but the first is a target once") {
  for (std::int64_t size = 2; size < 40; ++size) {
    for (const std::int64_t rows : {1, 2, 3}) {
      for (const std::int64_t length : {1, 4, 7, 50}) {
        std::vector<std::int64_t> targets;
        for (const auto& [inputs, next] : TextBlocks(arange(size)).batches(rows, length)) {
          CHECK(inputs.size(0) <= rows);
          CHECK(inputs.size(1) <= length);
          CHECK(next.equal(inputs.add(1)));
          for (const std::int64_t target : next.to_vector<std::int64_t>())
            targets.push_back(target);
        }
        REQUIRE(targets == arange(1, size).to_vector<std::int64_t>());
      }
    }
  }
  const auto batches = TextBlocks(arange(13)).batches(2, 4);
  CHECK(batches.size() == 2);
  CHECK(batches[0].inputs.equal(tensor({{0, 1, 2, 3}, {4, 5, 6, 7}})));
  CHECK(batches[1].targets.equal(tensor({{9, 10, 11, 12}})));
}

TEST_CASE("the end of a text is held out, and follows upon the rest") {
  const TemporaryFolder folder;
  const Tokenizer tokenizer = Tokenizer::characters("aé語b");
  const data::TokenFile file = data::read_tokens(folder.put("t", "aé語baé語baé語b"), tokenizer);
  const data::TextSplit split = data::split_text(file, tokenizer, 0.29, 4);
  CHECK(split.train.tokens().equal(file.tokens.narrow(0, 0, 9)));
  CHECK(split.test.tokens().equal(file.tokens.narrow(0, 8, 4)));
  CHECK(split.test.targets() == 3);
  CHECK(split.test.target_bytes(tokenizer) == 6);
  CHECK(split.train.target_bytes(tokenizer) == 14);

  CHECK(message_of<IoError>([&] { data::split_text(file, tokenizer, 0.29, 9); }) ==
        folder / "t" +
            ": has 12 tokens, 9 of them to train on and 3 to test on; a block of 9 needs 10 to "
            "train on and 1 to test on: take a longer text, or shorter blocks");
  CHECK(says(message_of<IoError>([&] { data::split_text(file, tokenizer, 0.01, 2); }),
             "12 of them to train"));
  for (const double fraction : {0.0, 1.0, -1.0})
    CHECK_THROWS_AS(data::split_text(file, tokenizer, fraction, 2), ValueError);
  CHECK_THROWS_AS(data::split_text(file, tokenizer, 0.25, 0), ValueError);
}

TEST_CASE("nothing is merged for the sake of what is held out") {
  const TemporaryFolder folder;
  // A word that comes in the last tenth alone, and ends within a character of two bytes.
  std::string text;
  while (text.size() < 9000) text += "the cat sat on the mat. ";
  text.resize(8999);
  text += "é";
  while (text.size() < 10'000) text += " zyxwvutsrq";
  text.resize(10'000);
  const std::string path = folder.put("t", text);
  const auto kind = data::TokenizerKind::bpe;
  const Tokenizer all = Tokenizer::train(kind, path, 100),
                  first = Tokenizer::train(kind, path, 100, 0.1);
  CHECK(all.find(" zyxwvutsrq"));
  CHECK(first.to_json() == Tokenizer::bpe(text.substr(0, 8999), 100).to_json());
  CHECK_FALSE(first.find("zy"));
  const auto splits = [&](const Tokenizer& tokenizer) {
    const data::TextSplit split =
        data::split_text(data::read_tokens(path, tokenizer), tokenizer, 0.1, 8);
    return split.test.target_bytes(tokenizer);
  };
  CHECK(splits(first) <= 1000);
  CHECK(splits(first) > 990);
  CHECK(splits(Tokenizer::bytes()) == 1000);
  // Characters are of all of it.
  CHECK(Tokenizer::train(data::TokenizerKind::character, path, 0, 0.1).find("z"));
  for (const double share : {-0.1, 1.0, std::nan("")})
    CHECK_THROWS_AS(Tokenizer::train(kind, path, 100, share), ValueError);
}

TEST_CASE("tokens that make no blocks are refused") {
  CHECK_THROWS_AS(TextBlocks(ones({3})), DTypeError);
  CHECK_THROWS_AS(TextBlocks(ones({3, 2}, kInt64)), ShapeError);
  CHECK_THROWS_AS(TextBlocks(arange(1)), ValueError);
  const TextBlocks blocks(arange(5));
  CHECK_THROWS_AS(blocks.sample(0, 1), ValueError);
  CHECK_THROWS_AS(blocks.sample(1, 0), ValueError);
  CHECK_THROWS_AS(blocks.batches(0, 1), ValueError);
  CHECK_THROWS_AS(blocks.batches(1, 0), ValueError);
}
