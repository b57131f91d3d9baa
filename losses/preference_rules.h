#pragma once

// For .cpp files: what the losses over preferences share.

#include <retrace/tensor/kernels/dual.h>

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

}  // namespace retrace::losses
