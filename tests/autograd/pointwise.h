#pragma once

// What the tests of pointwise ops share.

#include <retrace/autograd/autograd.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/messages.h>

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace retrace::testing {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

using Numbers = std::vector<double>;
using Function = std::function<Tensor(const Tensor&)>;

inline Numbers numbers(const Tensor& x) { return x.to_vector<double>(); }

inline Tensor doubles(const Numbers& values) { return tensor(values, kFloat64); }

/// d f(x) / dx by backward, g being 1 everywhere.
inline Tensor slope_of(const Function& f, const Tensor& at) {
  const Tensor x = at.detach().clone().requires_grad_();
  const Tensor y = f(x);
  y.backward(ones_like(y));
  return x.grad();
}
inline Numbers slopes(const Function& f, const Numbers& at) {
  return numbers(slope_of(f, doubles(at)));
}

/// Equal numbers, NaN like NaN, within a relative and an absolute tolerance.
inline bool close(const Numbers& a, const Numbers& b, double rtol = 1e-12, double atol = 1e-14) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const bool same = a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])) ||
                      std::fabs(a[i] - b[i]) <= atol + rtol * std::fabs(b[i]);
    if (!same) {
      MESSAGE("element ", i, ": ", a[i], " is not ", b[i]);
      return false;
    }
  }
  return true;
}

/// The same numbers laid out in other ways: row-major, transposed, every second, backwards in rank.
inline std::vector<Tensor> layouts(const Tensor& x) {
  Shape wide = x.sizes();
  wide[x.dim() - 1] *= 2;
  Tensor stepped = full(wide, 77, x.dtype());
  Tensor every_second = stepped.slice(-1, 0, {}, 2);
  every_second.copy_(x);
  return {x.contiguous(), x.transpose(0, -1).contiguous().transpose(0, -1), every_second};
}

}  // namespace retrace::testing
