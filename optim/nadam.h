#pragma once

#include <array>

#include <retrace/optim/optimizer.h>

namespace retrace::optim {

struct NAdamOptions {
  double lr = 2e-3;
  std::array<double, 2> betas = {0.9, 0.999};  ///< each in [0, 1)
  double eps = 1e-8;                           ///< above 0
  double weight_decay = 0;
  double momentum_decay = 4e-3;
  bool decoupled_weight_decay = false;
  bool maximize = false;
};

/// Adam with Nesterov's momentum. With gradient g of parameter p in step t = 1, 2, ..., β1 and β2
/// the betas:
///
///     g = g + weight_decay · p                             (maximize: -g + ...)
///     μ(t) = β1 · (1 - 0.96^(t · momentum_decay) / 2)
///     Π = Π · μ(t)                                         (before step 1: Π = 1)
///     m = β1 · m + (1 - β1) · g
///     v = β2 · v + (1 - β2) · g²
///     d = (1 - μ(t)) / (1 - Π) · g + μ(t + 1) / (1 - Π · μ(t + 1)) · m
///     p = p - lr · d / (sqrt(v / (1 - β2^t)) + eps)
///
/// With decoupled_weight_decay the gradient is left alone, and p = (1 - lr · weight_decay) · p
/// comes before the update. Kept for each parameter: exp_avg m, exp_avg_sq v, mu_product Π. Source:
/// Dozat 2016, Incorporating Nesterov momentum into Adam, algorithm 2; in the form of
/// torch.optim.NAdam, 2.0 and later.
class NAdam : public OptimizerFor<NAdamOptions> {
 public:
  using OptimizerFor::OptimizerFor;
};
extern template class OptimizerFor<NAdamOptions>;

}  // namespace retrace::optim
