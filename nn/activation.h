#pragma once

// Activations as modules, for Sequential. Formulas, gradients, errors and sources: see the
// functions in autograd/ops/activation.h and softmax.h. Names and options are PyTorch's.

#include <functional>

#include <retrace/autograd/ops/activation.h>
#include <retrace/autograd/ops/softmax.h>
#include <retrace/nn/module.h>

namespace retrace::nn {

/// Base of the modules that are a function of one tensor.
class Activation : public Module {
 public:
  Tensor forward(const Tensor& x) const {
    const PlaceScope scope(*this);
    return function_(x);
  }
  Tensor operator()(const Tensor& x) const { return forward(x); }

 protected:
  /// `details` stand in the brackets of the summary.
  explicit Activation(std::function<Tensor(const Tensor&)> function, std::string details = {})
      : function_(std::move(function)) {
    if (!details.empty()) describe(std::move(details));
  }

 private:
  std::function<Tensor(const Tensor&)> function_;
};

/// Of a function without options. One of one's own is a line: `struct Sine : ActivationOf<sin> {};`
template <Tensor (*function)(const Tensor&)>
struct ActivationOf : Activation {
  ActivationOf() : Activation(function) {}
};

// Without options --------------------------------------------------------------------------------

struct Sigmoid : ActivationOf<sigmoid> {};
struct Tanh : ActivationOf<tanh> {};
struct Softsign : ActivationOf<softsign> {};
struct LogSigmoid : ActivationOf<logsigmoid> {};
struct Hardsigmoid : ActivationOf<hardsigmoid> {};
struct ReLU : ActivationOf<relu> {};
struct ReLU6 : ActivationOf<relu6> {};
struct SELU : ActivationOf<selu> {};
struct QuickGELU : ActivationOf<quick_gelu> {};
struct SiLU : ActivationOf<silu> {};
struct Mish : ActivationOf<mish> {};
struct Hardswish : ActivationOf<hardswish> {};
struct Tanhshrink : ActivationOf<tanhshrink> {};

// With options -----------------------------------------------------------------------------------

struct HardtanhOptions {
  double min_val = -1, max_val = 1;
};
/// hardtanh() as a module.
struct Hardtanh : Activation {
  explicit Hardtanh(const HardtanhOptions& options = {});
};

struct LeakyReLUOptions {
  double negative_slope = 0.01;
};
/// leaky_relu() as a module.
struct LeakyReLU : Activation {
  explicit LeakyReLU(const LeakyReLUOptions& options = {});
};

struct SoftplusOptions {
  double beta = 1, threshold = 20;
};
/// softplus() as a module.
struct Softplus : Activation {
  explicit Softplus(const SoftplusOptions& options = {});
};

struct ELUOptions {
  double alpha = 1;
};
/// elu() as a module.
struct ELU : Activation {
  explicit ELU(const ELUOptions& options = {});
};
/// celu() as a module.
struct CELU : Activation {
  explicit CELU(const ELUOptions& options = {});
};

struct GELUOptions {
  Approximate approximate = Approximate::none;
};
/// gelu() as a module.
struct GELU : Activation {
  explicit GELU(const GELUOptions& options = {});
};

/// softshrink() as a module.
struct Softshrink : Activation {
  explicit Softshrink(double lambd = 0.5);
};
/// hardshrink() as a module.
struct Hardshrink : Activation {
  explicit Hardshrink(double lambd = 0.5);
};

/// softmax() as a module.
struct Softmax : Activation {
  explicit Softmax(std::int64_t dim);
};
/// log_softmax() as a module.
struct LogSoftmax : Activation {
  explicit LogSoftmax(std::int64_t dim);
};
/// softmin() as a module.
struct Softmin : Activation {
  explicit Softmin(std::int64_t dim);
};

// That learn -------------------------------------------------------------------------------------

struct PReLUOptions {
  std::int64_t num_parameters = 1;
  double init = 0.25;
  DType dtype = kFloat32;
};
/// prelu with the slope as a parameter: weight [num_parameters], one or one for each channel.
struct PReLU : Activation {
  /// ValueError for fewer than 1 or an init that is not finite, DTypeError unless floating.
  explicit PReLU(const PReLUOptions& options = {});
  Tensor weight;

 private:
  explicit PReLU(const Tensor& slopes);
};

struct SwishOptions {
  double init = 1;
  DType dtype = kFloat32;
};
/// swish with β as a parameter: beta [].
struct Swish : Activation {
  /// ValueError for an init that is not finite, DTypeError unless floating.
  explicit Swish(const SwishOptions& options = {});
  Tensor beta;

 private:
  explicit Swish(const Tensor& steepness);
};

}  // namespace retrace::nn
