#pragma once

#include <retrace/nn/module.h>

namespace retrace::nn {

enum class NormKind { layer_norm, rms_norm };

struct NormOptions {
  NormKind kind = NormKind::layer_norm;
  double eps = 1e-5;
  bool bias = true;  ///< of layer_norm
  DType dtype = kFloat32;
};

/// The norm over the last dim of a model that can be made with either: layer_norm() with weight and
/// bias, or rms_norm() with a weight.  x: [..., features]; y: the same.
///
/// Parameters: weight, 1 at first, and bias, 0, as those of LayerNorm and RMSNorm.
class Norm : public Module {
 public:
  /// ValueError unless eps is finite and at least 0, DTypeError unless floating.
  explicit Norm(std::int64_t features, const NormOptions& options = {});

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

  Tensor weight, bias;  ///< the bias is undefined when there is none

 private:
  NormKind kind_;
  double eps_;
};

}  // namespace retrace::nn
