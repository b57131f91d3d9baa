#pragma once

#include <retrace/optim/optimizer.h>

namespace retrace::optim {

struct AdagradOptions {
  double lr = 1e-2;
  double lr_decay = 0;
  double weight_decay = 0;
  double initial_accumulator_value = 0;
  double eps = 1e-10;  ///< above 0
  bool maximize = false;
};

/// Adagrad. With gradient g of parameter p in step t = 1, 2, ...:
///
///     g = g + weight_decay · p                                    (maximize: -g + ...)
///     s = s + g²                                (before step 1: initial_accumulator_value)
///     p = p - lr / (1 + (t - 1) · lr_decay) · g / (sqrt(s) + eps)
///
/// Kept for each parameter: sum s.
/// Source: Duchi, Hazan and Singer 2011, Adaptive subgradient methods for online learning and
/// stochastic optimization, figure 1, the diagonal case; in the form of torch.optim.Adagrad.
class Adagrad : public OptimizerFor<AdagradOptions> {
 public:
  using OptimizerFor::OptimizerFor;
};
extern template class OptimizerFor<AdagradOptions>;

}  // namespace retrace::optim
