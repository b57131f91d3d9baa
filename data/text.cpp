#include <algorithm>
#include <initializer_list>
#include <utility>

#include <retrace/data/text.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/utf8.h>

namespace retrace::data {
namespace {

constexpr std::string_view kAsciiSpaces = " \t\n\v\f\r";

// Unicode's White_Space, by the bytes of its characters.
bool ends_with_white_space(std::string_view text) {
  if (text.empty() || kAsciiSpaces.find(text.back()) != std::string_view::npos) return true;
  if ((text.back() & 0x80) == 0) return false;
  const auto is_one_of = [&](std::initializer_list<std::string_view> characters) {
    return std::any_of(characters.begin(), characters.end(),
                       [&](std::string_view character) { return text.ends_with(character); });
  };
  // U+2000 .. U+200A, and what is no run.
  const bool in_run = text.size() >= 3 && text.substr(text.size() - 3, 2) == "\xe2\x80" &&
                      static_cast<unsigned char>(text.back()) <= 0x8a;
  return in_run || is_one_of({"\xc2\x85", "\u00a0", "\u1680", "\u2028", "\u2029", "\u202f",
                              "\u205f", "\u3000"});
}

// The last place, from `begin` on, where a piece may end; 0 when there is none.
std::size_t last_cut(std::string_view text, std::size_t begin) {
  for (std::size_t i = text.size(); i-- > std::max<std::size_t>(begin, 1);) {
    if (kAsciiSpaces.find(text[i]) != std::string_view::npos &&
        !ends_with_white_space(text.substr(0, i)))
      return i;
  }
  return 0;
}

}  // namespace

std::string as_text(const std::string& path, std::string contents, std::int64_t line) {
  require<IoError>(!contents.starts_with("\xff\xfe") && !contents.starts_with("\xfe\xff"),
                   "{}: is UTF-16; save it as UTF-8", path);
  const std::size_t invalid = find_invalid_utf8(contents);
  if (invalid != contents.size()) {
    line +=
        std::count(contents.begin(), contents.begin() + static_cast<std::ptrdiff_t>(invalid), '\n');
    fail<IoError>("{}:{}: byte {:#04x} is not UTF-8; save the file as UTF-8", path, line,
                  static_cast<unsigned char>(contents[invalid]));
  }
  if (contents.starts_with("\xef\xbb\xbf")) contents.erase(0, 3);
  return contents;
}

std::string read_text(const std::string& path, const UnpackLimits& limits) {
  std::string text = as_text(path, read_plain_or_gzip(path, limits));
  require<IoError>(!text.empty(), "{}: is empty", path);
  return text;
}

TextReader::TextReader(const std::string& path, const UnpackLimits& limits, std::size_t piece_bytes)
    : path_(path), file_(path, limits), piece_bytes_(piece_bytes) {
  require<ValueError>(piece_bytes >= 1, "TextReader: pieces need a byte or more");
}

std::optional<std::string> TextReader::next() {
  std::string piece = std::exchange(rest_, {});
  std::size_t cut = 0, searched = 0;
  while (cut == 0 && file_.read(piece, piece_bytes_)) {
    cut = last_cut(piece, searched);
    searched = piece.size();
  }
  if (cut != 0) {
    rest_ = piece.substr(cut);
    piece.resize(cut);
  }
  const bool is_first = next_line_ == 0;
  line_ = is_first ? 1 : next_line_;
  next_line_ = line_ + std::count(piece.begin(), piece.end(), '\n');
  // What begins in the middle of a file begins with a space, never with a byte order mark.
  piece = as_text(path_, std::move(piece), line_);
  if (cut != 0 || !piece.empty()) return piece;
  require<IoError>(!is_first, "{}: is empty", path_);
  return {};
}

std::string excerpt(std::string_view text) {
  constexpr std::size_t most = 40;
  std::string start(utf8_prefix(text, most));
  std::replace_if(
      start.begin(), start.end(), [](char c) { return static_cast<unsigned char>(c) < 32; }, ' ');
  return text.size() > most ? start + "..." : start;
}

std::string shown(std::string_view text) { return '"' + excerpt(text) + '"'; }

}  // namespace retrace::data
