#include <retrace/nn/bilinear.h>

#include <cmath>

#include <retrace/autograd/ops/bilinear.h>
#include <retrace/nn/init.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {

Bilinear::Bilinear(std::int64_t in1_features, std::int64_t in2_features, std::int64_t out_features,
                   const BilinearOptions& options) {
  require<ValueError>(in1_features >= 0 && in2_features >= 0 && out_features >= 0,
                      "Bilinear: in1_features is {}, in2_features {}, out_features {}; give at "
                      "least 0",
                      in1_features, in2_features, out_features);
  require<DTypeError>(is_floating(options.dtype), "Bilinear: cannot be {}; use float32 or float64",
                      options.dtype);
  weight = register_parameter("weight",
                              empty({out_features, in1_features, in2_features}, options.dtype));
  if (options.bias) bias = register_parameter("bias", empty({out_features}, options.dtype));
  const double bound = in1_features > 0 ? 1 / std::sqrt(static_cast<double>(in1_features)) : 0;
  init::uniform_(weight, -bound, bound);
  if (bias.defined()) init::uniform_(bias, -bound, bound);
  describe(fmt::format("in1_features={}, in2_features={}, out_features={}, bias={}", in1_features,
                       in2_features, out_features, options.bias));
}

Tensor Bilinear::forward(const Tensor& x1, const Tensor& x2) const {
  const PlaceScope scope(*this);
  return bilinear(x1, x2, weight, bias);
}

}  // namespace retrace::nn
