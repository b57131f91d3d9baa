#pragma once

// Arithmetic. Two tensors broadcast against each other and must have one dtype; a plain number
// takes the tensor's dtype. g is the gradient of the result; what was broadcast is summed away by
// the engine. Errors, all of them: ShapeError when the sizes do not broadcast, DTypeError when the
// dtypes differ, for bool tensors, and for a fraction given to an int64 tensor. int64 results are
// taken modulo 2^64.
//
// Source: the rules of calculus; broadcasting as NumPy defines it (Harris et al. 2020, doi
// 10.1038/s41586-020-2649-2).

#include <retrace/tensor/tensor.h>

namespace retrace {

/// a + alpha · b.  da = g, db = alpha · g.
Tensor add(const Tensor& a, const Tensor& b, Scalar alpha = 1);
Tensor add(const Tensor& a, Scalar b);
/// a - alpha · b.  da = g, db = -alpha · g.
Tensor sub(const Tensor& a, const Tensor& b, Scalar alpha = 1);
Tensor sub(const Tensor& a, Scalar b);
/// b - a.  da = -g.
Tensor rsub(const Tensor& a, Scalar b);
/// a · b.  da = g · b, db = g · a.
Tensor mul(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, Scalar b);
/// a / b.  da = g / b, db = -g · y / b. Whole numbers are cut towards zero; by zero: ValueError.
Tensor div(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, Scalar b);
/// a / x for a number a.  dx = -g · y / x.
Tensor rdiv(const Tensor& x, Scalar a);
/// -x.  dx = -g.
Tensor neg(const Tensor& x);

/// The same as operators.
inline Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
inline Tensor operator+(const Tensor& a, Scalar b) { return add(a, b); }
inline Tensor operator+(Scalar a, const Tensor& b) { return add(b, a); }
inline Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
inline Tensor operator-(const Tensor& a, Scalar b) { return sub(a, b); }
inline Tensor operator-(Scalar a, const Tensor& b) { return rsub(b, a); }
inline Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
inline Tensor operator*(const Tensor& a, Scalar b) { return mul(a, b); }
inline Tensor operator*(Scalar a, const Tensor& b) { return mul(b, a); }
inline Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }
inline Tensor operator/(const Tensor& a, Scalar b) { return div(a, b); }
inline Tensor operator/(Scalar a, const Tensor& b) { return rdiv(b, a); }
inline Tensor operator-(const Tensor& x) { return neg(x); }
inline Tensor& operator+=(Tensor& a, const Tensor& b) { return a.add_(b); }
inline Tensor& operator+=(Tensor& a, Scalar b) { return a.add_(b); }
inline Tensor& operator-=(Tensor& a, const Tensor& b) { return a.sub_(b); }
inline Tensor& operator-=(Tensor& a, Scalar b) { return a.sub_(b); }
inline Tensor& operator*=(Tensor& a, const Tensor& b) { return a.mul_(b); }
inline Tensor& operator*=(Tensor& a, Scalar b) { return a.mul_(b); }
inline Tensor& operator/=(Tensor& a, const Tensor& b) { return a.div_(b); }
inline Tensor& operator/=(Tensor& a, Scalar b) { return a.div_(b); }
/// Into a view: `x[0] += y`.
inline Tensor operator+=(Tensor&& a, const Tensor& b) { return a.add_(b); }
inline Tensor operator+=(Tensor&& a, Scalar b) { return a.add_(b); }
inline Tensor operator-=(Tensor&& a, const Tensor& b) { return a.sub_(b); }
inline Tensor operator-=(Tensor&& a, Scalar b) { return a.sub_(b); }
inline Tensor operator*=(Tensor&& a, const Tensor& b) { return a.mul_(b); }
inline Tensor operator*=(Tensor&& a, Scalar b) { return a.mul_(b); }
inline Tensor operator/=(Tensor&& a, const Tensor& b) { return a.div_(b); }
inline Tensor operator/=(Tensor&& a, Scalar b) { return a.div_(b); }

}  // namespace retrace
