#pragma once

#include <retrace/nn/module.h>

namespace retrace::nn {

struct GroupNormOptions {
  double eps = 1e-5;
  bool affine = true;
  DType dtype = kFloat32;
};

/// The channels of each sample normalised in num_groups groups of neighbours: y = (x - mean) /
/// √(var
/// + eps) · weight + bias.  x: [N, num_channels, ...]; y: the same.
///
/// Parameters, if affine: weight (1 at first) and bias (0), both [num_channels]. Gradient and
/// errors: see group_norm().
class GroupNorm : public Module {
 public:
  /// ValueError unless num_groups divides num_channels and eps is finite and at least 0, DTypeError
  /// unless floating.
  GroupNorm(std::int64_t num_groups, std::int64_t num_channels,
            const GroupNormOptions& options = {});

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

  Tensor weight, bias;  ///< undefined when there is none

 private:
  std::int64_t num_groups_;
  double eps_;
};

}  // namespace retrace::nn
