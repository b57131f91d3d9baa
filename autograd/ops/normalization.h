#pragma once

#include <retrace/tensor/tensor.h>

namespace retrace {

/// Each slice of x over its last dims brought to mean 0 and variance 1, then scaled and shifted:
/// y = (x - mean) / sqrt(var + eps) · weight + bias, var being the biased variance.
///
/// x [.., normalized_shape], float32 or float64; weight and bias of normalized_shape, or not given.
/// Statistics are computed in double. A constant slice gives bias.
/// Gradient, with n = (x - mean) · r, r = 1 / sqrt(var + eps), h = g · weight and means over the
/// slice: dx = r · (h - mean(h) - n · mean(h · n)), dweight = Σ g · n, dbias = Σ g. Second
/// derivatives are not available.
/// Errors: ShapeError, DTypeError, ValueError for an eps that is negative or NaN.
/// Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450, section 3.
Tensor layer_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight = {},
                  const Tensor& bias = {}, double eps = 1e-5);

}  // namespace retrace
