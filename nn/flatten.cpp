#include <retrace/nn/flatten.h>

#include <retrace/tensor/check.h>

namespace retrace::nn {

Flatten::Flatten(const FlattenOptions& options) : options_(options) {
  describe(fmt::format("start_dim={}, end_dim={}", options.start_dim, options.end_dim));
}

Tensor Flatten::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return x.flatten(options_.start_dim, options_.end_dim);
}

}  // namespace retrace::nn
