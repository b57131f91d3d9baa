#pragma once

#include <retrace/optim/optimizer.h>

namespace retrace::optim {

struct SGDOptions {
  double lr = 1e-3;
  double momentum = 0;
  double dampening = 0;
  double weight_decay = 0;
  bool nesterov = false;  ///< needs momentum, and dampening 0
  bool maximize = false;
};

/// Stochastic gradient descent with momentum. With gradient g of parameter p in step t = 1, 2, ...:
///
///     g = g + weight_decay · p                                  (maximize: -g + ...)
///     b = g                                  in step 1
///     b = momentum · b + (1 - dampening) · g  after it
///     p = p - lr · b                          (nesterov: p - lr · (g + momentum · b))
///
/// Kept for each parameter, with momentum: momentum_buffer b.
/// Source: Sutskever et al. 2013, On the importance of initialization and momentum in deep
/// learning; in the form of torch.optim.SGD.
class SGD : public OptimizerFor<SGDOptions> {
 public:
  using OptimizerFor::OptimizerFor;
};
extern template class OptimizerFor<SGDOptions>;

}  // namespace retrace::optim
