#pragma once

// Largest and smallest elements, and where they are. A reduced dim is dropped, or kept with size 1
// (keepdim); `{}` is not taken for a dim (NoDims). NaN counts as the extreme of both kinds, so it
// is not lost. Errors: ShapeError for an extreme of no elements; IndexError for a dim out of range
// or named twice.
//
// Source: Danskin 1967, The theory of max-min, for the gradient; equal shares at a tie are a
// choice.

#include <retrace/tensor/tensor.h>

namespace retrace {

/// y = max x.  Elements that tie share g equally.
Tensor amax(const Tensor& x);
Tensor amax(const Tensor& x, std::int64_t dim, bool keepdim = false);
Tensor amax(const Tensor& x, const Shape& dims, bool keepdim = false);
Tensor amax(const Tensor& x, NoDims, bool keepdim = false) = delete;
/// y = min x.  Elements that tie share g equally.
Tensor amin(const Tensor& x);
Tensor amin(const Tensor& x, std::int64_t dim, bool keepdim = false);
Tensor amin(const Tensor& x, const Shape& dims, bool keepdim = false);
Tensor amin(const Tensor& x, NoDims, bool keepdim = false) = delete;

/// Over all elements as amax and amin. Over a dim: {values, indices}, the indices (int64) being
/// those of the first of equals, and g goes to that element alone.
Tensor max(const Tensor& x);
TensorPair max(const Tensor& x, std::int64_t dim, bool keepdim = false);
TensorPair max(const Tensor& x, NoDims, bool keepdim = false) = delete;
Tensor min(const Tensor& x);
TensorPair min(const Tensor& x, std::int64_t dim, bool keepdim = false);
TensorPair min(const Tensor& x, NoDims, bool keepdim = false) = delete;

/// Index (int64) of the first largest or smallest element: along `dim`, or in row-major order.
Tensor argmax(const Tensor& x);
Tensor argmax(const Tensor& x, std::int64_t dim, bool keepdim = false);
Tensor argmax(const Tensor& x, NoDims, bool keepdim = false) = delete;
Tensor argmin(const Tensor& x);
Tensor argmin(const Tensor& x, std::int64_t dim, bool keepdim = false);
Tensor argmin(const Tensor& x, NoDims, bool keepdim = false) = delete;

}  // namespace retrace
