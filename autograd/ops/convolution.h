#pragma once

// Convolutions: one small filter for each output channel, moved over the input. As in all of deep
// learning the filter is not mirrored.

#include <retrace/autograd/ops/size2d.h>
#include <retrace/tensor/tensor.h>

namespace retrace {

struct Conv1dFuncOptions {
  std::int64_t stride = 1;    ///< steps of the filter
  std::int64_t padding = 0;   ///< zeros added on both sides
  std::int64_t dilation = 1;  ///< distance of the filter's elements
  std::int64_t groups = 1;    ///< parts into which the channels fall, each convolved on its own
};
/// y(n, o, t) = bias(o) + Σ over c, k of weight(o, c, k) · x(n, c', t · stride + k · dilation -
/// padding), x being 0 outside; c' is channel c of the group that o belongs to.
///
/// x [N, C, L], weight [O, C / groups, K], bias [O] or not given; float32 or float64, one dtype.
/// Returns [N, O, (L + 2 padding - dilation (K - 1) - 1) / stride + 1], rounded down.
/// Gradient: dx(s) = Σ g · weight over all that s contributed to, dweight = Σ g · x, dbias = Σ g.
/// Errors: ShapeError, DTypeError, ValueError for options out of range.
/// Source: LeCun et al. 1989, Backpropagation applied to handwritten zip code recognition.
Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const Conv1dFuncOptions& options = {});

struct Conv2dFuncOptions {
  Size2d stride = 1;
  Size2d padding = 0;
  Size2d dilation = 1;
  std::int64_t groups = 1;
};
/// conv1d in two dims: x [N, C, H, W], weight [O, C / groups, KH, KW]; options are one number for
/// both dims, or {height, width}. A copy of each image with a row for each element of the filter
/// makes it a product (im2col); dx, dweight and dbias are products of the same matrices.
/// Gradient and errors: see conv1d.
/// Source: LeCun et al. 1989, doi 10.1162/neco.1989.1.4.541.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const Conv2dFuncOptions& options = {});

}  // namespace retrace
