#pragma once

// Elementary functions, element by element. Floating tensors keep their dtype; others are refused
// (DTypeError) unless int64 is named. Two tensors broadcast (ShapeError when they cannot) and must
// have one dtype (DTypeError). g is the gradient of the result; angles are in radians. Values
// outside a function's domain give NaN, poles give infinity, as in C.
//
// Source: Abramowitz and Stegun 1964, Handbook of mathematical functions, chapters 4 and 7.

#include <retrace/tensor/tensor.h>

namespace retrace {

// Exponentials and logarithms --------------------------------------------------------------------

/// eˣ.  dx = g · y.
Tensor exp(const Tensor& x);
/// eˣ - 1, exact near 0.  dx = g · (y + 1).
Tensor expm1(const Tensor& x);
/// ln x.  dx = g / x.
Tensor log(const Tensor& x);
/// log₂ x.  dx = g / (x ln 2).
Tensor log2(const Tensor& x);
/// log₁₀ x.  dx = g / (x ln 10).
Tensor log10(const Tensor& x);
/// ln(1 + x), exact near 0.  dx = g / (1 + x).
Tensor log1p(const Tensor& x);
/// ln(eᵃ + eᵇ), without overflow.  da = g · σ(a - b), db = g · σ(b - a).
Tensor logaddexp(const Tensor& a, const Tensor& b);

// Powers and roots ---------------------------------------------------------------------------

/// x². Also int64.  dx = g · 2x.
Tensor square(const Tensor& x);
/// √x.  dx = g / 2y: infinite at 0.
Tensor sqrt(const Tensor& x);
/// 1 / √x.  dx = -g · y³ / 2.
Tensor rsqrt(const Tensor& x);
/// 1 / x.  dx = -g · y².
Tensor reciprocal(const Tensor& x);
/// aᵇ.  da = g · b aᵇ⁻¹, and 0 where b = 0; db = g · y ln a, and 0 where a = 0 and b ≥ 0. Of two
/// int64 tensors: ValueError for a negative exponent, which would leave the whole numbers.
Tensor pow(const Tensor& base, const Tensor& exponent);
Tensor pow(const Tensor& base, Scalar exponent);
Tensor pow(Scalar base, const Tensor& exponent);

// Angles -----------------------------------------------------------------------------------------

/// dx = g · cos x.
Tensor sin(const Tensor& x);
/// dx = -g · sin x.
Tensor cos(const Tensor& x);
/// dx = g · (1 + y²).
Tensor tan(const Tensor& x);
/// In [-π/2, π/2].  dx = g / √(1 - x²).
Tensor asin(const Tensor& x);
/// In [0, π].  dx = -g / √(1 - x²).
Tensor acos(const Tensor& x);
/// In [-π/2, π/2].  dx = g / (1 + x²).
Tensor atan(const Tensor& x);
/// The angle of the point (x, y), in [-π, π].  dy = g · x / (x² + y²), dx = -g · y / (x² + y²): NaN
/// at the origin.
Tensor atan2(const Tensor& y, const Tensor& x);
/// (eˣ - e⁻ˣ) / 2.  dx = g · cosh x.
Tensor sinh(const Tensor& x);
/// (eˣ + e⁻ˣ) / 2.  dx = g · sinh x.
Tensor cosh(const Tensor& x);

// Error function ---------------------------------------------------------------------------------

/// 2/√π ∫₀ˣ exp(-t²) dt.  dx = g · 2/√π exp(-x²).
Tensor erf(const Tensor& x);
/// 1 - erf(x), exact far out.  dx = -g · 2/√π exp(-x²).
Tensor erfc(const Tensor& x);

// Steps; also int64 ---------------------------------------------------------------------------

/// |x|.  dx = g · sign(x): 0 at 0.
Tensor abs(const Tensor& x);
/// -1, 0 or 1.  dx = 0, as for all that follow.
Tensor sign(const Tensor& x);
/// The next whole number below.
Tensor floor(const Tensor& x);
/// The next whole number above.
Tensor ceil(const Tensor& x);
/// The nearest whole number; halves go to the even one.
Tensor round(const Tensor& x);
/// The next whole number towards 0.
Tensor trunc(const Tensor& x);

// Two tensors: extremes, interpolation, remainders
// -------------------------------------------------

/// The larger of a and b; NaN if one is. Also int64.  da = g where a > b, g/2 where they are equal.
Tensor maximum(const Tensor& a, const Tensor& b);
/// The smaller; likewise.
Tensor minimum(const Tensor& a, const Tensor& b);
/// a + w · (b - a).  da = g · (1 - w), db = g · w, dw = g · (b - a).
Tensor lerp(const Tensor& a, const Tensor& b, Scalar weight);
Tensor lerp(const Tensor& a, const Tensor& b, const Tensor& weight);
/// a - b · trunc(a / b), of the sign of a (C's fmod). Also int64; by zero: ValueError.
/// da = g, db = -g · trunc(a / b).
Tensor fmod(const Tensor& a, const Tensor& b);
Tensor fmod(const Tensor& a, Scalar b);
/// a - b · floor(a / b), of the sign of b (Python's %). Also int64; by zero: ValueError.
/// da = g, db = -g · floor(a / b).
Tensor remainder(const Tensor& a, const Tensor& b);
Tensor remainder(const Tensor& a, Scalar b);

}  // namespace retrace
