#include <retrace/data/tokenizer.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include <retrace/data/pretokens.h>
#include <retrace/data/text.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/utf8.h>

namespace retrace::data {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"byte", "char", "bpe"};

std::vector<std::string> all_bytes() {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  return tokens;
}

void require_utf8(std::string_view text) {
  const std::size_t invalid = find_invalid_utf8(text);
  if (invalid == text.size()) return;
  fail<ValueError>("tokenizer: byte {:#04x} at {} is not UTF-8; characters are, or take bytes",
                   static_cast<unsigned char>(text[invalid]), invalid);
}

template <class F>
void for_each_character(std::string_view text, F&& f) {
  while (!text.empty()) {
    const std::string_view character = first_character(text);
    f(character);
    text.remove_prefix(character.size());
  }
}

// As text in UTF-8 is sorted, its code points are.
using Characters = std::set<std::string, std::less<>>;

void collect(std::string_view text, Characters& characters) {
  for_each_character(text, [&](std::string_view character) {
    if (!characters.contains(character)) characters.emplace(character);
  });
}

void collect(std::string_view text, WordCounts& words) {
  for_each_pretoken(text, [&](std::string_view word) {
    const auto known = words.find(word);
    if (known != words.end()) {
      ++known->second;
    } else {
      words.emplace(word, 1);
    }
  });
}

// Of all pieces of a file, but for its last bytes.
template <class Collection>
Collection collect_file(const std::string& path, double held_out = 0) {
  auto left = std::numeric_limits<std::int64_t>::max();
  if (held_out > 0) {
    std::int64_t bytes = 0;
    TextReader reader(path);
    while (const auto piece = reader.next()) bytes += std::ssize(*piece);
    left = bytes - held_out_bytes(bytes, held_out);
  }
  Collection collection;
  TextReader reader(path);
  while (const auto piece = reader.next()) {
    auto size = static_cast<std::size_t>(std::min(left, std::ssize(*piece)));
    left -= static_cast<std::int64_t>(size);
    const auto goes_on = [&] {
      return (static_cast<unsigned char>((*piece)[size]) & 0xc0) == 0x80;
    };
    while (size > 0 && size < piece->size() && goes_on()) --size;  // no part of a character
    collect(std::string_view(*piece).substr(0, size), collection);
  }
  return collection;
}

void require_merges(std::int64_t merges) {
  require<ValueError>(merges >= 1, "tokenizer: {} merges are none to learn; bytes need none",
                      merges);
}

LearntMerges learn(const WordCounts& words, std::int64_t merges) {
  LearntMerges learnt = learn_merges(words, merges);
  require<ValueError>(!learnt.merges.empty(),
                      "tokenizer: no pair of bytes comes twice within words, so there is nothing "
                      "to merge; take a longer text, or bytes");
  return learnt;
}

}  // namespace

