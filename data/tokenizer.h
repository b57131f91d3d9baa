#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <retrace/data/bpe.h>

namespace retrace::data {

enum class TokenizerKind { byte, character, bpe };

/// "byte", "char" or "bpe".
std::string_view name_of(TokenizerKind kind);
/// ValueError for another name.
TokenizerKind tokenizer_kind(std::string_view name);

/// How many bytes of a text are its last `fraction`, which is held out.
std::int64_t held_out_bytes(std::int64_t bytes, double fraction);

/// Turns texts into the numbers of tokens, and back. A value: a copy is a tokenizer of its own.
///
/// - byte: each byte is a token; any text can be encoded.
/// - character: each character (code point) of the texts that it was made of is a token.
/// - bpe: bytes, and sequences of bytes that came often in the texts that it was trained on: byte
///   pairs merged within the words of GPT-2's pattern (data/pretokens.h). Any bytes can be encoded;
///   those that are not UTF-8 stay single.
///
/// What was encoded decodes to the same bytes.
class Tokenizer {
 public:
  Tokenizer();  ///< bytes()
  /// Each byte's token is its value.
  static Tokenizer bytes();
  /// The characters of a text, sorted. ValueError for a text that is empty or not UTF-8.
  static Tokenizer characters(std::string_view text);
  /// 256 bytes by value, then what `merges` merges give, fewer when no pair comes twice any more.
  /// ValueError for merges < 1, or a text in which no pair comes twice.
  static Tokenizer bpe(std::string_view text, std::int64_t merges);
  /// Of a file, plain or gzip, which is read in pieces (data/text.h). `merges` matters to bpe
  /// alone, and bytes do not depend on the file. IoError, beginning with the path.
  /// `held_out`: the share of the bytes, at the end, that is to be tested on (split_text): nothing
  /// is merged for its sake. Characters are of the whole text; else some could not be told.
  /// ValueError for one outside [0, 1).
  static Tokenizer train(TokenizerKind kind, const std::string& path, std::int64_t merges,
                         double held_out = 0);

  /// ValueError, in a tokenizer of characters, for one that it does not know or bytes that are not
  /// UTF-8. Names of special tokens are text like any other.
  std::vector<std::int64_t> encode(std::string_view text) const;
  /// The tokens' bytes, one behind the other; they need not be UTF-8. IndexError for an id that is
  /// no token's.
  std::string decode(std::span<const std::int64_t> ids) const;
  /// How many bytes decode() would give.
  std::int64_t count_bytes(std::span<const std::int64_t> ids) const;

  TokenizerKind kind() const { return kind_; }
  std::int64_t size() const { return static_cast<std::int64_t>(tokens_.size()); }
  /// The bytes of a token, or a special one's name. IndexError.
  const std::string& token(std::int64_t id) const;
  std::optional<std::int64_t> find(std::string_view token) const;
  const Merges& merges() const { return merges_; }  ///< none but of bpe

  /// Adds a token that no text encodes to and that decodes to its name, "<|endoftext|>" say, and
  /// returns its id, the next free one. ValueError unless it is in <> or [], of printable ASCII
  /// without spaces, and new.
  std::int64_t add_special(const std::string& name);

  /// vocab.json, token -> id, and merges.txt, the two files of GPT-2 and its likes, with their
  /// spelling of bytes ("Ġ" for a space): see load(). Bytes have no merges; characters, which are
  /// spelled as they are, no merges.txt. Makes the folder if there is none. What cannot be written
  /// leaves the old files; a process that is killed between the two leaves one of each, which
  /// load() refuses unless both name the same tokens.
  void save(const std::string& folder) const;
  /// A tokenizer as saved, by this or another program. Ids must be 0 .. size-1; merges are in the
  /// order of preference. Tokens in <> or [] are special; any other must be a byte or made by a
  /// merge (a character, without merges.txt). IoError that names the file, and line or token.
  static Tokenizer load(const std::string& folder);
  /// What the two files hold, as one JSON text.
  std::string to_json() const;
  /// IoError when it is not that.
  static Tokenizer from_json(const std::string& json);

 private:
  Tokenizer(TokenizerKind kind, std::vector<std::string> tokens, Merges merges = {});

  static bool is_special_name(std::string_view name);
  std::vector<std::int64_t> encode_characters(std::string_view text) const;
  std::vector<std::int64_t> encode_pairs(std::string_view text) const;
  std::string vocabulary() const;
  std::string merge_lines() const;
  struct Source;

  TokenizerKind kind_;
  std::vector<std::string> tokens_;  // by id: bytes, or a special one's name
  TextMap<std::int64_t> ids_;
  std::array<std::int32_t, 256> byte_ids_{};  // not of characters
  Merges merges_;
};

}  // namespace retrace::data
