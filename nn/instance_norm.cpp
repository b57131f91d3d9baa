#include <retrace/nn/instance_norm.h>

#include <retrace/autograd/ops/normalization.h>
#include <retrace/nn/eps.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {

InstanceNorm::InstanceNorm(std::int64_t num_features, const InstanceNormOptions& options)
    : num_features_(num_features), eps_(options.eps) {
  require<ValueError>(num_features >= 0, "InstanceNorm: num_features is {}; give at least 0",
                      num_features);
  require_eps("InstanceNorm", eps_);
  require<DTypeError>(is_floating(options.dtype),
                      "InstanceNorm: cannot be {}; use float32 or float64", options.dtype);
  if (options.affine) {
    weight = register_parameter("weight", ones({num_features}, options.dtype));
    bias = register_parameter("bias", zeros({num_features}, options.dtype));
  }
  describe(fmt::format("{}, eps={}, affine={}", num_features, eps_, options.affine));
}

Tensor InstanceNorm::normalize(const Tensor& x, int dims) const {
  const PlaceScope scope(*this);
  require<ShapeError>(!x.defined() || (x.dim() == dims && x.size(1) == num_features_),
                      "{}: x is {}; give [N, {}, {}]", type_name(),
                      x.defined() ? x.sizes() : Shape(), num_features_, dims == 3 ? "L" : "H, W");
  return instance_norm(x, weight, bias, eps_);
}

}  // namespace retrace::nn
