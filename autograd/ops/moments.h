#pragma once

// Variances and norms, over all elements, one dim or several; float32 and float64 only. A reduced
// dim is dropped, or kept with size 1 (keepdim); `{}` is not taken for one (NoDims). Errors:
// DTypeError for int64 and bool, IndexError for a dim out of range or named twice.
//
// Source: the rules of calculus; a norm has gradient 0 at 0, the smallest of its subgradients.

#include <retrace/tensor/tensor.h>

namespace retrace {

/// y = Σ (x - mean x)² / (n - 1), or / n unless `unbiased`.  dx = g · 2 (x - mean x) / (n - 1).
/// Computed in two passes. NaN, and so is its gradient, where the divisor is not positive (one
/// element, unbiased).
Tensor var(const Tensor& x, bool unbiased = true);
Tensor var(const Tensor& x, std::int64_t dim, bool unbiased = true, bool keepdim = false);
Tensor var(const Tensor& x, const Shape& dims, bool unbiased = true, bool keepdim = false);

/// y = √var(x).  dx = g · (x - mean x) / ((n - 1) y); 0 where y = 0, that is, where all elements
/// are equal. NaN where var is.
Tensor std(const Tensor& x, bool unbiased = true);
Tensor std(const Tensor& x, std::int64_t dim, bool unbiased = true, bool keepdim = false);
Tensor std(const Tensor& x, const Shape& dims, bool unbiased = true, bool keepdim = false);

/// y = (Σ |x|^p)^(1/p); p = ∞ or -∞: max or min |x|; p = 0: how many are not 0.
/// dx = g · sign(x) (|x| / y)^(p-1); 0 where x or y is 0; ties of an infinite p share g equally.
/// ValueError for p = NaN; ShapeError for p = -∞ of no elements.
Tensor norm(const Tensor& x, double p = 2);
Tensor norm(const Tensor& x, double p, std::int64_t dim, bool keepdim = false);
Tensor norm(const Tensor& x, double p, const Shape& dims, bool keepdim = false);
Tensor norm(const Tensor& x, double p, NoDims, bool keepdim = false) = delete;

/// y = x / max(‖x‖_p, eps) along `dim`: vectors of length 1. One of length 0 stays 0.
/// dx = (g - y · Σ g y) / ‖x‖ for p = 2; g / eps where ‖x‖ < eps. An eps below the smallest number
/// of the dtype of x is taken for that one. ValueError unless eps is positive.
Tensor normalize(const Tensor& x, double p = 2, std::int64_t dim = 1, double eps = 1e-12);

/// A literal 1 or 0 is a dim, not a truth value.
inline Tensor var(const Tensor& x, int dim, bool unbiased = true, bool keepdim = false) {
  return var(x, std::int64_t{dim}, unbiased, keepdim);
}
inline Tensor std(const Tensor& x, int dim, bool unbiased = true, bool keepdim = false) {
  return std(x, std::int64_t{dim}, unbiased, keepdim);
}

}  // namespace retrace
