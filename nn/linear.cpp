#include <retrace/nn/linear.h>

#include <cmath>

#include <retrace/autograd/ops/linear.h>
#include <retrace/nn/init.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {
namespace {

Tensor new_weight(std::int64_t in, std::int64_t out, DType dtype) {
  require<ValueError>(in >= 0 && out >= 0,
                      "Linear: in_features is {}, out_features {}; give at least 0", in, out);
  require<DTypeError>(is_floating(dtype), "Linear: cannot be {}; use float32 or float64", dtype);
  return empty({out, in}, dtype);
}

}  // namespace

Linear::Linear(std::int64_t in_features, std::int64_t out_features, const LinearOptions& options)
    : Linear(new_weight(in_features, out_features, options.dtype),
             options.bias ? empty({out_features}, options.dtype) : Tensor()) {
  const double bound = in_features > 0 ? 1 / std::sqrt(static_cast<double>(in_features)) : 0;
  init::uniform_(weight, -bound, bound);
  if (bias.defined()) init::uniform_(bias, -bound, bound);
}

Linear::Linear(const Tensor& shared_weight, const Tensor& shared_bias) {
  require<ShapeError>(shared_weight.dim() == 2,
                      "Linear: the weight has shape {}; it must be [out_features, in_features]",
                      shared_weight.sizes());
  require<ShapeError>(!shared_bias.defined() || shared_bias.sizes() == Shape{shared_weight.size(0)},
                      "Linear: the weight has shape {}, the bias {}; it must be [out_features]",
                      shared_weight.sizes(), shared_bias.defined() ? shared_bias.sizes() : Shape());
  weight = register_parameter("weight", shared_weight);
  if (shared_bias.defined()) bias = register_parameter("bias", shared_bias);
  describe(fmt::format("in_features={}, out_features={}, bias={}", weight.size(1), weight.size(0),
                       bias.defined()));
}

Tensor Linear::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return linear(x, weight, bias);
}

}  // namespace retrace::nn
