#pragma once

#include <retrace/autograd/ops/size2d.h>
#include <retrace/nn/module.h>

namespace retrace::nn {

struct Conv1dOptions {
  std::int64_t stride = 1;
  std::int64_t padding = 0;  ///< zeros on both sides
  std::int64_t dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
  DType dtype = kFloat32;
};

/// Convolution of sequences.  x: [N, in_channels, L]; y: [N, out_channels, L'].
///
/// Parameters: weight [out_channels, in_channels / groups, kernel_size], and bias [out_channels] if
/// there is one; both uniform in ±1/√(in_channels / groups · kernel_size) at first, as in PyTorch.
/// Formula, gradient and errors: see conv1d().
class Conv1d : public Module {
 public:
  /// ValueError for sizes below 1 or groups that do not divide the channels, DTypeError unless
  /// floating.
  Conv1d(std::int64_t in_channels, std::int64_t out_channels, std::int64_t kernel_size,
         const Conv1dOptions& options = {});

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

  Tensor weight, bias;  ///< bias is undefined when there is none

 private:
  Conv1dOptions options_;
};

struct Conv2dOptions {
  Size2d stride = 1;  ///< for both dims, or {height, width}; so are the next two
  Size2d padding = 0;
  Size2d dilation = 1;
  std::int64_t groups = 1;
  bool bias = true;
  DType dtype = kFloat32;
};

/// Convolution of images.  x: [N, in_channels, H, W]; y: [N, out_channels, H', W'].
///
/// Parameters: weight [out_channels, in_channels / groups, height, width] and bias, see Conv1d.
/// Formula, gradient and errors: see conv2d().
class Conv2d : public Module {
 public:
  /// As Conv1d; kernel_size is one number, or {height, width}.
  Conv2d(std::int64_t in_channels, std::int64_t out_channels, Size2d kernel_size,
         const Conv2dOptions& options = {});

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

  Tensor weight, bias;  ///< bias is undefined when there is none

 private:
  Conv2dOptions options_;
};

}  // namespace retrace::nn
