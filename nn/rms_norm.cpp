#include <retrace/nn/rms_norm.h>

#include <retrace/autograd/ops/normalization.h>
#include <retrace/nn/eps.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {

RMSNorm::RMSNorm(const Shape& normalized_shape, const RMSNormOptions& options)
    : normalized_shape_(normalized_shape), eps_(options.eps) {
  require<ValueError>(normalized_shape.size() > 0,
                      "RMSNorm: normalized_shape is empty; give the sizes of the last dims");
  require_eps("RMSNorm", eps_.value_or(0));
  require<DTypeError>(is_floating(options.dtype), "RMSNorm: cannot be {}; use float32 or float64",
                      options.dtype);
  if (options.elementwise_affine)
    weight = register_parameter("weight", ones(normalized_shape, options.dtype));
  describe(fmt::format("{}{}, elementwise_affine={}", normalized_shape,
                       eps_ ? fmt::format(", eps={}", *eps_) : "", options.elementwise_affine));
}

Tensor RMSNorm::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return rms_norm(x, normalized_shape_, weight, eps_);
}

}  // namespace retrace::nn
