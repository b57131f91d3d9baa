#pragma once

// Copies with the elements in other places, or framed by others. The gradient of each puts them
// back. Any dtype. Errors: IndexError for dims out of range or named twice, others as noted.
//
// Source: moving elements is linear, so the gradient moves them back.

#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace {

/// The elements in reverse order along each of `dims`.
Tensor flip(const Tensor& x, const Shape& dims);

/// y[i + shift] = x[i] along `dim`, cyclically; several dims; or all elements in row-major order.
/// ShapeError unless there is one shift for each dim.
Tensor roll(const Tensor& x, std::int64_t shift, std::int64_t dim);
Tensor roll(const Tensor& x, const Shape& shifts, const Shape& dims);
Tensor roll(const Tensor& x, std::int64_t shift);

/// x framed by `value`: {left, right} of the last dim, then {top, bottom} of the one before, and so
/// on. Negative amounts cut off. ShapeError for an odd number of amounts, too many, or sizes below
/// 0.
Tensor pad(const Tensor& x, const std::vector<std::int64_t>& amounts, Scalar value = 0);

/// The lower (upper) triangle of the last two dims, 0 above (below) the given diagonal; diagonal 1
/// is the one above the main one. ShapeError for fewer than two dims.
Tensor tril(const Tensor& x, std::int64_t diagonal = 0);
Tensor triu(const Tensor& x, std::int64_t diagonal = 0);

}  // namespace retrace
