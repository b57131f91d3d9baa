#pragma once

// Sums, means and the like over all elements, over one dim, or over several. A reduced dim is
// dropped, or kept with size 1 (keepdim). g is the gradient of the result, spread over the reduced
// elements. `{}` is not taken for a dim (NoDims). Errors: IndexError for a dim out of range or
// named twice.
//
// Source: the rules of calculus; Blanchard, Higham, Higham 2021, doi 10.1093/imanum/draa038, for
// logsumexp.

#include <retrace/tensor/tensor.h>

namespace retrace {

/// y = Σ x.  dx = g. Of nothing: 0. Float32 is summed in double; bool and int64 give int64.
Tensor sum(const Tensor& x);
Tensor sum(const Tensor& x, std::int64_t dim, bool keepdim = false);
Tensor sum(const Tensor& x, const Shape& dims, bool keepdim = false);
Tensor sum(const Tensor& x, NoDims, bool keepdim = false) = delete;

/// y = Σ x / n.  dx = g / n. Of nothing: NaN. DTypeError for int64 and bool.
Tensor mean(const Tensor& x);
Tensor mean(const Tensor& x, std::int64_t dim, bool keepdim = false);
Tensor mean(const Tensor& x, const Shape& dims, bool keepdim = false);
Tensor mean(const Tensor& x, NoDims, bool keepdim = false) = delete;

/// y = Π x.  dx = g · the product of the other elements, which is right where some are 0. Of
/// nothing: 1. Bool and int64 give int64.
Tensor prod(const Tensor& x);
Tensor prod(const Tensor& x, std::int64_t dim, bool keepdim = false);
Tensor prod(const Tensor& x, NoDims, bool keepdim = false) = delete;

/// y = log Σ exp(x), in nats.  dx = g · exp(x) / Σ exp(x). Does not overflow; where all elements
/// are -infinity (or none are there) it is -infinity, with gradient 0.
Tensor logsumexp(const Tensor& x, std::int64_t dim, bool keepdim = false);
Tensor logsumexp(const Tensor& x, const Shape& dims, bool keepdim = false);
Tensor logsumexp(const Tensor& x, NoDims, bool keepdim = false) = delete;

/// Whether some element is not zero (NaN is not), as bool. Of nothing: false.
Tensor any(const Tensor& x);
Tensor any(const Tensor& x, std::int64_t dim, bool keepdim = false);
Tensor any(const Tensor& x, NoDims, bool keepdim = false) = delete;
/// Whether no element is zero, as bool. Of nothing: true.
Tensor all(const Tensor& x);
Tensor all(const Tensor& x, std::int64_t dim, bool keepdim = false);
Tensor all(const Tensor& x, NoDims, bool keepdim = false) = delete;
/// How many elements are not zero, as int64.
Tensor count_nonzero(const Tensor& x);
Tensor count_nonzero(const Tensor& x, std::int64_t dim);
Tensor count_nonzero(const Tensor& x, NoDims) = delete;

/// g summed over the dims in which `sizes` was broadcast to g's shape: the gradient of
/// broadcasting. ShapeError in the name of `op` when `sizes` does not broadcast to g.
Tensor sum_to(const Tensor& g, const Shape& sizes, std::string_view op);

}  // namespace retrace
