#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <retrace/data/gzip.h>

namespace retrace::data {

/// A text, plain or gzip, as UTF-8 without a byte order mark. Line ends stay as they are. IoError,
/// beginning with the path, when it is empty, or naming the line that is not UTF-8.
std::string read_text(const std::string& path, const UnpackLimits& limits = {});

/// `contents` of the file `path`, from `line` of it on, checked as read_text does but not for being
/// empty.
std::string as_text(const std::string& path, std::string contents, std::int64_t line = 1);

/// The same text in pieces, for what need not be in memory as a whole. A piece ends where a white
/// space of ASCII follows something else: never within a character, nor within a word that a
/// tokenizer sees (data/pretokens.h). A text without such a place is one piece.
class TextReader {
 public:
  explicit TextReader(const std::string& path, const UnpackLimits& limits = {},
                      std::size_t piece_bytes = 1 << 20);

  const std::string& path() const { return path_; }
  /// The next piece, of about `piece_bytes`; none at the end. Errors as of read_text.
  std::optional<std::string> next();
  /// The line on which the piece that next() gave last begins, from 1.
  std::int64_t line() const { return line_; }

 private:
  std::string path_;
  FileReader file_;
  std::size_t piece_bytes_;
  std::string rest_;                       // what was read beyond the last piece
  std::int64_t line_ = 1, next_line_ = 0;  // 0: nothing was read yet
};

/// As much of a text as a message can show.
std::string excerpt(std::string_view text);
/// The same in quotes.
std::string shown(std::string_view text);

}  // namespace retrace::data
