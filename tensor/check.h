#pragma once

// For .cpp files: checks that cost a compare when they hold, and the words when they fail.

#include <fmt/format.h>

#include <retrace/tensor/dtype.h>
#include <retrace/tensor/error.h>
#include <retrace/tensor/shape.h>

template <>
struct fmt::formatter<retrace::Shape> : fmt::formatter<std::string_view> {
  auto format(const retrace::Shape& shape, fmt::format_context& context) const {
    return fmt::formatter<std::string_view>::format(shape.str(), context);
  }
};

template <>
struct fmt::formatter<retrace::DType> : fmt::formatter<std::string_view> {
  auto format(retrace::DType dtype, fmt::format_context& context) const {
    return fmt::formatter<std::string_view>::format(retrace::name_of(dtype), context);
  }
};

namespace retrace {

template <class E, class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw E(fmt::format(format, std::forward<Args>(args)...));
}

/// Throws E with the formatted message unless `holds`. Arguments are formatted only then: pass
/// values, not strings made of them.
template <class E, class... Args>
void require(bool holds, fmt::format_string<Args...> format, Args&&... args) {
  if (!holds) [[unlikely]]
    throw E(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace retrace
