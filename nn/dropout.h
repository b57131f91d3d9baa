#pragma once

#include <retrace/nn/module.h>

namespace retrace::nn {

/// In training each element is 0 with probability p, else multiplied by 1 / (1 - p); in evaluation
/// it returns its input. Source: Srivastava et al. 2014, JMLR 15, 1929-1958.
class Dropout : public Module {
 public:
  /// ValueError unless p is in [0, 1].
  explicit Dropout(double p = 0.5);

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

 private:
  double p_;
};

}  // namespace retrace::nn
