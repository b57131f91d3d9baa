#pragma once

// A training whose many steps leave nothing behind: resident memory and the heap are measured of
// it.

#include <retrace/retrace.h>

namespace retrace::testing {

class SmallTraining {
 public:
  void step() {
    optimizer_.zero_grad();
    const Tensor y = net_(x_);
    (losses::mse_loss(y, zeros_like(y)) + y.tanh().square().mean()).backward();
    nn::utils::clip_grad_norm_(optimizer_.parameters(), 1.0);
    optimizer_.step();
  }

 private:
  nn::Mlp net_{4, 2, {.hidden = {8}}};
  optim::AdamW optimizer_{net_.parameters()};
  Tensor x_ = randn({16, 4});
};

}  // namespace retrace::testing
