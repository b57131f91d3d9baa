#pragma once

// For .cpp files: what one class adds to the divergence of two distributions.
//
// Nearly equal distributions make P (log P - log Q) a number of first order in what sets them
// apart, while the sum over the classes is of second order: little but rounding would be left of
// it. So each class also adds Q - P, whose sum over the classes is 0; then no term is negative.

#include <retrace/tensor/kernels/dual.h>

namespace retrace::losses {

/// exp(x) - 1 - x, which is about ½ x² near 0, of x and `grown` = exp(x) - 1; 3 ulp.
template <class T>
[[gnu::always_inline]] inline T exp_remainder(T x, T grown) {
  const T quarter = T(0.25) * x;
  T tail;
  if constexpr (std::is_same_v<T, float>) {
    tail = math::exp_tail(quarter);
  } else {
    // Its series, by Horner's rule.
    tail = T(1);
    for (int k = 15; k > 2; --k) tail = math::mul_add(quarter * T(1.0 / k), tail, T(1));
    tail = T(0.5) * tail;
  }
  // exp(2 h) - 1 - 2 h = (exp(h) - 1)² + 2 (exp(h) - 1 - h): nothing cancels.
  const T once = quarter * quarter * tail, e1 = quarter + once;
  const T twice = math::mul_add(e1, e1, T(2) * once), e2 = T(2) * quarter + twice;
  const T small = math::mul_add(e2, e2, T(2) * twice);
  return math::select(math::abs(x) < T(1.386), small, grown - x);
}
template <class T>
Dual<T> exp_remainder(Dual<T> x, Dual<T> grown) {
  return chain(x, exp_remainder(x.value, grown.value), grown.value);
}
template <class T>
[[gnu::always_inline]] inline T exp_remainder(T x) {
  return exp_remainder(x, math::expm1(x));
}

/// P (log P - log Q) + Q - P, of d = log Q - log P and `grown` = exp(d) - 1.
template <class T>
[[gnu::always_inline]] inline T relative_entropy(T p, T q, T d, T grown) {
  const T near = p * exp_remainder(d, grown), far = q - p - p * d;
  return math::select(p == T(0), q, math::select(d < T(2), near, far));
}
template <class T>
[[gnu::always_inline]] inline T relative_entropy(T p, T q, T d) {
  return relative_entropy(p, q, d, math::expm1(d));
}

/// A distribution P against the mixture M = (1 - s) P + s Q, of P, M, d = log Q - log P and s.
template <class T>
struct OverMixture {
  T log_ratio;  ///< log M - log P
  T grown;      ///< M / P - 1

  [[gnu::always_inline]] OverMixture(T p, T m, T d, T s) {
    // Beyond e^87 float32 ends, and 1 - s is nothing beside s e^d.
    const T within = math::min(d, T(87));
    grown = s * math::expm1(within);
    // 1 + grown may be nearly 0, its reciprocal not.
    const bool less = d < T(0);
    const T size = math::log1p(math::select(less, -grown * p / m, grown));
    log_ratio = math::select(less, -size, size + (d - within));
  }
  /// P (log P - log M) + M - P
  [[gnu::always_inline]] T entropy(T p, T m) const {
    return relative_entropy(p, m, log_ratio, grown);
  }
  /// P (log P - log M)
  [[gnu::always_inline]] T excess(T p) const {
    return math::select(p == T(0), T(0), -p * log_ratio);
  }
};

}  // namespace retrace::losses
