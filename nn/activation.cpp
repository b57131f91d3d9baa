#include <retrace/nn/activation.h>

#include <cmath>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {
namespace {

double finite(std::string_view type, double init) {
  require<ValueError>(std::isfinite(init), "{}: init is {}; give a finite number", type, init);
  return init;
}

std::string dim_details(std::int64_t dim) { return fmt::format("dim={}", dim); }

}  // namespace

Hardtanh::Hardtanh(const HardtanhOptions& options)
    : Activation([=](const Tensor& x) { return hardtanh(x, options.min_val, options.max_val); },
                 fmt::format("min_val={}, max_val={}", options.min_val, options.max_val)) {}

LeakyReLU::LeakyReLU(const LeakyReLUOptions& options)
    : Activation([=](const Tensor& x) { return leaky_relu(x, options.negative_slope); },
                 fmt::format("negative_slope={}", options.negative_slope)) {}

Softplus::Softplus(const SoftplusOptions& options)
    : Activation([=](const Tensor& x) { return softplus(x, options.beta, options.threshold); },
                 fmt::format("beta={}, threshold={}", options.beta, options.threshold)) {}

ELU::ELU(const ELUOptions& options)
    : Activation([=](const Tensor& x) { return elu(x, options.alpha); },
                 fmt::format("alpha={}", options.alpha)) {}

CELU::CELU(const ELUOptions& options)
    : Activation([=](const Tensor& x) { return celu(x, options.alpha); },
                 fmt::format("alpha={}", options.alpha)) {}

GELU::GELU(const GELUOptions& options)
    : Activation([=](const Tensor& x) { return gelu(x, options.approximate); },
                 options.approximate == Approximate::tanh ? "approximate=tanh" : "") {}

Softshrink::Softshrink(double lambd)
    : Activation([=](const Tensor& x) { return softshrink(x, lambd); },
                 fmt::format("lambd={}", lambd)) {}

Hardshrink::Hardshrink(double lambd)
    : Activation([=](const Tensor& x) { return hardshrink(x, lambd); },
                 fmt::format("lambd={}", lambd)) {}

Softmax::Softmax(std::int64_t dim)
    : Activation([=](const Tensor& x) { return softmax(x, dim); }, dim_details(dim)) {}

LogSoftmax::LogSoftmax(std::int64_t dim)
    : Activation([=](const Tensor& x) { return log_softmax(x, dim); }, dim_details(dim)) {}

Softmin::Softmin(std::int64_t dim)
    : Activation([=](const Tensor& x) { return softmin(x, dim); }, dim_details(dim)) {}

PReLU::PReLU(const Tensor& slopes)
    : Activation([slopes](const Tensor& x) { return prelu(x, slopes); },
                 fmt::format("num_parameters={}", slopes.numel())),
      weight(register_parameter("weight", slopes)) {}

PReLU::PReLU(const PReLUOptions& options)
    : PReLU([&] {
        require<ValueError>(options.num_parameters >= 1,
                            "PReLU: num_parameters is {}; give at least 1", options.num_parameters);
        return full({options.num_parameters}, finite("PReLU", options.init), options.dtype);
      }()) {}

Swish::Swish(const Tensor& steepness)
    : Activation([steepness](const Tensor& x) { return swish(x, steepness); }),
      beta(register_parameter("beta", steepness)) {}

Swish::Swish(const SwishOptions& options)
    : Swish(full({}, finite("Swish", options.init), options.dtype)) {}

}  // namespace retrace::nn
