#include <retrace/nn/mlp.h>

namespace retrace::nn {

Mlp::Mlp(std::int64_t in_features, std::int64_t out_features, const MlpOptions& options)
    : dropout(options.dropout), activation_(options.activation) {
  std::int64_t features = in_features;
  for (const std::int64_t hidden : options.hidden) {
    layers.push_back(Linear(features, hidden));
    features = hidden;
  }
  layers.push_back(Linear(features, out_features));
  register_module("layers", layers);
  register_module("dropout", dropout);
}

Tensor Mlp::forward(const Tensor& x) const {
  const Scope scope(*this);
  Tensor h = x.flatten(1);
  for (std::size_t i = 0; i + 1 < layers.size(); ++i) h = dropout(activation_(layers[i](h)));
  return layers[layers.size() - 1](h);
}

}  // namespace retrace::nn
