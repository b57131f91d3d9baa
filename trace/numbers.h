#pragma once

// For .cpp files: numbers as they are kept in a trace, and as exact text.

#include <string>
#include <string_view>

#include <retrace/trace/trace.h>

namespace retrace::trace {

/// Copies `dense`, which lies row-major: all of it, or a summary and a corner, without a hash.
Numbers keep_numbers(const Tensor& dense, bool complete, std::int64_t corner);

/// Of all elements of a tensor, in order: one dtype, shape and hash, and the numbers are taken for
/// the same. Any NaN counts as any other. A part of the format, and so the same on every machine.
std::uint64_t hash_of(const Tensor& dense);
std::string hash_text(std::uint64_t hash);

/// How many elements are NaN or infinite.
std::int64_t count_non_finite(const Tensor& dense);

/// Sizes of the corner that is kept of a tensor.
Shape corner_sizes(const Shape& sizes, std::int64_t corner);
/// The first elements of each dim, in place.
Tensor corner_of(const Tensor& x, const Shape& sizes);

/// One element in the shortest form that reads back the same: "0.1", "-2", "NaN", "Infinity".
std::string number_text(const Tensor& dense, std::int64_t index);
std::string number_text(double value);

/// All elements, with a space between them.
std::string values_text(const Tensor& dense);
/// Reads what values_text wrote. IoError, without a path, unless there are as many as `sizes` says.
Tensor parse_values(std::string_view text, const Shape& sizes, DType dtype);

}  // namespace retrace::trace
