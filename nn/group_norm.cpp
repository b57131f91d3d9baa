#include <retrace/nn/group_norm.h>

#include <retrace/autograd/ops/normalization.h>
#include <retrace/nn/eps.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {

GroupNorm::GroupNorm(std::int64_t num_groups, std::int64_t num_channels,
                     const GroupNormOptions& options)
    : num_groups_(num_groups), eps_(options.eps) {
  require<ValueError>(
      num_groups > 0 && num_channels >= 0 && num_channels % num_groups == 0,
      "GroupNorm: num_groups is {}, num_channels {}; give a number that divides them", num_groups,
      num_channels);
  require_eps("GroupNorm", eps_);
  require<DTypeError>(is_floating(options.dtype), "GroupNorm: cannot be {}; use float32 or float64",
                      options.dtype);
  if (options.affine) {
    weight = register_parameter("weight", ones({num_channels}, options.dtype));
    bias = register_parameter("bias", zeros({num_channels}, options.dtype));
  }
  describe(
      fmt::format("{}, {}, eps={}, affine={}", num_groups, num_channels, eps_, options.affine));
}

Tensor GroupNorm::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return group_norm(x, num_groups_, weight, bias, eps_);
}

}  // namespace retrace::nn
