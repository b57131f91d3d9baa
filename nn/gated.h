#pragma once

// Gated linear units: alone, and as feed-forward blocks. Formulas, gradients and errors: see
// autograd/ops/gated.h.

#include <optional>

#include <retrace/autograd/ops/gated.h>
#include <retrace/nn/activation.h>
#include <retrace/nn/linear.h>

namespace retrace::nn {

/// Which half of the input is the gate, and along which dim it is cut.
struct GLUOptions {
  std::int64_t dim = -1;
  Gate gate = Gate::second;
};
/// glu() as a module.
struct GLU : Activation {
  explicit GLU(const GLUOptions& options = {});
};
/// swiglu() as a module.
struct SwiGLU : Activation {
  explicit SwiGLU(const GLUOptions& options = {});
};
struct GEGLUOptions {
  std::int64_t dim = -1;
  Gate gate = Gate::second;
  Approximate approximate = Approximate::none;
};
/// geglu() as a module.
struct GEGLU : Activation {
  explicit GEGLU(const GEGLUOptions& options = {});
};
/// reglu() as a module.
struct ReGLU : Activation {
  explicit ReGLU(const GLUOptions& options = {});
};
/// bilinear_glu() as a module.
struct BilinearGLU : Activation {
  explicit BilinearGLU(const GLUOptions& options = {});
};

struct GatedFeedForwardOptions {
  std::optional<std::int64_t> hidden = {};  ///< by default default_hidden(features)
  /// Which gate: glu_ffn, swiglu_ffn, geglu_ffn, geglu_tanh_ffn, reglu_ffn or bilinear_glu_ffn.
  Tensor (*block)(const Tensor&, const GatedWeights&) = swiglu_ffn;
  bool bias = false;
  DType dtype = kFloat32;
};

/// y = down(f(gate(x)) · up(x)), the feed-forward block of the LLaMA family, with its names of the
/// parts. x and y: [..., features].
/// Source: Shazeer 2020, arXiv 2002.05202, equation 6 and section 2.
class GatedFeedForward : public Module {
 public:
  /// Errors: those of Linear.
  explicit GatedFeedForward(std::int64_t features, const GatedFeedForwardOptions& options = {});

  /// Two thirds of the 4 · features that are usual without a gate: the three matrices then have as
  /// many parameters as the two of an ordinary block.
  static std::int64_t default_hidden(std::int64_t features) { return 8 * features / 3; }

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

  Linear gate_proj, up_proj, down_proj;

 private:
  GatedFeedForward(std::int64_t features, std::int64_t hidden,
                   const GatedFeedForwardOptions& options);
  Tensor (*block_)(const Tensor&, const GatedWeights&);
};

}  // namespace retrace::nn
