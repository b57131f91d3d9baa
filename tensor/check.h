#pragma once

// For .cpp files: checks that cost a compare when they hold, and the words when they fail.

#include <fmt/format.h>

#include <retrace/tensor/dtype.h>
#include <retrace/tensor/error.h>
#include <retrace/tensor/shape.h>

// How they are written stands in check.cpp: compiled where it is used, it is half of a small file.
template <>
struct fmt::formatter<retrace::Shape> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  fmt::format_context::iterator format(const retrace::Shape& shape,
                                       fmt::format_context& context) const;
};

template <>
struct fmt::formatter<retrace::DType> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  fmt::format_context::iterator format(retrace::DType dtype, fmt::format_context& context) const;
};

namespace retrace {

/// Throws E with the formatted message.
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
