#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <map>

#include <nlohmann/json.hpp>

#include <retrace/data/gzip.h>
#include <retrace/data/tokenizer.h>
#include <retrace/tests/data/texts.h>
#include <retrace/tests/files.h>

using namespace retrace;
using namespace retrace::testing;
using data::Tokenizer;
using data::TokenizerKind;

namespace {

using Ids = std::vector<std::int64_t>;
// The rule as it is written down, without any of the shortcuts.
Ids merged_naively(const Tokenizer& tokenizer, std::string_view word,
                   const std::vector<std::pair<std::string, std::string>>& merges) {
  Words tokens;
  for (const char byte : word) tokens.emplace_back(1, byte);
  for (;;) {
    const auto best = std::find_if(merges.begin(), merges.end(), [&](const auto& merge) {
      for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
        if (tokens[i] == merge.first && tokens[i + 1] == merge.second) return true;
      }
      return false;
    });
    if (best == merges.end()) break;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) {
      if (tokens[i] != best->first || tokens[i + 1] != best->second) continue;
      tokens[i] += tokens[i + 1];
      tokens.erase(tokens.begin() + static_cast<std::ptrdiff_t>(i) + 1);
    }
  }
  Ids ids;
  for (const std::string& token : tokens) ids.push_back(tokenizer.find(token).value());
  return ids;
}

}  // namespace

TEST_CASE("words are cut as GPT-2 cuts them") {
  CHECK(words_of("I'll say: it's 42!\n\n  ok \t") ==
        Words{"I", "'ll", " say", ":", " it", "'s", " 42", "!", "\n\n ", " ok", " \t"});
  CHECK(words_of("DON'T don't") == Words{"DON", "'", "T", " don", "'t"});
  CHECK(words_of("naïve１２三") == Words{"naïve", "１２", "三"});
  CHECK(words_of("a\u00a0\u3000b") == Words{"a", "\u00a0", "\u3000", "b"});
  CHECK(words_of("x\u180ey") == Words{"x", "\u180e", "y"});
  CHECK(words_of("a\xff\xfeg\xc3") == Words{"a", "\xff", "\xfe", "g", "\xc3"});
  CHECK(words_of("").empty());
}

TEST_CASE("words put together are the text, and a text may be cut in front of a space") {
  Generator generator(3);
  for (int round = 0; round < 300; ++round) {
    const std::string text = round % 2 ? random_bytes(100, generator) : random_text(100, generator);
    const Words whole = words_of(text);
    std::string joined;
    for (const std::string& word : whole) joined += word;
    REQUIRE(joined == text);
    for (std::size_t i = 1; i < text.size(); ++i) {
      if (text[i] != ' ' || !std::isalpha(static_cast<unsigned char>(text[i - 1]))) continue;
      Words parts = words_of(text.substr(0, i));
      for (std::string& word : words_of(text.substr(i))) parts.push_back(std::move(word));
      REQUIRE(parts == whole);
    }
  }
}

