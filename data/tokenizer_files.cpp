#include <algorithm>
#include <filesystem>

#include <retrace/data/text.h>
#include <retrace/data/tokenizer.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/file.h>
#include <retrace/tensor/json.h>
#include <retrace/tensor/utf8.h>

namespace retrace::data {
namespace {

constexpr std::string_view kVocabulary = "vocab.json", kMerges = "merges.txt";
constexpr std::uint64_t kLargestFile = 256 << 20;  // GPT-2's has one megabyte

// GPT-2 spells bytes with characters that can be seen: those of Latin-1 as they are, the others, in
// order, with the characters from U+0100 on.
class Spelling {
 public:
  static const Spelling& published() {
    static const Spelling spelling;
    return spelling;
  }

  std::string spelled(std::string_view bytes) const {
    std::string text;
    for (const char byte : bytes) text += characters_[static_cast<unsigned char>(byte)];
    return text;
  }

  // The bytes of a token; none when it has other characters.
  std::optional<std::string> bytes(std::string_view text) const {
    std::string result;
    while (!text.empty()) {
      const std::string_view character = first_character(text);
      const auto found = bytes_.find(character);
      if (found == bytes_.end()) return {};
      result += found->second;
      text.remove_prefix(character.size());
    }
    return result;
  }

 private:
  Spelling() {
    unsigned hidden = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte) {
      const bool is_seen = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte != 0xad);
      const unsigned code = is_seen ? byte : hidden++;
      std::string& character = characters_[byte];
      if (code < 0x80) {
        character = static_cast<char>(code);
      } else {
        character = {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
      }
      bytes_.emplace(character, static_cast<char>(byte));
    }
  }

  std::array<std::string, 256> characters_;
  TextMap<char> bytes_;
};

nlohmann::json parse(const std::string& text, std::string_view name) {
  try {
    return parse_json(text);
  } catch (const nlohmann::json::parse_error& error) {
    const auto read = static_cast<std::ptrdiff_t>(std::min(error.byte, text.size()));
    fail<IoError>("{}:{}: is not JSON", name,
                  1 + std::count(text.begin(), text.begin() + read, '\n'));
  } catch (const nlohmann::json::exception&) {
    fail<IoError>("{}: has a number that is too large", name);
  } catch (const IoError& error) {
    fail<IoError>("{}: {}", name, error.what());
  }
}

// The tokens as they are spelled, by id.
std::vector<std::string> read_vocabulary(const nlohmann::json& json, std::string_view name) {
  require<IoError>(json.is_object() && !json.empty(),
                   "{}: is no vocabulary, {{\"token\": id, ...}}", name);
  std::vector<std::string> tokens(json.size());
  for (const auto& [token, id] : json.items()) {
    const std::uint64_t number =
        id.is_number_unsigned() ? id.get<std::uint64_t>() : std::uint64_t{tokens.size()};
    if (token.empty()) fail<IoError>("{}: a token is empty", name);
    if (number >= tokens.size()) {
      fail<IoError>("{}: the token {} has the id {}; the {} tokens of a vocabulary have 0 .. {}",
                    name, shown(token), shown(json_text(id)), tokens.size(), tokens.size() - 1);
    }
    std::string& place = tokens[number];
    if (!place.empty()) {
      fail<IoError>("{}: the tokens {} and {} both have the id {}", name, shown(place),
                    shown(token), number);
    }
    place = token;
  }
  return tokens;
}

class MergeReader {
 public:
  MergeReader(const std::vector<std::string>& tokens, std::string_view name) : name_(name) {
    for (const std::string& token : tokens)
      ids_.emplace(token, static_cast<std::int32_t>(ids_.size()));
  }

  Merges read(std::string_view text) {
    if (text.starts_with("#version")) skip_line(text);
    while (!text.empty()) {
      std::string_view line = skip_line(text);
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (!line.empty()) add(line);
    }
    return std::move(merges_);
  }

 private:
  std::string_view skip_line(std::string_view& text) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    ++line_;
    return line;
  }

  void add(std::string_view line) {
    const std::size_t space = line.find(' ');
    if (space == 0 || space == std::string_view::npos || space + 1 == line.size() ||
        line.find(' ', space + 1) != std::string_view::npos) {
      fail<IoError>("{}:{}: {} is not two tokens with a space between them", name_, line_,
                    shown(line));
    }
    const std::string left(line.substr(0, space)), right(line.substr(space + 1));
    if (!merges_.add({id_of(left), id_of(right), id_of(left + right)}))
      fail<IoError>("{}:{}: {} was merged in a line before", name_, line_, shown(line));
  }

  std::int32_t id_of(const std::string& token) const {
    const auto found = ids_.find(token);
    if (found == ids_.end()) {
      fail<IoError>(
          "{}:{}: there is no token {} in the vocabulary; are both files of one "
          "tokenizer?",
          name_, line_, shown(token));
    }
    return found->second;
  }

  std::string_view name_;
  std::int64_t line_ = 0;
  TextMap<std::int32_t> ids_;
  Merges merges_;
};

