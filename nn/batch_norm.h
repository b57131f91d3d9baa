#pragma once

#include <optional>

#include <retrace/nn/module.h>

namespace retrace::nn {

struct BatchNormOptions {
  double eps = 1e-5;
  std::optional<double> momentum = 0.1;  ///< none: running values are means over all batches
  bool affine = true;
  bool track_running_stats = true;  ///< else evaluation normalises by the batch, too
  DType dtype = kFloat32;
};

/// y = (x - mean) / √(var + eps) · weight + bias for each channel: in training mean and (biased)
/// var of the batch, towards which running_mean and running_var move; in evaluation those.
///
/// Parameters, if affine: weight (1 at first) and bias (0), both [num_features]. Buffers, if
/// tracked: running_mean (0), running_var (1), both [num_features], and num_batches_tracked, int64.
/// Gradient and errors: see batch_norm().
class BatchNorm : public Module {
 public:
  Tensor weight, bias, running_mean, running_var, num_batches_tracked;  ///< undefined if not there

 protected:
  /// ValueError for num_features below 0, an eps that is not finite or below 0, or a momentum
  /// outside [0, 1], DTypeError unless floating.
  BatchNorm(std::int64_t num_features, const BatchNormOptions& options);
  Tensor normalize(const Tensor& x) const;

 private:
  double eps_;
  std::optional<double> momentum_;
};

/// Of x [N, num_features] or [N, num_features, L].
class BatchNorm1d : public BatchNorm {
 public:
  explicit BatchNorm1d(std::int64_t num_features, const BatchNormOptions& options = {})
      : BatchNorm(num_features, options) {}

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }
};

/// Of x [N, num_features, H, W].
class BatchNorm2d : public BatchNorm {
 public:
  explicit BatchNorm2d(std::int64_t num_features, const BatchNormOptions& options = {})
      : BatchNorm(num_features, options) {}

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }
};

}  // namespace retrace::nn
