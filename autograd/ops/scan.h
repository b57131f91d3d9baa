#pragma once

// Running sums, products and recurrences along one dim; the result has the sizes of x. Carried in
// double for float32. Errors: IndexError for a dim out of range, DTypeError where noted.
//
// Source: Blelloch 1990, Prefix sums and their applications; the gradient is the same scan from the
// other end.

#include <retrace/tensor/tensor.h>

namespace retrace {

/// y_i = x_0 + ... + x_i.  dx_i = g_i + ... + g_n. Bool and int64 give int64.
Tensor cumsum(const Tensor& x, std::int64_t dim);

/// y_i = x_0 · ... · x_i.  dx_i = Σ_{k >= i} g_k · the product of the others up to k, which is
/// right where some are 0. Bool and int64 give int64.
Tensor cumprod(const Tensor& x, std::int64_t dim);

/// y_i = x_0 · ... · x_{i-1}, y_0 = 1.
Tensor cumprod_exclusive(const Tensor& x, std::int64_t dim);

/// The linear recurrence h_i = a_i h_{i-1} + b_i, starting from h_{-1} = 0 (a_0 is not read).
/// db_i = u_i and da_i = u_i h_{i-1}, where u_i = g_i + a_{i+1} u_{i+1}. Sizes and dtypes of a and
/// b must be equal (ShapeError, DTypeError).
Tensor linear_recurrence(const Tensor& a, const Tensor& b, std::int64_t dim);

}  // namespace retrace
