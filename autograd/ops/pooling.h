#pragma once

// Pooling: each element of the result looks at a window of the input, channel by channel. Windows
// are kernel_size wide and lie `stride` apart, by default side by side; `padding` elements are
// added on both sides, at most half a window. A result has (L + 2 padding - kernel_size) / stride +
// 1 elements along a dim, rounded down.
//
// x [N, C, L] or [C, L] in one dim, [N, C, H, W] or [C, H, W] in two; float32 or float64. Errors,
// all of them: ShapeError, DTypeError, ValueError for options out of range.

#include <optional>

#include <retrace/autograd/ops/size2d.h>
#include <retrace/tensor/tensor.h>

namespace retrace {

struct MaxPool1dOptions {
  std::optional<std::int64_t> stride = {};  ///< by default kernel_size
  std::int64_t padding = 0;
};
struct MaxPool2dOptions {
  std::optional<Size2d> stride = {};
  Size2d padding = 0;
};
/// y = the largest element of the window; padding never is. NaN counts as the largest.
/// Gradient: g goes to that element, to the first of equals.
/// Source: Riesenhuber and Poggio 1999, Hierarchical models of object recognition in cortex.
Tensor max_pool1d(const Tensor& x, std::int64_t kernel_size, const MaxPool1dOptions& options = {});
Tensor max_pool2d(const Tensor& x, Size2d kernel_size, const MaxPool2dOptions& options = {});

struct AvgPool1dOptions {
  std::optional<std::int64_t> stride = {};
  std::int64_t padding = 0;
  bool count_include_pad = true;  ///< the zeros of the padding count as elements
};
struct AvgPool2dOptions {
  std::optional<Size2d> stride = {};
  Size2d padding = 0;
  bool count_include_pad = true;
};
/// y = Σ window / number of its elements.
/// Gradient: each element of the window gets g / number.
/// Source: LeCun et al. 1989, Backpropagation applied to handwritten zip code recognition.
Tensor avg_pool1d(const Tensor& x, std::int64_t kernel_size, const AvgPool1dOptions& options = {});
Tensor avg_pool2d(const Tensor& x, Size2d kernel_size, const AvgPool2dOptions& options = {});

/// y = mean of the window, with windows such that the result has output_size: element i looks at
/// [floor(i L / output), ceil((i + 1) L / output)). output_size 1 is the mean of each channel.
/// Gradient: as avg_pool2d.
/// Source: Lin, Chen, Yan 2013, arXiv:1312.4400, section 3.2 (output_size 1).
Tensor adaptive_avg_pool2d(const Tensor& x, Size2d output_size);

}  // namespace retrace
