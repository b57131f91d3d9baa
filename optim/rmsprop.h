#pragma once

#include <retrace/optim/optimizer.h>

namespace retrace::optim {

struct RMSpropOptions {
  double lr = 1e-2;
  double alpha = 0.99;  ///< in [0, 1)
  double eps = 1e-8;    ///< above 0
  double weight_decay = 0;
  double momentum = 0;
  bool centered = false;
  bool maximize = false;
};

/// RMSprop. With gradient g of parameter p:
///
///     g = g + weight_decay · p                     (maximize: -g + ...)
///     s = alpha · s + (1 - alpha) · g²
///     a = alpha · a + (1 - alpha) · g              (only centered, else 0)
///     d = g / (sqrt(s - a²) + eps)
///     b = momentum · b + d
///     p = p - lr · b                               (without momentum b = d)
///
/// Kept for each parameter: square_avg s, with momentum momentum_buffer b, centered grad_avg a.
/// Source: Tieleman and Hinton 2012, lecture 6.5; centered: Graves 2013, arXiv:1308.0850, section
/// 4.2; in the form of torch.optim.RMSprop.
class RMSprop : public OptimizerFor<RMSpropOptions> {
 public:
  using OptimizerFor::OptimizerFor;
};
extern template class OptimizerFor<RMSpropOptions>;

}  // namespace retrace::optim
