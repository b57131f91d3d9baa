#include <retrace/nn/dropout.h>

#include <retrace/autograd/ops/dropout.h>
#include <retrace/tensor/check.h>

namespace retrace::nn {

namespace {

double probability(std::string_view module, double p) {
  require<ValueError>(p >= 0 && p <= 1, "{}: p is {}; give a probability in [0, 1]", module, p);
  return p;
}

}  // namespace

Dropout::Dropout(double p) : p_(probability("Dropout", p)) { describe(fmt::format("p={}", p)); }

Tensor Dropout::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return dropout(x, p_, is_training());
}

AlphaDropout::AlphaDropout(double p) : p_(probability("AlphaDropout", p)) {
  describe(fmt::format("p={}", p));
}

Tensor AlphaDropout::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return alpha_dropout(x, p_, is_training());
}

}  // namespace retrace::nn
