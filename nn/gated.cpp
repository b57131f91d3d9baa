#include <retrace/nn/gated.h>

#include <retrace/tensor/check.h>

namespace retrace::nn {
namespace {

std::string details_of(const GLUOptions& options) {
  return fmt::format("dim={}, gate={}", options.dim,
                     options.gate == Gate::first ? "first" : "second");
}

/// A function of the GLU family with its options.
template <class F>
auto with(F function, const GLUOptions& options) {
  return [=](const Tensor& x) { return function(x, options.dim, options.gate); };
}

}  // namespace

GLU::GLU(const GLUOptions& options) : Activation(with(glu, options), details_of(options)) {}
SwiGLU::SwiGLU(const GLUOptions& options)
    : Activation(with(swiglu, options), details_of(options)) {}
GEGLU::GEGLU(const GEGLUOptions& options)
    : Activation(
          [=](const Tensor& x) { return geglu(x, options.dim, options.gate, options.approximate); },
          details_of({.dim = options.dim, .gate = options.gate}) +
              (options.approximate == Approximate::tanh ? ", approximate=tanh" : "")) {}
ReGLU::ReGLU(const GLUOptions& options) : Activation(with(reglu, options), details_of(options)) {}
BilinearGLU::BilinearGLU(const GLUOptions& options)
    : Activation(with(bilinear_glu, options), details_of(options)) {}

GatedFeedForward::GatedFeedForward(std::int64_t features, std::int64_t hidden,
                                   const GatedFeedForwardOptions& options)
    : gate_proj(features, hidden, {.bias = options.bias, .dtype = options.dtype}),
      up_proj(features, hidden, {.bias = options.bias, .dtype = options.dtype}),
      down_proj(hidden, features, {.bias = options.bias, .dtype = options.dtype}),
      block_(options.block) {
  register_module("gate_proj", gate_proj);
  register_module("up_proj", up_proj);
  register_module("down_proj", down_proj);
}

GatedFeedForward::GatedFeedForward(std::int64_t features, const GatedFeedForwardOptions& options)
    : GatedFeedForward(features, options.hidden.value_or(default_hidden(features)), options) {}

Tensor GatedFeedForward::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return block_(x, {.gate = gate_proj.weight,
                    .up = up_proj.weight,
                    .down = down_proj.weight,
                    .gate_bias = gate_proj.bias,
                    .up_bias = up_proj.bias,
                    .down_bias = down_proj.bias});
}

}  // namespace retrace::nn
