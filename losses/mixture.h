#pragma once

// For losses that hold distributions against a mixture of them.

#include <retrace/tensor/kernels/math.h>

namespace retrace::losses {

/// P · (log P - log((1 - s) P + s Q)) of one class, from log P, log Q and 0 <= s <= 1; 0 where P
/// is 0. Computed of the difference alone, since P and the mixture may be nearly equal.
template <class T>
T excess_over_mixture(T log_p, T log_q, T s) {
  const T p = math::exp(log_p), d = log_q - log_p;
  const T share = math::select(d > T(0), T(1) - s, s);
  const T above = math::log1p(share * math::expm1(-math::abs(d))) + math::max(d, T(0));
  return math::select(p == T(0), T(0), -p * above);
}

}  // namespace retrace::losses
