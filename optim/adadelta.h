#pragma once

#include <retrace/optim/optimizer.h>

namespace retrace::optim {

struct AdadeltaOptions {
  double lr = 1.0;
  double rho = 0.9;   ///< in [0, 1)
  double eps = 1e-6;  ///< above 0
  double weight_decay = 0;
  bool maximize = false;
};

/// Adadelta: steps in the units of the parameter. With gradient g of parameter p:
///
///     g = g + weight_decay · p                          (maximize: -g + ...)
///     v = rho · v + (1 - rho) · g²
///     d = sqrt(u + eps) / sqrt(v + eps) · g
///     u = rho · u + (1 - rho) · d²
///     p = p - lr · d
///
/// Kept for each parameter: square_avg v, acc_delta u.
/// Source: Zeiler 2012, arXiv:1212.5701, algorithm 1; in the form of torch.optim.Adadelta.
class Adadelta : public OptimizerFor<AdadeltaOptions> {
 public:
  using OptimizerFor::OptimizerFor;
};
extern template class OptimizerFor<AdadeltaOptions>;

}  // namespace retrace::optim
