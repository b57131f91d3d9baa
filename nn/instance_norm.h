#pragma once

#include <retrace/nn/module.h>

namespace retrace::nn {

struct InstanceNormOptions {
  double eps = 1e-5;
  bool affine = false;
  DType dtype = kFloat32;
};

/// Each channel of each sample normalised on its own, in training and evaluation alike: y = (x -
/// mean) / √(var + eps) · weight + bias.
///
/// Parameters, if affine: weight (1 at first) and bias (0), both [num_features]. Gradient and
/// errors: see instance_norm().
class InstanceNorm : public Module {
 public:
  Tensor weight, bias;  ///< undefined when there is none

 protected:
  /// ValueError for num_features below 0 or an eps that is not finite or below 0, DTypeError unless
  /// floating.
  InstanceNorm(std::int64_t num_features, const InstanceNormOptions& options);
  /// ShapeError unless x has that many dims, the second of num_features.
  Tensor normalize(const Tensor& x, int dims) const;

 private:
  std::int64_t num_features_;
  double eps_;
};

/// Of x [N, num_features, L].
class InstanceNorm1d : public InstanceNorm {
 public:
  explicit InstanceNorm1d(std::int64_t num_features, const InstanceNormOptions& options = {})
      : InstanceNorm(num_features, options) {}

  Tensor forward(const Tensor& x) const { return normalize(x, 3); }
  Tensor operator()(const Tensor& x) const { return forward(x); }
};

/// Of x [N, num_features, H, W].
class InstanceNorm2d : public InstanceNorm {
 public:
  explicit InstanceNorm2d(std::int64_t num_features, const InstanceNormOptions& options = {})
      : InstanceNorm(num_features, options) {}

  Tensor forward(const Tensor& x) const { return normalize(x, 4); }
  Tensor operator()(const Tensor& x) const { return forward(x); }
};

}  // namespace retrace::nn
