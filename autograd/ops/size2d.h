#pragma once

#include <cstdint>

namespace retrace {

/// A number for height and one for width: `3` for both, or `{3, 5}`.
struct Size2d {
  Size2d(std::int64_t both) : height(both), width(both) {}
  Size2d(std::int64_t h, std::int64_t w) : height(h), width(w) {}
  bool operator==(const Size2d& other) const = default;

  std::int64_t height, width;
};

}  // namespace retrace
