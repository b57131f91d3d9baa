#pragma once

#include <cstdint>
#include <string>

namespace retrace {

/// A number for height and one for width: `3` for both, or `{3, 5}`.
struct Size2d {
  Size2d(std::int64_t both) : height(both), width(both) {}
  Size2d(std::int64_t h, std::int64_t w) : height(h), width(w) {}
  bool operator==(const Size2d& other) const = default;
  /// "3" or "3x5"
  std::string str() const {
    const std::string first = std::to_string(height);
    return height == width ? first : first + "x" + std::to_string(width);
  }

  std::int64_t height, width;
};

}  // namespace retrace
