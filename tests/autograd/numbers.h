#pragma once

// Short ways to say what a tensor must hold.

#include <cmath>
#include <string>
#include <vector>

#include <retrace/autograd/autograd.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/messages.h>

namespace retrace::testing {

inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
inline constexpr double kInf = std::numeric_limits<double>::infinity();

using Numbers = std::vector<double>;

/// A float64 leaf that wants a gradient.
inline Tensor leaf(const Numbers& values, const Shape& sizes) {
  return from_vector(values, sizes).requires_grad_();
}
inline Tensor leaf(const Numbers& values) {
  return leaf(values, {static_cast<std::int64_t>(values.size())});
}

/// Shape and every element agree; NaN agrees with NaN, other numbers up to `tolerance` (relative).
inline bool holds(const Tensor& x, const Shape& sizes, const Numbers& expected,
                  double tolerance = 0) {
  if (!x.defined() || x.sizes() != sizes || x.numel() != static_cast<std::int64_t>(expected.size()))
    return false;
  const Numbers values = x.detach().to_vector<double>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double a = values[i], b = expected[i];
    if (std::isnan(a) && std::isnan(b)) continue;
    if (a != b && !(std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b)))) return false;
  }
  return true;
}
inline bool holds(const Tensor& x, const Numbers& expected) {
  return holds(x, {static_cast<std::int64_t>(expected.size())}, expected);
}
// A template, so that `holds(x, {}, {1})` is not taken for it.
template <std::floating_point D>
bool holds(const Tensor& x, const Numbers& expected, D tolerance) {
  return holds(x, {static_cast<std::int64_t>(expected.size())}, expected, tolerance);
}

/// The gradient of Σ weights · y that arrives at x, whose grad is dropped before.
inline Tensor gradient_of(const Tensor& y, Tensor x, const Numbers& weights) {
  x.zero_grad();
  y.backward(from_vector(weights, y.sizes()).to(y.dtype()));
  return x.grad();
}

}  // namespace retrace::testing
