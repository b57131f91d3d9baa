#pragma once

// Choosing elements by a condition, and keeping them within bounds. g is the gradient of the
// result; an element that was not taken gets 0, whatever g is.
//
// Source: the rules of calculus on either side of the condition; at a bound clamp passes g.

#include <optional>

#include <retrace/tensor/tensor.h>

namespace retrace {

/// a where `condition` holds, else b; the three broadcast. Any dtype.  da = g where it holds, else
/// 0; db = the rest of g. A branch that gives NaN or infinity has a NaN gradient even where it is
/// not taken (0 · ∞ behind it): make its argument safe first. Errors: DTypeError when the condition
/// is not bool or the dtypes of a and b differ, ShapeError.
Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b);
Tensor where(const Tensor& condition, const Tensor& a, Scalar b);
Tensor where(const Tensor& condition, Scalar a, const Tensor& b);
/// Of two numbers: float32 if one is a fraction type, else int64.
Tensor where(const Tensor& condition, Scalar a, Scalar b);

/// `value` where the mask holds, else x; both broadcast. Any dtype.  dx = 0 where it holds, else g.
/// Errors: DTypeError when the mask is not bool, ShapeError, ValueError for a finite value that
/// float32 cannot hold, if it is to.
Tensor masked_fill(const Tensor& x, const Tensor& mask, Scalar value);

/// min(max(x, min), max); either bound may be left out. NaN stays. Also int64.  dx = g where
/// min ≤ x ≤ max, bounds included, else 0. Errors: ValueError without any bound, when min > max, or
/// when a bound is NaN.
Tensor clamp(const Tensor& x, std::optional<Scalar> min, std::optional<Scalar> max = {});

}  // namespace retrace
