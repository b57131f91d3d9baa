#include <retrace/tensor/check.h>

#include <algorithm>

namespace {

fmt::format_context::iterator write(std::string_view text, fmt::format_context& context) {
  return std::copy(text.begin(), text.end(), context.out());
}

}  // namespace

fmt::format_context::iterator fmt::formatter<retrace::Shape>::format(
    const retrace::Shape& shape, fmt::format_context& context) const {
  return write(shape.str(), context);
}

fmt::format_context::iterator fmt::formatter<retrace::DType>::format(
    retrace::DType dtype, fmt::format_context& context) const {
  return write(retrace::name_of(dtype), context);
}
