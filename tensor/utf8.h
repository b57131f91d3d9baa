#pragma once

#include <cstddef>
#include <string_view>

namespace retrace {

/// Position of the first byte that is not part of well-formed UTF-8 (Unicode 15, table 3-7), or
/// text.size().
std::size_t find_invalid_utf8(std::string_view text);
inline bool is_utf8(std::string_view text) { return find_invalid_utf8(text) == text.size(); }

/// As much of the beginning of `text`, which must be UTF-8, as `most` bytes hold.
std::string_view utf8_prefix(std::string_view text, std::size_t most);

/// The character that `text` begins with, and its code point. `text` must be UTF-8, and not empty.
std::string_view first_character(std::string_view text);
char32_t first_code_point(std::string_view text);

}  // namespace retrace
