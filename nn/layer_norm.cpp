#include <retrace/nn/layer_norm.h>

#include <retrace/autograd/ops/normalization.h>
#include <retrace/nn/eps.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {

LayerNorm::LayerNorm(const Shape& normalized_shape, const LayerNormOptions& options)
    : normalized_shape_(normalized_shape), eps_(options.eps) {
  require<ValueError>(normalized_shape.size() > 0,
                      "LayerNorm: normalized_shape is empty; give the sizes of the last dims");
  require_eps("LayerNorm", eps_);
  require<DTypeError>(is_floating(options.dtype), "LayerNorm: cannot be {}; use float32 or float64",
                      options.dtype);
  if (options.elementwise_affine) {
    weight = register_parameter("weight", ones(normalized_shape, options.dtype));
    if (options.bias) bias = register_parameter("bias", zeros(normalized_shape, options.dtype));
  }
  describe(fmt::format("{}, eps={}, elementwise_affine={}", normalized_shape, eps_,
                       options.elementwise_affine));
}

Tensor LayerNorm::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return layer_norm(x, normalized_shape_, weight, bias, eps_);
}

}  // namespace retrace::nn
