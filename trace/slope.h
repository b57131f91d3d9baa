#pragma once

// For .cpp files: derivatives of a program's result by finite differences.

#include <functional>

namespace retrace::trace {

/// A derivative that was measured.
struct Slope {
  double value;
  double error;  ///< how sure it is: both what was left out and what rounding leaves
};

/// f'(0) by central differences with steps h, h/2, h/4, ..., extrapolated to the step 0.
/// `rounding`: what the values of f may be off. NaN where f is not finite. Ridders, Accurate
/// computation of F'(x) and F'(x) F''(x), Advances in Engineering Software 4 (1982).
Slope slope_at_zero(const std::function<double(double)>& f, double h, double rounding);

}  // namespace retrace::trace
