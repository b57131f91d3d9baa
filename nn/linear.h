#pragma once

#include <retrace/nn/module.h>

namespace retrace::nn {

struct LinearOptions {
  bool bias = true;
  DType dtype = kFloat32;
};

/// y = x · Wᵀ + b.  x: [..., in_features]; y: [..., out_features]; dtypes equal.
///
/// Parameters: weight W [out_features, in_features], and bias b [out_features] if there is one;
/// both uniform in ±1/√in_features at first, as in PyTorch. Gradient and errors: see linear().
class Linear : public Module {
 public:
  /// ValueError for negative sizes, DTypeError unless floating.
  Linear(std::int64_t in_features, std::int64_t out_features, const LinearOptions& options = {});
  /// On tensors that exist, such as an embedding's weight: `Linear head{embedding.weight}` is tied
  /// to it, and frozen where that is (see register_parameter). ShapeError unless [out, in] and
  /// [out].
  explicit Linear(const Tensor& weight, const Tensor& bias = {});

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

  Tensor weight, bias;  ///< bias is undefined when there is none
};

/// Returns its input.
class Identity : public Module {
 public:
  Tensor forward(const Tensor& x) const { return x; }
  Tensor operator()(const Tensor& x) const { return x; }
};

}  // namespace retrace::nn
