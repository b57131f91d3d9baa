#pragma once

// For .cpp files: what the losses over preferences share.

#include <retrace/tensor/check.h>
#include <retrace/tensor/kernels/dual.h>

#include <cmath>

namespace retrace::losses {

/// log σ(x), exact to the last digits at ±1e4 and beyond.
template <class T>
T log_sigmoid(T x) {
  return -math::log1p_exp(-x);
}

/// -(1 - ε) log σ(x) - ε log σ(-x): x should be large, but each label is wrong with probability ε.
template <class T>
T logistic_loss(T x, double smoothing) {
  return T(smoothing - 1) * log_sigmoid(x) - T(smoothing) * log_sigmoid(-x);
}

inline void require_beta(std::string_view op, double beta) {
  require<ValueError>(beta > 0 && std::isfinite(beta),
                      "{}: beta is {}; it must be above 0 and finite", op, beta);
}
inline void require_smoothing(std::string_view op, double smoothing) {
  require<ValueError>(smoothing >= 0 && smoothing <= 1,
                      "{}: label_smoothing is {}; it must be in [0, 1]", op, smoothing);
}

}  // namespace retrace::losses
