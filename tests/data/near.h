#pragma once

// How close numbers must be that are known exactly, and those that come from samples.

#include <cmath>
#include <cstdint>

#include <retrace/tensor/tensor.h>

/// All printed digits of a number with so many of them.
inline bool matches(double value, double printed, int digits) {
  return std::abs(value - printed) <= 0.5000001 * std::pow(10.0, -digits);
}

/// A mean over n samples, within four standard errors.
inline bool near(double mean, double expected, double deviation, std::int64_t n) {
  return std::abs(mean - expected) < 4 * deviation / std::sqrt(static_cast<double>(n));
}
inline bool near_share(double share, double p, std::int64_t n) {
  return near(share, p, std::sqrt(p * (1 - p)), n);
}

inline double mean_of(const retrace::Tensor& x) {
  return x.to(retrace::kFloat64).mean().item<double>();
}
