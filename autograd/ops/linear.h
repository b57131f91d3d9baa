#pragma once

#include <retrace/tensor/tensor.h>

namespace retrace {

/// y = x Wᵀ + b, the affine map of a layer: y(.., o) = Σ over i of x(.., i) · W(o, i) + b(o).
///
/// x [.., in], weight [out, in], bias [out] or not given; float32 or float64, one dtype. Returns
/// [.., out]. One product, into which the bias is put first; one node.
/// Gradient: dx = g W, dW = gᵀ x, db = Σ g over the leading dims.
/// Errors: ShapeError, DTypeError.
/// Source: Rumelhart, Hinton, Williams 1986, doi 10.1038/323533a0, equation 1.
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

}  // namespace retrace
