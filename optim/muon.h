#pragma once

#include <array>

#include <retrace/optim/optimizer.h>

namespace retrace::optim {

/// How a norm is kept from being zero: norm + eps (K. Jordan's), or max(norm, eps) (PyTorch's).
enum class EpsMode { add, clamp };

struct NewtonSchulzOptions {
  std::array<double, 3> coefficients = {3.4445, -4.7750, 2.0315};
  std::int64_t steps = 5;
  double eps = 1e-7;  ///< above 0, in the matrix's dtype too
  EpsMode eps_mode = EpsMode::clamp;
};

/// Nearly the orthogonal matrix next to `matrix` = U S V': U S' V' with singular values S' of
/// about 0.7 to 1.2, by products alone. With coefficients (a, b, c), X the matrix, transposed when
/// it has more rows than columns, divided by its Frobenius norm (see EpsMode):
///
///     A = X X';  X = a · X + (b · A + c · A A) X          `steps` times, then transposed back
///
/// float32 or float64 [rows, columns], a new tensor of the same; unrecorded, so without a gradient.
/// ShapeError unless 2-dim; DTypeError; ValueError for options.
/// Source: Jordan et al. 2024, Muon: an optimizer for hidden layers in neural networks; Bernstein
/// and Newhouse 2024, arXiv:2409.20325, appendix A.
Tensor newton_schulz(const Tensor& matrix, const NewtonSchulzOptions& options = {});

struct MuonOptions {
  double lr = 1e-3;
  double weight_decay = 0.1;
  double momentum = 0.95;  ///< in [0, 1)
  bool nesterov = true;
  std::array<double, 3> ns_coefficients = {3.4445, -4.7750, 2.0315};
  double eps = 1e-7;  ///< above 0
  std::int64_t ns_steps = 5;
  EpsMode eps_mode = EpsMode::clamp;
};

/// Muon: momentum, made orthogonal. With gradient g of parameter p [rows, columns], μ = momentum
/// and newton_schulz with ns_coefficients, eps, ns_steps and eps_mode:
///
///     m = μ · m + (1 - μ) · g
///     u = μ · m + (1 - μ) · g                              (without nesterov: u = m)
///     p = (1 - lr · weight_decay) · p
///     p = p - lr · sqrt(max(1, rows / columns)) · newton_schulz(u)
///
/// Only for matrices, best those between hidden layers: any other shape is a ShapeError, give such
/// parameters (biases, norms) to an AdamW of their own. The products are those of the parameter's
/// dtype, where others iterate in bfloat16. Kept for each parameter: momentum_buffer m.
/// Source: Jordan et al. 2024, Muon: an optimizer for hidden layers in neural networks; weight
/// decay: Liu et al. 2025, arXiv:2502.16982, section 2.2; in the form of torch.optim.Muon with
/// adjust_lr_fn "original".
class Muon : public OptimizerFor<MuonOptions> {
 public:
  using OptimizerFor::OptimizerFor;
};
extern template class OptimizerFor<MuonOptions>;

}  // namespace retrace::optim
