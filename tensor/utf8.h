#pragma once

#include <cstddef>
#include <string_view>

namespace retrace {

/// Position of the first byte that is not part of well-formed UTF-8 (Unicode 15, table 3-7), or
/// text.size().
std::size_t find_invalid_utf8(std::string_view text);
inline bool is_utf8(std::string_view text) { return find_invalid_utf8(text) == text.size(); }

}  // namespace retrace
