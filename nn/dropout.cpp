#include <retrace/nn/dropout.h>

#include <retrace/autograd/ops/dropout.h>
#include <retrace/tensor/check.h>

namespace retrace::nn {

Dropout::Dropout(double p) : p_(p) {
  require<ValueError>(p >= 0 && p <= 1, "Dropout: p is {}; give a probability in [0, 1]", p);
  describe(fmt::format("p={}", p));
}

Tensor Dropout::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return dropout(x, p_, is_training());
}

}  // namespace retrace::nn
