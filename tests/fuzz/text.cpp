// A text: refused with its line, or the same at once as in pieces; and every tokenizer that is made
// of it gives it back.

#include <retrace/data/text.h>
#include <retrace/data/tokenizer.h>
#include <retrace/tests/fuzz/target.h>

using namespace retrace;

namespace {

void check_tokenizer(const data::Tokenizer& tokenizer, const std::string& text) {
  const std::vector<std::int64_t> ids = tokenizer.encode(text);
  fuzz::expect(tokenizer.decode(ids) == text, "what is encoded decodes to the same");
  fuzz::expect(tokenizer.count_bytes(ids) == std::ssize(text), "its bytes are counted");
  const std::string json = tokenizer.to_json();
  const auto again = fuzz::accepted([&] { return data::Tokenizer::from_json(json); });
  fuzz::expect(again.to_json() == json && again.encode(text) == ids, "a tokenizer is kept");
}

// Merges know nothing of what is held out, whatever that is.
void check_held_out(const std::string& text, const std::string& path) {
  static fuzz::MemoryFile file;
  constexpr double share = 0.25;
  const auto size = std::ssize(text);
  auto end = static_cast<std::size_t>(size - data::held_out_bytes(size, share));
  while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) ++end;
  const std::string other = text.substr(0, end) + std::string(text.size() - end, 'z');
  data::Tokenizer of_text, of_other;
  const auto learns = [](const std::string& from, data::Tokenizer& into) {
    return fuzz::accepts(
        from, [&] { into = data::Tokenizer::train(data::TokenizerKind::bpe, from, 8, share); });
  };
  const bool alike = learns(path, of_text) == learns(file.put(other), of_other) &&
                     of_text.to_json() == of_other.to_json();
  fuzz::expect(alike, "merges are learnt without what is held out");
}

// (clang 14 destroys what is temporary in an argument of expect() only at the end of the function,
// so nothing is.)
void check_learning(data::TokenizerKind kind, const std::string& text, const std::string& path) {
  data::Tokenizer of_text, of_file;
  const bool has_learnt = fuzz::accepts<ValueError>("tokenizer: ", [&] {
    of_text = kind == data::TokenizerKind::bpe ? data::Tokenizer::bpe(text, 8)
                                               : data::Tokenizer::characters(text);
  });
  const bool file_too =
      fuzz::accepts(path, [&] { of_file = data::Tokenizer::train(kind, path, 8); });
  const bool same = has_learnt == file_too && of_file.to_json() == of_text.to_json();
  fuzz::expect(same, "a tokenizer is learnt from a file as from its text");
  if (has_learnt) check_tokenizer(of_text, text);
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static fuzz::MemoryFile file;
  const std::string& path = file.put(fuzz::text_of(data, size));
  const data::UnpackLimits limits = {.bytes = 1 << 14};
  std::string text, pieces;
  const bool sound = fuzz::accepts(path, [&] { text = data::read_text(path, limits); });
  const bool sound_in_pieces = fuzz::accepts(path, [&] {
    data::TextReader reader(path, limits, size % 8 == 0 ? 7 : 97);
    while (const auto piece = reader.next()) pieces += *piece;
  });
  fuzz::expect(sound == sound_in_pieces, "a text is sound at once and in pieces");
  if (!sound) return 0;
  fuzz::expect(text == pieces, "pieces make the text");
  const std::size_t turn = fuzz::turn_of(data, size) % 256;
  if (turn == 0) check_tokenizer(data::Tokenizer::bytes(), text);
  if (turn < 8) check_learning(data::TokenizerKind::character, text, path);
  if (turn == 8) check_learning(data::TokenizerKind::bpe, text, path);
  if (turn % 64 == 9 && text == fuzz::text_of(data, size)) check_held_out(text, path);
  return 0;
}