TEST_CASE("a long run is one word") {
  for (const char* unit : {"a", "7", "!", "\n", "語"}) {
    std::string text;
    for (int i = 0; i < 300'000; ++i) text += unit;
    CHECK(words_of(text).size() == 1);
  }
}

TEST_CASE("kinds have names") {
  for (const auto kind : {TokenizerKind::byte, TokenizerKind::character, TokenizerKind::bpe})
    CHECK(data::tokenizer_kind(data::name_of(kind)) == kind);
  CHECK(data::name_of(TokenizerKind::character) == "char");
  CHECK(message_of<ValueError>([] { data::tokenizer_kind("word"); }) ==
        "there is no tokenizer \"word\"; there are byte, char, bpe");
}

TEST_CASE("bytes are their values") {
  const Tokenizer tokenizer = Tokenizer::bytes();
  CHECK(tokenizer.kind() == TokenizerKind::byte);
  CHECK(tokenizer.size() == 256);
  CHECK(tokenizer.encode("A\xff") == Ids{65, 255});
  CHECK(tokenizer.decode(Ids{65, 255}) == "A\xff");
  CHECK(tokenizer.token(10) == "\n");
  CHECK(tokenizer.find("a") == 97);
  CHECK_FALSE(tokenizer.find("ab"));
}

TEST_CASE("characters are sorted by code point") {
  const Tokenizer tokenizer = Tokenizer::characters("hé, 語🙂h");
  CHECK(tokenizer.kind() == TokenizerKind::character);
  CHECK(tokenizer.size() == 6);
  CHECK(tokenizer.encode("éh🙂 ") == Ids{3, 2, 5, 0});
  CHECK(tokenizer.decode(Ids{4, 1}) == "語,");
  CHECK(tokenizer.count_bytes(Ids{4, 1}) == 4);
  CHECK(says(message_of<ValueError>([&] { tokenizer.encode("hß"); }),
             "the character \"ß\" (U+00DF) is not in the vocabulary; train on a text that has it"));
  CHECK(says(message_of<ValueError>([&] { tokenizer.encode("\n"); }),
             "the character  (U+000A) is not"));
  CHECK(says(message_of<ValueError>([&] { tokenizer.encode("h\xff"); }), "byte 0xff at 1"));
  CHECK_THROWS_AS(Tokenizer::characters(""), ValueError);
  CHECK_THROWS_AS(Tokenizer::characters("\xc3"), ValueError);
}

TEST_CASE("the pair that comes most often is merged first") {
  // "ab" comes 3 times, as often as "bc"; its numbers are lower. Then "abc" comes 3 times.
  const Tokenizer tokenizer = Tokenizer::bpe("abc abc abc", 10);
  CHECK(tokenizer.kind() == TokenizerKind::bpe);
  CHECK(tokenizer.size() == 259);
  CHECK(tokenizer.token(256) == "ab");
  CHECK(tokenizer.token(257) == "abc");
  CHECK(tokenizer.token(258) == " abc");
  CHECK(tokenizer.encode("abc abcb ab") == Ids{257, 258, 98, 32, 256});
  CHECK(Tokenizer::bpe("abc abc abc", 1).size() == 257);
  // Pairs of a run overlap; they are merged from the left.
  CHECK(Tokenizer::bpe("aaaaa", 1).encode("aaaaa") == Ids{256, 256, 97});
  CHECK(says(message_of<ValueError>([] { Tokenizer::bpe("abc", 5); }), "no pair of bytes comes"));
  CHECK(says(message_of<ValueError>([] { Tokenizer::bpe("aaaa", 0); }), "0 merges are none"));
}

TEST_CASE("byte pairs give back any bytes, and are merged as the rule says") {
  Generator generator(1);
  for (int round = 0; round < 20; ++round) {
    const bool is_text = round % 2;
    const auto sample = [&](std::int64_t size) {
      return is_text ? random_text(size, generator) : random_bytes(size, generator);
    };
    const std::string text = sample(3000) + sample(300) + std::string(50, 'z');
    const Tokenizer tokenizer = Tokenizer::bpe(text, 200);
    std::vector<std::pair<std::string, std::string>> merges;
    const std::string json = tokenizer.to_json();
    for (const data::Merge& merge : tokenizer.merges())
      merges.emplace_back(tokenizer.token(merge.left), tokenizer.token(merge.right));
    for (int i = 0; i < 20; ++i) {
      const std::string other = i % 2 ? random_bytes(60, generator) : sample(60);
      const Ids ids = tokenizer.encode(other);
      REQUIRE(tokenizer.decode(ids) == other);
      REQUIRE(tokenizer.count_bytes(ids) == std::ssize(other));
      Ids naive;
      for (const std::string& word : words_of(other)) {
        const Ids merged = merged_naively(tokenizer, word, merges);
        naive.insert(naive.end(), merged.begin(), merged.end());
      }
      REQUIRE(ids == naive);
    }
  }
}

TEST_CASE("training counts pairs as if from scratch after each merge") {
  Generator generator(2);
  for (int round = 0; round < 10; ++round) {
    // Of few letters, so that runs and overlaps abound.
    std::string text;
    for (int i = 0; i < 400; ++i) text += "aab "[generator.next_below(4)];
    const Tokenizer tokenizer = Tokenizer::bpe(text, 60);
    std::vector<Words> words;
    for (const std::string& word : words_of(text)) {
      words.emplace_back();
      for (const char byte : word) words.back().emplace_back(1, byte);
    }
    for (const data::Merge& merge : tokenizer.merges()) {
      std::map<std::pair<std::int64_t, std::int64_t>, int> counts;
      for (const Words& word : words) {
        for (std::size_t i = 0; i + 1 < word.size(); ++i)
          ++counts[{tokenizer.find(word[i]).value(), tokenizer.find(word[i + 1]).value()}];
      }
      const auto best = std::max_element(counts.begin(), counts.end(),
                                         [](auto& a, auto& b) { return a.second < b.second; });
      REQUIRE(best->second >= 2);
      REQUIRE(best->first == std::pair<std::int64_t, std::int64_t>(merge.left, merge.right));
      for (Words& word : words) {
        for (std::size_t i = 0; i + 1 < word.size(); ++i) {
          if (word[i] != tokenizer.token(merge.left) || word[i + 1] != tokenizer.token(merge.right))
            continue;
          word[i] += word[i + 1];
          word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
      }
    }
  }
}

TEST_CASE("an excerpt of GPT-2's vocabulary gives its tokens") {
  const std::string folder = RETRACE_SOURCE_DIR "/tests/data/gpt2_excerpt";
  const Tokenizer tokenizer = Tokenizer::load(folder);
  CHECK(tokenizer.kind() == TokenizerKind::bpe);
  CHECK(tokenizer.token(0) == "!");
  CHECK(tokenizer.find(" ") == 220);
  CHECK(tokenizer.find("<|endoftext|>") == tokenizer.size() - 1);
  const auto cases = nlohmann::json::parse(contents_of(folder + "/ids.json"));
  CHECK(cases.size() == 16);
  for (const auto& row : cases) {
    const auto text = row["text"].get<std::string>();
    CHECK(tokenizer.encode(text) == row["ids"].get<Ids>());
    CHECK(tokenizer.decode(row["ids"].get<Ids>()) == text);
  }
}

TEST_CASE("merges apply in their order, all places of one before what it makes") {
  const TemporaryFolder folder;
  Tokenizer::bpe("abab", 1).save(folder.path());
  auto vocabulary = nlohmann::json::parse(contents_of(folder / "vocab.json"));
  vocabulary.erase("ab");
  int id = 256;
  for (const char* token : {"bc", "abc", "abcab", "ab"}) vocabulary[token] = id++;
  folder.put("vocab.json", vocabulary.dump());
  // "abc" comes of (a, bc) or of (ab, c): two merges, one token.
  folder.put("merges.txt", "#version: 0.2\r\na bc\r\nabc ab\r\na b\r\nab c\r\nb c");
  const Tokenizer tokenizer = Tokenizer::load(folder.path());
  // Both places of (ab, c) were merged before (abc, ab) could be.
  CHECK(tokenizer.encode("abcabc") == Ids{257, 257});
  CHECK(tokenizer.encode("abcab") == Ids{258});
  CHECK(tokenizer.encode("bc") == Ids{256});
}

TEST_CASE("special tokens are written, never read") {
  for (Tokenizer tokenizer : {Tokenizer::bytes(), Tokenizer::characters("a<|end>"),
                              Tokenizer::bpe("<|end|> <|end|> <|end|>", 4)}) {
    const std::int64_t size = tokenizer.size();
    CHECK(tokenizer.add_special("<|end|>") == size);
    CHECK(tokenizer.size() == size + 1);
    CHECK(tokenizer.find("<|end|>") == size);
    CHECK(tokenizer.token(size) == "<|end|>");
    const Ids ids = tokenizer.encode("<|end|>");
    CHECK(std::find(ids.begin(), ids.end(), size) == ids.end());
    CHECK(tokenizer.decode(ids) == "<|end|>");
    CHECK(tokenizer.decode(Ids{size}) == "<|end|>");
    CHECK(says(message_of<ValueError>([&] { tokenizer.add_special("<|end|>"); }), "already"));
    for (const char* bad : {"", "<>", "end", "<a b>", "<é>", "<a]", "<a"}) {
      CHECK(says(message_of<ValueError>([&] { tokenizer.add_special(bad); }),
                 "a special token is called <...> or [...]"));
    }
    CHECK(tokenizer.size() == size + 1);
    for (const std::int64_t id : {std::int64_t{-1}, size + 1}) {
      CHECK(message_of<IndexError>([&] {
              tokenizer.decode(Ids{0, id});
            }) == "tokenizer: " + std::to_string(id) + " is not one of its " +
                      std::to_string(size + 1) + " tokens");
      CHECK_THROWS_AS(tokenizer.token(id), IndexError);
      CHECK_THROWS_AS(tokenizer.count_bytes(Ids{id}), IndexError);
    }
  }
  // A token that the text has by itself.
  Tokenizer tokenizer = Tokenizer::bpe("[!!] [!!] [!!]", 9);
  CHECK(says(message_of<ValueError>([&] { tokenizer.add_special("[!!]"); }), "already"));
}

TEST_CASE("a tokenizer is saved and loaded as what it is") {
  Generator generator(5);
  const TemporaryFolder folder;
  // One after the other in one folder: what an earlier kind left does not matter.
  for (Tokenizer tokenizer : {Tokenizer::bpe(random_bytes(5000, generator) + "aaaaaaaaa", 50),
                              Tokenizer::characters("é\"\\\n\x01語 <x>"), Tokenizer::bytes(),
                              Tokenizer::characters("a"), Tokenizer::bpe("the the the cat", 5)}) {
    for (int specials = 0; specials < 2; ++specials) {
      tokenizer.save(folder / "deep");
      const Tokenizer loaded = Tokenizer::load(folder / "deep");
      CHECK(loaded.kind() == tokenizer.kind());
      CHECK(loaded.to_json() == tokenizer.to_json());
      const Tokenizer parsed = Tokenizer::from_json(tokenizer.to_json());
      CHECK(parsed.to_json() == tokenizer.to_json());
      for (std::int64_t id = 0; id < tokenizer.size(); ++id) {
        CHECK(loaded.token(id) == tokenizer.token(id));
        CHECK(parsed.token(id) == tokenizer.token(id));
      }
      if (tokenizer.kind() != TokenizerKind::character) {
        const std::string text = random_bytes(500, generator);
        CHECK(loaded.encode(text) == tokenizer.encode(text));
      }
      if (specials == 0) tokenizer.add_special("<|endoftext|>");
    }
  }
  CHECK(std::distance(std::filesystem::directory_iterator(folder / "deep"), {}) == 2);
  CHECK(contents_of(folder / "deep/merges.txt") == "#version: 0.2\nh e\nt he\nĠ the\n");
  CHECK(says(message_of<IoError>([&] { Tokenizer::bytes().save(folder.put("file", "") + "/in"); }),
             "cannot make the folder"));
}

TEST_CASE("a tokenizer that cannot be saved leaves the old one; files of two are refused") {
  const TemporaryFolder folder;
  const Tokenizer bpe = Tokenizer::bpe("the the the cat", 5),
                  characters = Tokenizer::characters("abc");
  const auto path = [&](const char* of, const char* name) { return folder / of + "/" + name; };
  bpe.save(folder / "bpe");
  characters.save(folder / "characters");
  // Its vocabulary has no place, and then its merges have none.
  for (const char* blocked : {"vocab.json", "merges.txt"}) {
    const std::string other = std::string("vocab.json") == blocked ? "merges.txt" : "vocab.json";
    std::filesystem::create_directories(path("blocked", blocked));
    std::filesystem::copy_file(path("bpe", other.c_str()), path("blocked", other.c_str()));
    for (const Tokenizer* tokenizer : {&characters, &bpe}) {
      if (tokenizer == &characters && other == "vocab.json") continue;
      CHECK(says(message_of<IoError>([&] { tokenizer->save(folder / "blocked"); }), "is a folder"));
      CHECK(contents_of(path("blocked", other.c_str())) == contents_of(path("bpe", other.c_str())));
    }
    std::filesystem::remove_all(folder / "blocked");
  }
  // As a process leaves them that is killed between the two.
  std::filesystem::copy_file(path("bpe", "merges.txt"), path("characters", "merges.txt"));
  CHECK(says(message_of<IoError>([&] { Tokenizer::load(folder / "characters"); }), "merges.txt"));
}

TEST_CASE("a tokenizer is trained on a file, in pieces or not") {
  const TemporaryFolder folder;
  Generator generator(7);
  std::string text;
  while (text.size() < 1'500'000) text += random_text(50, generator) + " \n";
  data::write_gzip(folder / "t.gz", text);
  const std::string path = folder.put("t", text);
  CHECK(Tokenizer::train(TokenizerKind::bpe, path, 50).to_json() ==
        Tokenizer::bpe(text, 50).to_json());
  CHECK(Tokenizer::train(TokenizerKind::character, folder / "t.gz", 0).to_json() ==
        Tokenizer::characters(text).to_json());
  CHECK(Tokenizer::train(TokenizerKind::byte, path, 0).size() == 256);

  const auto refusal = [&](const std::string& contents) {
    return message_of<IoError>(
        [&] { Tokenizer::train(TokenizerKind::bpe, folder.put("t", contents), 5); });
  };
  CHECK(refusal("") == path + ": is empty");
  CHECK(refusal("a\n\xff") == path + ":2: byte 0xff is not UTF-8; save the file as UTF-8");
  CHECK(says(refusal("abc"), path + ": tokenizer: no pair of bytes comes twice"));
  CHECK_THROWS_AS(Tokenizer::train(TokenizerKind::bpe, path, 0), ValueError);
}

namespace {

// What load() says of two files, from the folder's end on; without the second one for "-".
std::string refusal(const std::string& vocabulary, const std::string& merges = "-") {
  const TemporaryFolder folder;
  folder.put("vocab.json", vocabulary);
  if (merges != "-") folder.put("merges.txt", merges);
  const std::string message = message_of<IoError>([&] { Tokenizer::load(folder.path()); });
  CHECK(message.starts_with(folder.path() + "/"));
  return message.substr(std::min(message.size(), folder.path().size() + 1));
}

std::string byte_vocabulary(const std::string& more = "") {
  const TemporaryFolder folder;
  Tokenizer::bytes().save(folder.path());
  const std::string text = contents_of(folder / "vocab.json");
  return text.substr(0, text.rfind('}')) + more + "}";
}

}  // namespace

TEST_CASE("vocabularies that make no sense are refused") {
  const TemporaryFolder folder;
  CHECK(says(message_of<IoError>([&] { Tokenizer::load(folder / "none"); }),
             "none/vocab.json: cannot open for reading: No such file"));
  CHECK(refusal("{\"a\": 0,\n\"b\"}") == "vocab.json:2: is not JSON");
  CHECK(refusal("") == "vocab.json:1: is not JSON");
  CHECK(refusal("{\"a\": 1e999}") == "vocab.json: has a number that is too large");
  CHECK(says(refusal("[1]"), "vocab.json: is no vocabulary"));
  CHECK(says(refusal("{}"), "is no vocabulary"));
  CHECK(refusal(R"({"a": 0, "b": 1, "a": 2})") == "vocab.json: \"a\" comes twice in one object");
  CHECK(refusal(R"({"a": 0, "b": 2})") ==
        "vocab.json: the token \"b\" has the id \"2\"; the 2 tokens of a vocabulary have 0 .. 1");
  CHECK(refusal(R"({"a": 0, "b": 0})") ==
        "vocab.json: the tokens \"a\" and \"b\" both have the id 0");
  for (const char* id : {"-1", "0.5", "\"0\"", "null", "18446744073709551615"})
    CHECK(says(refusal(std::string("{\"a\": ") + id + "}"), "the token \"a\" has the id "));
  CHECK(says(refusal(R"({"": 0})"), "a token is empty"));
  CHECK(says(refusal(R"({"a": 0, "Ġthe": 1})"),
             "\"Ġthe\" is neither a character nor special, in <> or []; byte pairs need "));
  CHECK(says(refusal(R"({"a": 0})", ""),
             "vocab.json: the byte 0x00, spelled \"Ā\", is no token; a vocabulary has all 256"));
  CHECK(says(refusal(byte_vocabulary(R"(, "xyz": 256)"), ""),
             "the token \"xyz\" is neither a byte nor special, in <> or [], nor made by "));
  CHECK(says(refusal(byte_vocabulary(R"(, "<é語>": 256)"), ""), "is neither a byte"));
}

TEST_CASE("merges that make no sense are refused, by line") {
  const std::string vocabulary = byte_vocabulary(R"(, "ab": 256)");
  CHECK(says(refusal(vocabulary, "#version: 0.2\na b\nab c\n"),
             "merges.txt:3: there is no token \"abc\" in the vocabulary; are both files of one"));
  CHECK(says(refusal(vocabulary, "a b\nzz b\n"), "merges.txt:2: there is no token \"zz\""));
  for (const char* line : {"ab", "a b c", " ab", "ab ", "a  b", "a b "})
    CHECK(says(refusal(vocabulary, line), "merges.txt:1: \"" + std::string(line) +
                                              "\" is not two tokens with a space between them"));
  CHECK(
      says(refusal(vocabulary, "a b\na b\n"), "merges.txt:2: \"a b\" was merged in a line before"));
  CHECK(says(refusal(vocabulary, "a b\n\xff"), "merges.txt:2: byte 0xff is not UTF-8"));
}

TEST_CASE("tokenizers in JSON that make no sense are refused") {
  const auto said = [](const std::string& json) {
    return message_of<IoError>([&] { Tokenizer::from_json(json); });
  };
  CHECK(says(said("["), "tokenizer:1: is not JSON"));
  for (const char* json : {"[]", "{}", R"({"vocab": {"a": 0}, "merges": 1})"})
    CHECK(says(said(json), "has no \"vocab\""));
  CHECK(says(said(R"({"vocab": {"ab": 0}})"), "tokenizer: vocab: \"ab\" is neither"));
  CHECK(says(said("{\"merges\": \"a\", \"vocab\": " + byte_vocabulary() + "}"),
             "tokenizer: merges:1: \"a\" is not two tokens"));
}
