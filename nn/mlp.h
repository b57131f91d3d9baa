#pragma once

#include <functional>
#include <vector>

#include <retrace/autograd/ops/activation.h>
#include <retrace/nn/dropout.h>
#include <retrace/nn/linear.h>
#include <retrace/nn/module_list.h>

namespace retrace::nn {

struct MlpOptions {
  std::vector<std::int64_t> hidden = {64, 64};  ///< neurons of each hidden layer
  std::function<Tensor(const Tensor&)> activation = [](const Tensor& x) { return gelu(x); };
  double dropout = 0;  ///< after each hidden layer
};

/// A multilayer perceptron: h = dropout(activation(linear(h))) for each hidden layer, then one
/// linear layer more.  x: [rows, ...], all dims behind the first together in_features; the result
/// is [rows, out_features].
///
/// Source: Rumelhart, Hinton, Williams 1986, Learning representations by back-propagating errors.
class Mlp : public Module {
 public:
  /// ValueError for negative sizes, or a dropout outside [0, 1].
  Mlp(std::int64_t in_features, std::int64_t out_features, const MlpOptions& options = {});

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

  ModuleList<Linear> layers;
  Dropout dropout;

 private:
  std::function<Tensor(const Tensor&)> activation_;
};

}  // namespace retrace::nn