std::string_view name_of(TokenizerKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

TokenizerKind tokenizer_kind(std::string_view name) {
  const auto found = std::find(kNames.begin(), kNames.end(), name);
  require<ValueError>(found != kNames.end(), "there is no tokenizer \"{}\"; there are {}", name,
                      fmt::join(kNames, ", "));
  return static_cast<TokenizerKind>(found - kNames.begin());
}

// Made ----------------------------------------------------------------------------------------

Tokenizer::Tokenizer(TokenizerKind kind, std::vector<std::string> tokens, Merges merges)
    : kind_(kind), tokens_(std::move(tokens)), merges_(std::move(merges)) {
  for (std::size_t id = 0; id < tokens_.size(); ++id) {
    const std::string& token = tokens_[id];
    ids_.emplace(token, id);
    if (token.size() == 1) {
      byte_ids_[static_cast<unsigned char>(token.front())] = static_cast<std::int32_t>(id);
    }
  }
}

Tokenizer::Tokenizer() : Tokenizer(TokenizerKind::byte, all_bytes()) {}

Tokenizer Tokenizer::bytes() { return {}; }

Tokenizer Tokenizer::characters(std::string_view text) {
  require<ValueError>(!text.empty(), "tokenizer: an empty text has no characters");
  require_utf8(text);
  Characters characters;
  collect(text, characters);
  return Tokenizer(TokenizerKind::character, {characters.begin(), characters.end()});
}

Tokenizer Tokenizer::bpe(std::string_view text, std::int64_t merges) {
  require_merges(merges);
  WordCounts words;
  collect(text, words);
  LearntMerges learnt = learn(words, merges);
  return Tokenizer(TokenizerKind::bpe, std::move(learnt.tokens), std::move(learnt.merges));
}

std::int64_t held_out_bytes(std::int64_t bytes, double fraction) {
  return std::llround(fraction * static_cast<double>(bytes));
}

Tokenizer Tokenizer::train(TokenizerKind kind, const std::string& path, std::int64_t merges,
                           double held_out) {
  require<ValueError>(held_out >= 0 && held_out < 1,
                      "tokenizer: the share that is held out is in [0, 1), not {}", held_out);
  if (kind == TokenizerKind::byte) return {};
  if (kind == TokenizerKind::character) {
    const auto characters = collect_file<Characters>(path);
    return Tokenizer(kind, {characters.begin(), characters.end()});
  }
  require_merges(merges);
  const auto words = collect_file<WordCounts>(path, held_out);
  try {
    LearntMerges learnt = learn(words, merges);
    return Tokenizer(kind, std::move(learnt.tokens), std::move(learnt.merges));
  } catch (const ValueError& error) {
    fail<IoError>("{}: {}", path, error.what());
  }
}

bool Tokenizer::is_special_name(std::string_view name) {
  const bool in_brackets = (name.starts_with('<') && name.ends_with('>')) ||
                           (name.starts_with('[') && name.ends_with(']'));
  return in_brackets && name.size() >= 3 &&
         std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

std::int64_t Tokenizer::add_special(const std::string& name) {
  require<ValueError>(is_special_name(name),
                      "tokenizer: a special token is called <...> or [...], in printable ASCII "
                      "without spaces, not {}",
                      shown(name));
  require<ValueError>(!find(name), "tokenizer: there is a token \"{}\" already", name);
  ids_.emplace(name, size());
  tokens_.push_back(name);
  return size() - 1;
}

// Used ----------------------------------------------------------------------------------------

std::vector<std::int64_t> Tokenizer::encode(std::string_view text) const {
  if (kind_ == TokenizerKind::character) return encode_characters(text);
  if (kind_ == TokenizerKind::bpe) return encode_pairs(text);
  std::vector<std::int64_t> ids;
  ids.reserve(text.size());
  for (const char byte : text) ids.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
  return ids;
}

std::vector<std::int64_t> Tokenizer::encode_characters(std::string_view text) const {
  require_utf8(text);
  std::vector<std::int64_t> ids;
  ids.reserve(text.size());
  for_each_character(text, [&](std::string_view character) {
    const auto found = ids_.find(character);
    if (found == ids_.end()) {
      const auto code = static_cast<std::uint32_t>(first_code_point(character));
      fail<ValueError>(
          "tokenizer: the character {} (U+{:04X}) is not in the vocabulary; train on "
          "a text that has it, or take bytes",
          code < 0x20 || code == 0x7f ? "" : fmt::format("\"{}\"", character), code);
    }
    ids.push_back(found->second);
  });
  return ids;
}

std::vector<std::int64_t> Tokenizer::encode_pairs(std::string_view text) const {
  struct Place {
    std::size_t begin, size;
  };
  std::vector<std::int64_t> ids;
  // Most words come again and again: what they became is copied from where they came first.
  std::unordered_map<std::string_view, Place> known;
  WordMerger merger(merges_);
  std::vector<std::int32_t> tokens;
  for_each_pretoken(text, [&](std::string_view word) {
    const auto [entry, is_new] = known.try_emplace(word, Place{ids.size(), 0});
    Place& place = entry->second;
    if (!is_new) {
      for (std::size_t i = 0; i < place.size; ++i) ids.push_back(ids[place.begin + i]);
      return;
    }
    tokens.clear();
    for (const char byte : word) tokens.push_back(byte_ids_[static_cast<unsigned char>(byte)]);
    merger.apply(tokens);
    place.size = tokens.size();
    ids.insert(ids.end(), tokens.begin(), tokens.end());
  });
  return ids;
}

std::string Tokenizer::decode(std::span<const std::int64_t> ids) const {
  std::string text;
  for (const std::int64_t id : ids) text += token(id);
  return text;
}

std::int64_t Tokenizer::count_bytes(std::span<const std::int64_t> ids) const {
  std::int64_t count = 0;
  for (const std::int64_t id : ids) count += std::ssize(token(id));
  return count;
}

const std::string& Tokenizer::token(std::int64_t id) const {
  require<IndexError>(id >= 0 && id < size(), "tokenizer: {} is not one of its {} tokens", id,
                      size());
  return tokens_[static_cast<std::size_t>(id)];
}

std::optional<std::int64_t> Tokenizer::find(std::string_view token) const {
  const auto found = ids_.find(token);
  if (found == ids_.end()) return {};
  return found->second;
}

}  // namespace retrace::data
