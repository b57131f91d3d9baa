#include <doctest/doctest.h>

#include <algorithm>

#include <retrace/data/text.h>
#include <retrace/tensor/error.h>
#include <retrace/tensor/utf8.h>
#include <retrace/tests/data/texts.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::testing;

TEST_CASE("characters and their code points") {
  const std::string text = "a\u00e9\u8a9e\U0001f642\u07ff\u0800\U00010000\U0010ffff";
  std::vector<std::uint32_t> codes;
  std::vector<std::size_t> sizes;
  for (std::string_view rest = text; !rest.empty();) {
    codes.push_back(static_cast<std::uint32_t>(first_code_point(rest)));
    sizes.push_back(first_character(rest).size());
    rest.remove_prefix(sizes.back());
  }
  CHECK(codes ==
        std::vector<std::uint32_t>{0x61, 0xe9, 0x8a9e, 0x1f642, 0x7ff, 0x800, 0x10000, 0x10ffff});
  CHECK(sizes == std::vector<std::size_t>{1, 2, 3, 4, 2, 3, 4, 4});
}

TEST_CASE("pieces of a file are the file, cut in front of a space") {
  const TemporaryFolder folder;
  Generator generator(11);
  for (int round = 0; round < 200; ++round) {
    const std::string text = random_text(1 + generator.next_below(200), generator);
    const auto piece_bytes = static_cast<std::size_t>(1 + generator.next_below(40));
    const std::string path = folder.put("t", "\xef\xbb\xbf" + text);
    data::TextReader reader(path, {}, piece_bytes);
    std::string joined;
    Words words;
    while (const auto piece = reader.next()) {
      CHECK(reader.line() == 1 + std::count(joined.begin(), joined.end(), '\n'));
      CHECK(is_utf8(*piece));
      joined += *piece;
      for (std::string& word : words_of(*piece)) words.push_back(std::move(word));
    }
    REQUIRE(joined == text);
    REQUIRE(words == words_of(text));
    CHECK_FALSE(reader.next());
  }
}

TEST_CASE("pieces are checked as they come") {
  const TemporaryFolder folder;
  const std::string path = folder.put("t", "one\ntwo\nthr\xff\n");
  data::TextReader reader(path, {}, 4);
  CHECK(reader.next() == "one");
  CHECK(reader.next() == "\ntwo");
  CHECK(message_of<IoError>([&] { reader.next(); }) ==
        path + ":3: byte 0xff is not UTF-8; save the file as UTF-8");
  const auto refusal = [&](const std::string& contents) {
    return message_of<IoError>([&] { data::TextReader(folder.put("t", contents), {}, 4).next(); });
  };
  CHECK(refusal("") == path + ": is empty");
  CHECK(refusal("\xef\xbb\xbf") == path + ": is empty");
  CHECK(says(refusal("\xff\xfe"
                     "a"),
             "is UTF-16"));
  CHECK_THROWS_AS(data::TextReader(path, {}, 0), ValueError);
}

TEST_CASE("an excerpt has forty bytes of a text, no half characters and no line ends") {
  const std::string text(40, 'a');
  CHECK(data::excerpt(text) == text);
  CHECK(data::excerpt(text + "b") == text + "...");
  CHECK(data::excerpt(text.substr(1) + "\u00e9") == text.substr(1) + "...");
  CHECK(data::excerpt("a\nb\tc") == "a b c");
}
