#pragma once

#include <retrace/nn/module.h>

namespace retrace::nn {

struct BilinearOptions {
  bool bias = true;
  DType dtype = kFloat32;
};

/// y(.., o) = x1ᵀ · W(o) · x2 + b(o).  x1: [..., in1_features], x2: [..., in2_features]; y: [...,
/// out_features].
///
/// Parameters: weight [out_features, in1_features, in2_features], and bias [out_features] if there
/// is one; both uniform in ±1/√in1_features at first. Gradient and errors: see bilinear().
class Bilinear : public Module {
 public:
  /// ValueError for negative sizes, DTypeError unless floating.
  Bilinear(std::int64_t in1_features, std::int64_t in2_features, std::int64_t out_features,
           const BilinearOptions& options = {});

  Tensor forward(const Tensor& x1, const Tensor& x2) const;
  Tensor operator()(const Tensor& x1, const Tensor& x2) const { return forward(x1, x2); }

  Tensor weight, bias;  ///< bias is undefined when there is none
};

}  // namespace retrace::nn
