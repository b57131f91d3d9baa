#pragma once

// Gated linear units: one half of x, the values, is multiplied by an activation of the other, the
// gate. Each is one node, and the halves are not copied. x: floating, of even size 2h along `dim`;
// y: size h there. With a the gate, v the values and f the activation:
//
//     y = f(a) · v        da = g · v f'(a)        dv = g · f(a)
//
// Which half is the gate differs between models: the second in PyTorch's glu, the first in fused
// projections of the LLaMA family. Errors: ShapeError for an odd size, IndexError for a dim out of
// range, DTypeError for int64 and bool.
//
// Source: Shazeer 2020, arXiv 2002.05202, equations 5 and 6; glu: Dauphin et al. 2016, arXiv
// 1612.08083, equation 1.

#include <retrace/autograd/ops/activation.h>

namespace retrace {

/// Which half of x is the gate.
enum class Gate { first, second };

/// f = σ.
Tensor glu(const Tensor& x, std::int64_t dim = -1, Gate gate = Gate::second);
/// f = silu.
Tensor swiglu(const Tensor& x, std::int64_t dim = -1, Gate gate = Gate::second);
/// f = gelu, exact or with tanh.
Tensor geglu(const Tensor& x, std::int64_t dim = -1, Gate gate = Gate::second,
             Approximate approximate = Approximate::none);
/// f = relu.
Tensor reglu(const Tensor& x, std::int64_t dim = -1, Gate gate = Gate::second);
/// f(a) = a.
Tensor bilinear_glu(const Tensor& x, std::int64_t dim = -1, Gate gate = Gate::second);

// Feed-forward blocks ----------------------------------------------------------------------------

/// Weights of a gated feed-forward block, laid out as for linear(): gate and up [hidden, d], down
/// [d, hidden]. Biases may be left undefined.
struct GatedWeights {
  Tensor gate, up, down;
  Tensor gate_bias = {}, up_bias = {}, down_bias = {};
};

/// y = (f(x W_gateᵀ + b_gate) · (x W_upᵀ + b_up)) W_downᵀ + b_down, f as above: four nodes, three
/// products and the gating. x: [..., d]. Errors: those of linear(); ShapeError when gate and up
/// differ.
Tensor glu_ffn(const Tensor& x, const GatedWeights& weights);
Tensor swiglu_ffn(const Tensor& x, const GatedWeights& weights);
Tensor geglu_ffn(const Tensor& x, const GatedWeights& weights);
Tensor geglu_tanh_ffn(const Tensor& x, const GatedWeights& weights);
Tensor reglu_ffn(const Tensor& x, const GatedWeights& weights);
Tensor bilinear_glu_ffn(const Tensor& x, const GatedWeights& weights);

}  // namespace retrace
