#pragma once

// For .cpp files: a reduction with what it divides by.

#include <retrace/losses/reduction.h>

namespace retrace::losses {

/// What becomes of the values of a loss: `divisor` is that of a mean.
struct Reducing {
  Reduction how;
  double divisor;

  /// A mean over n numbers.
  static Reducing over(Reduction how, std::int64_t n) { return {how, static_cast<double>(n)}; }
  double weight_of_one() const { return how == Reduction::mean ? 1.0 / divisor : 1.0; }
};

}  // namespace retrace::losses
