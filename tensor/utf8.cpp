#include <retrace/tensor/utf8.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace retrace {

std::size_t find_invalid_utf8(std::string_view text) {
  std::size_t i = 0;
  const auto byte = [&](std::size_t k) {
    return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u;
  };
  const auto follows = [&](std::size_t k, unsigned low = 0x80, unsigned high = 0xBF) {
    return byte(k) >= low && byte(k) <= high;
  };
  while (i < text.size()) {
    std::uint64_t eight = 0x80;
    if (i + 8 <= text.size()) std::memcpy(&eight, text.data() + i, 8);
    const unsigned first = byte(i);
    if ((eight & 0x8080808080808080u) == 0) {
      i += 8;
    } else if (first < 0x80) {
      i += 1;
    } else if (first >= 0xC2 && first <= 0xDF && follows(i + 1)) {
      i += 2;
    } else if (first >= 0xE0 && first <= 0xEF &&
               follows(i + 1, first == 0xE0 ? 0xA0 : 0x80, first == 0xED ? 0x9F : 0xBF) &&
               follows(i + 2)) {
      i += 3;  // neither overlong nor a surrogate
    } else if (first >= 0xF0 && first <= 0xF4 &&
               follows(i + 1, first == 0xF0 ? 0x90 : 0x80, first == 0xF4 ? 0x8F : 0xBF) &&
               follows(i + 2) && follows(i + 3)) {
      i += 4;
    } else {
      return i;
    }
  }
  return i;
}

std::string_view first_character(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  return text.substr(0, first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4);
}

char32_t first_code_point(std::string_view text) {
  const std::string_view character = first_character(text);
  const auto first = static_cast<unsigned char>(text.front());
  // What of the first byte belongs to the number: all, or what its size leaves of it.
  char32_t value = character.size() == 1 ? first : first & (0xFFu >> (character.size() + 1));
  for (const char next : character.substr(1)) {
    value = value << 6 | (static_cast<unsigned char>(next) & 0x3Fu);
  }
  return value;
}

std::string_view utf8_prefix(std::string_view text, std::size_t most) {
  std::size_t end = std::min(most, text.size());
  while (end > 0 && end < text.size() && (text[end] & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace retrace
