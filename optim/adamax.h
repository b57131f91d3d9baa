#pragma once

#include <array>

#include <retrace/optim/optimizer.h>

namespace retrace::optim {

struct AdamaxOptions {
  double lr = 2e-3;
  std::array<double, 2> betas = {0.9, 0.999};  ///< each in [0, 1)
  double eps = 1e-8;                           ///< above 0
  double weight_decay = 0;
  bool maximize = false;
};

/// Adam with the largest gradient in place of the mean square. With gradient g of parameter p in
/// step t = 1, 2, ..., β1 and β2 the betas:
///
///     g = g + weight_decay · p                 (maximize: -g + ...)
///     m = β1 · m + (1 - β1) · g
///     u = max(β2 · u, |g| + eps)
///     p = p - lr / (1 - β1^t) · m / u
///
/// Kept for each parameter: exp_avg m, exp_inf u.
/// Source: Kingma and Ba 2014, arXiv:1412.6980, algorithm 2; in the form of torch.optim.Adamax.
class Adamax : public OptimizerFor<AdamaxOptions> {
 public:
  using OptimizerFor::OptimizerFor;
};
extern template class OptimizerFor<AdamaxOptions>;

}  // namespace retrace::optim
