#include <retrace/nn/activation.h>

#include <retrace/autograd/ops/softmax.h>

namespace retrace::nn {

Tensor ReLU::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return relu(x);
}

GELU::GELU(const GELUOptions& options) : options_(options) {
  if (options.approximate == Approximate::tanh) describe("approximate=tanh");
}
Tensor GELU::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return gelu(x, options_.approximate);
}

Tensor Tanh::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return tanh(x);
}

Tensor Sigmoid::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return sigmoid(x);
}

Softmax::Softmax(std::int64_t dim) : dim_(dim) { describe("dim=" + std::to_string(dim)); }
Tensor Softmax::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return softmax(x, dim_);
}

}  // namespace retrace::nn
