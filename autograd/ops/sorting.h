#pragma once

// Order along a dim. Equal elements keep their order, ascending or descending, and NaN counts as
// larger than everything. Indices are int64; g goes to the elements that the values came from.
// Errors: IndexError for a dim out of range.
//
// Source: sorting moves elements, so the gradient moves them back.

#include <retrace/tensor/tensor.h>

namespace retrace {

/// {values, indices}, sorted: values = gather(x, dim, indices).
TensorPair sort(const Tensor& x, std::int64_t dim = -1, bool descending = false);
/// The indices that sort x.
Tensor argsort(const Tensor& x, std::int64_t dim = -1, bool descending = false);
/// The k largest (smallest) elements in descending (ascending) order, and their indices. IndexError
/// for k < 0 or beyond the size of `dim`.
TensorPair topk(const Tensor& x, std::int64_t k, std::int64_t dim = -1, bool largest = true);

}  // namespace retrace
