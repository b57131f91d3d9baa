#include <retrace/nn/norm.h>

#include <retrace/autograd/ops/normalization.h>
#include <retrace/nn/eps.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {

Norm::Norm(std::int64_t features, const NormOptions& options)
    : kind_(options.kind), eps_(options.eps) {
  require_eps("Norm", eps_);
  require<DTypeError>(is_floating(options.dtype), "Norm: cannot be {}; use float32 or float64",
                      options.dtype);
  weight = register_parameter("weight", ones({features}, options.dtype));
  const bool is_layer_norm = kind_ == NormKind::layer_norm;
  if (is_layer_norm && options.bias)
    bias = register_parameter("bias", zeros({features}, options.dtype));
  describe(
      fmt::format("{}, {}, eps={}", features, is_layer_norm ? "layer_norm" : "rms_norm", eps_));
}

Tensor Norm::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return kind_ == NormKind::layer_norm ? layer_norm(x, weight.sizes(), weight, bias, eps_)
                                       : rms_norm(x, weight.sizes(), weight, eps_);
}

}  // namespace retrace::nn
