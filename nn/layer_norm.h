#pragma once

#include <retrace/nn/module.h>

namespace retrace::nn {

struct LayerNormOptions {
  double eps = 1e-5;
  bool elementwise_affine = true;
  bool bias = true;
  DType dtype = kFloat32;
};

/// y = (x - mean) / √(var + eps) · weight + bias, mean and (biased) var over the last dims, whose
/// sizes are normalized_shape.  x: [..., normalized_shape]; y: the same.
///
/// Parameters, if elementwise_affine: weight (1 at first) and, if bias, bias (0 at first), both of
/// normalized_shape. Gradient and errors: see layer_norm().
class LayerNorm : public Module {
 public:
  /// ValueError unless eps is finite and at least 0 and there is a dim, DTypeError unless floating.
  LayerNorm(const Shape& normalized_shape, const LayerNormOptions& options = {});
  LayerNorm(std::int64_t normalized_size, const LayerNormOptions& options = {})
      : LayerNorm(Shape{normalized_size}, options) {}

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

  Tensor weight, bias;  ///< undefined when there is none

 private:
  Shape normalized_shape_;
  double eps_;
};

}  // namespace retrace::nn
