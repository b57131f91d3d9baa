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

/// Dropout that keeps mean 0 and variance 1, for use with SELU: in training alpha_dropout(x, p), in
/// evaluation its input. Source: Klambauer et al. 2017, arXiv 1706.02515, section 2.
class AlphaDropout : public Module {
 public:
  /// ValueError unless p is in [0, 1].
  explicit AlphaDropout(double p = 0.5);

  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

 private:
  double p_;
};

}  // namespace retrace::nn
