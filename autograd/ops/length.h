#pragma once

// For .cpp files: lengths of vectors whose squares do not fit into double.

#include <cmath>
#include <cstdint>

#include <retrace/tensor/kernels/math.h>

namespace retrace {

/// Whether Σ v² is right, although each square was rounded into the range of double.
inline bool squares_fit(double sum) { return sum > 1e-290 && sum < 1e308; }

/// √ Σ v(i)², i < n, of v / s, s being the power of two below the largest |v|. Seldom called, and
/// not to be in the way of those who do.
template <class F>
[[gnu::noinline]] double scaled_length(std::int64_t n, F v) {
  double largest = 0, squares = 0;
  for (std::int64_t i = 0; i < n; ++i) largest = math::max(largest, std::abs(v(i)));
  if (largest == 0 || !std::isfinite(largest)) return largest;
  const double scale = std::exp2(std::logb(largest));
  for (std::int64_t i = 0; i < n; ++i) squares += v(i) / scale * (v(i) / scale);
  return scale * std::sqrt(squares);
}

}  // namespace retrace
