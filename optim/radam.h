#pragma once

#include <array>

#include <retrace/optim/optimizer.h>

namespace retrace::optim {

struct RAdamOptions {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};  ///< each in [0, 1)
  double eps = 1e-8;                           ///< above 0
  double weight_decay = 0;
  bool decoupled_weight_decay = false;
  bool maximize = false;
};

/// Adam that divides by the mean square only once that is known well enough; a warm-up of its own.
/// With gradient g of parameter p in step t = 1, 2, ..., β1 and β2 the betas:
///
///     g = g + weight_decay · p                             (maximize: -g + ...)
///     m = β1 · m + (1 - β1) · g
///     v = β2 · v + (1 - β2) · g²
///     n = 2 / (1 - β2) - 1                                 (steps that v remembers in the end)
///     k = n - 2 · t · β2^t / (1 - β2^t)                    (... and now)
///     r = sqrt((k - 4) · (k - 2) · n / ((n - 4) · (n - 2) · k))
///     d = r · sqrt(1 - β2^t) / (sqrt(v) + eps)             if k > 5, else 1
///     p = p - lr / (1 - β1^t) · m · d
///
/// With decoupled_weight_decay the gradient is left alone, and p = (1 - lr · weight_decay) · p
/// comes before the update. Kept for each parameter: exp_avg m, exp_avg_sq v. Source: Liu et al.
/// 2019, arXiv:1908.03265, algorithm 2; in the form of torch.optim.RAdam.
class RAdam : public OptimizerFor<RAdamOptions> {
 public:
  using OptimizerFor::OptimizerFor;
};
extern template class OptimizerFor<RAdamOptions>;

}  // namespace retrace::optim
