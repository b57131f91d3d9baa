#pragma once

// Activation functions as modules, for Sequential. Formulas, gradients and errors: see the
// functions in autograd/ops/activation.h and softmax.h.

#include <retrace/autograd/ops/activation.h>
#include <retrace/nn/module.h>

namespace retrace::nn {

class ReLU : public Module {
 public:
  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }
};

struct GELUOptions {
  Approximate approximate = Approximate::none;
};
class GELU : public Module {
 public:
  explicit GELU(const GELUOptions& options = {});
  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

 private:
  GELUOptions options_;
};

class Tanh : public Module {
 public:
  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }
};

class Sigmoid : public Module {
 public:
  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }
};

class Softmax : public Module {
 public:
  explicit Softmax(std::int64_t dim);
  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

 private:
  std::int64_t dim_;
};

}  // namespace retrace::nn
