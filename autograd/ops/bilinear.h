#pragma once

#include <retrace/tensor/tensor.h>

namespace retrace {

/// y(.., o) = Σ over i, j of x1(.., i) · W(o, i, j) · x2(.., j) + b(o), a form that is linear in
/// each of two inputs.
///
/// x1 [.., in1], x2 [.., in2], equal leading dims; weight [out, in1, in2], bias [out] or not given;
/// float32 or float64, one dtype. Returns [.., out].
/// Gradient: dx1 = Σ g · W · x2, dx2 = Σ g · W · x1, dW = Σ g · x1 · x2, db = Σ g.
/// Errors: ShapeError, DTypeError.
/// Source: Tenenbaum and Freeman 2000, doi 10.1162/089976600300015349, equation 1.
Tensor bilinear(const Tensor& x1, const Tensor& x2, const Tensor& weight, const Tensor& bias = {});

}  // namespace retrace
