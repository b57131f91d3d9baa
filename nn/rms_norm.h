#pragma once

#include <optional>

#include <retrace/nn/module.h>

namespace retrace::nn {

struct RMSNormOptions {
  std::optional<double> eps = {};  ///< by default the dtype's machine epsilon
  bool elementwise_affine = true;
  DType dtype = kFloat32;
};

/// y = x / √(mean(x²) + eps) · weight, the mean over the last dims, whose sizes are
/// normalized_shape.  x: [..., normalized_shape]; y: the same.
///
/// Parameter, if elementwise_affine: weight of normalized_shape, 1 at first. Gradient and errors:
/// see rms_norm().
class RMSNorm : public Module {
 public:
  /// ValueError unless eps is finite and at least 0 and there is a dim, DTypeError unless floating.
  RMSNorm(const Shape& normalized_shape, const RMSNormOptions& options = {});
  RMSNorm(std::int64_t normalized_size, const RMSNormOptions& options = {})
      : RMSNorm(Shape{normalized_size}, options) {}

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

  Tensor weight;  ///< undefined when there is none

 private:
  Shape normalized_shape_;
  std::optional<double> eps_;
};

}  // namespace retrace::nn
