#pragma once

#include <array>

#include <retrace/optim/optimizer.h>

namespace retrace::optim {

struct LionOptions {
  double lr = 1e-4;
  std::array<double, 2> betas = {0.9, 0.99};  ///< each in [0, 1)
  double weight_decay = 0;
  bool maximize = false;
};

/// Lion: every element moves by lr, only the direction is learnt. With gradient g of parameter p
/// (maximize: -g), β1 and β2 the betas:
///
///     p = (1 - lr · weight_decay) · p
///     p = p - lr · sign(β1 · m + (1 - β1) · g)             sign(0) = 0, sign(NaN) = NaN
///     m = β2 · m + (1 - β2) · g
///
/// Use a rate 3 to 10 times lower than Adam's, and a weight decay as much higher. Kept for each
/// parameter: exp_avg m.
/// Source: Chen et al. 2023, arXiv:2302.06675, algorithm 2; the rates: section 5.
class Lion : public OptimizerFor<LionOptions> {
 public:
  using OptimizerFor::OptimizerFor;
};
extern template class OptimizerFor<LionOptions>;

}  // namespace retrace::optim