void require_all_bytes(const std::vector<std::string>& tokens, std::string_view name) {
  std::array<bool, 256> known{};
  for (const std::string& token : tokens) {
    if (token.size() == 1) known[static_cast<unsigned char>(token.front())] = true;
  }
  const auto missing = std::find(known.begin(), known.end(), false) - known.begin();
  if (missing == std::ssize(known)) return;
  const std::string byte(1, static_cast<char>(missing));
  fail<IoError>("{}: the byte {:#04x}, spelled \"{}\", is no token; a vocabulary has all 256", name,
                missing, Spelling::published().spelled(byte));
}

}  // namespace

// Of one of both forms, with what messages call its parts.
struct Tokenizer::Source {
  const nlohmann::json& vocabulary;
  const std::string* merges;  // null: characters
  std::string vocabulary_name, merges_name;

  Tokenizer read() const { return merges == nullptr ? characters() : byte_pairs(); }
  Tokenizer characters() const;
  Tokenizer byte_pairs() const;
};

Tokenizer Tokenizer::Source::characters() const {
  std::vector<std::string> tokens = read_vocabulary(vocabulary, vocabulary_name);
  for (const std::string& token : tokens) {
    if (first_character(token) == token || is_special_name(token)) continue;
    fail<IoError>("{}: {} is neither a character nor special, in <> or []; byte pairs need {}",
                  vocabulary_name, shown(token), merges_name);
  }
  return Tokenizer(TokenizerKind::character, std::move(tokens));
}

Tokenizer Tokenizer::Source::byte_pairs() const {
  std::vector<std::string> tokens = read_vocabulary(vocabulary, vocabulary_name);
  Merges list = MergeReader(tokens, merges_name).read(*merges);
  std::vector<bool> made(tokens.size());
  for (const Merge& merge : list) made[static_cast<std::size_t>(merge.result)] = true;
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    std::string& token = tokens[id];
    const std::optional<std::string> bytes = Spelling::published().bytes(token);
    if (!bytes || !(bytes->size() == 1 || made[id] || is_special_name(token))) {
      fail<IoError>("{}: the token {} is neither a byte nor special, in <> or [], nor made by {}",
                    vocabulary_name, shown(token), merges_name);
    }
    token = *bytes;
  }
  require_all_bytes(tokens, vocabulary_name);
  const TokenizerKind kind = list.empty() ? TokenizerKind::byte : TokenizerKind::bpe;
  return Tokenizer(kind, std::move(tokens), std::move(list));
}

Tokenizer Tokenizer::load(const std::string& folder) {
  const std::string vocabulary_path = fmt::format("{}/{}", folder, kVocabulary);
  const std::string merges_path = fmt::format("{}/{}", folder, kMerges);
  std::error_code ignored;  // what is wrong with a path, opening it says
  const bool has_merges = std::filesystem::exists(merges_path, ignored);
  const nlohmann::json json = parse(read_file(vocabulary_path, kLargestFile), vocabulary_path);
  std::string merges;
  if (has_merges) merges = as_text(merges_path, read_file(merges_path, kLargestFile));
  return Source{json, has_merges ? &merges : nullptr, vocabulary_path, merges_path}.read();
}

Tokenizer Tokenizer::from_json(const std::string& text) {
  const nlohmann::json json = parse(text, "tokenizer");
  const bool has_merges = json.is_object() && json.contains("merges");
  require<IoError>(
      json.is_object() && json.contains("vocab") && (!has_merges || json["merges"].is_string()),
      "tokenizer: has no \"vocab\" with \"merges\" as a text, or without");
  return Source{json["vocab"], has_merges ? &json["merges"].get_ref<const std::string&>() : nullptr,
                "tokenizer: vocab", "tokenizer: merges"}
      .read();
}

// A token to a line, to be looked through; nlohmann's own objects would sort them.
std::string Tokenizer::vocabulary() const {
  const bool as_is = kind_ == TokenizerKind::character;
  std::string text;
  for (std::size_t id = 0; id < tokens_.size(); ++id) {
    const std::string key = as_is ? tokens_[id] : Spelling::published().spelled(tokens_[id]);
    text += fmt::format("{}{}: {}", id == 0 ? "{" : ",\n", json_string(key), id);
  }
  return text + "}";
}

std::string Tokenizer::merge_lines() const {
  std::string text = "#version: 0.2\n";
  for (const Merge& merge : merges_) {
    const Spelling& spelling = Spelling::published();
    text += fmt::format("{} {}\n", spelling.spelled(token(merge.left)),
                        spelling.spelled(token(merge.right)));
  }
  return text;
}

void Tokenizer::save(const std::string& folder) const {
  create_folder(folder);
  const std::string merges_path = fmt::format("{}/{}", folder, kMerges);
  OutputFile vocabulary_file(fmt::format("{}/{}", folder, kVocabulary));
  vocabulary_file.write(vocabulary() + "\n");
  if (kind_ != TokenizerKind::character) {
    OutputFile merges_file(merges_path);
    merges_file.write(merge_lines());
    merges_file.commit();
    return vocabulary_file.commit();
  }
  vocabulary_file.commit();
  remove_file(merges_path);
}

std::string Tokenizer::to_json() const {
  std::string text = R"({"vocab":)" + vocabulary();
  if (kind_ != TokenizerKind::character) text += ",\"merges\":" + json_string(merge_lines());
  return text + "}";
}

}  // namespace retrace::data
