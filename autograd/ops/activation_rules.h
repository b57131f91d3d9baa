#pragma once

// For .cpp files: the rules of the activations that also gate others (see gated.h).

#include <retrace/autograd/elementwise.h>

#include <cmath>
#include <numbers>

namespace retrace::rules {

/// `value` as an element of x.
inline double as_element(const Tensor& x, double value) {
  return x.dtype() == kFloat32 ? static_cast<double>(static_cast<float>(value)) : value;
}

/// ValueError unless the option is finite as an element of x.
inline void require_finite(std::string_view op, const Tensor& x, std::string_view option,
                           double value) {
  require_defined(op, {&x});
  require<ValueError>(std::isfinite(as_element(x, value)), "{}: {} is {}; it must be finite as {}",
                      op, option, value, x.dtype());
}

struct Relu {
  static constexpr std::string_view op = "relu", formula = "y = max(x, 0)",
                                    gradient = "dx = g where y > 0, else 0";
  static constexpr bool numbers = true, gates = true;
  template <class T>
  T y(T x) const {
    return math::select(x <= T(0), T(0), x);  // NaN stays
  }
  template <class T>
  T dy_dx_from_y(T y) const {
    return math::select(y <= T(0), T(0), T(1));
  }
};

struct Sigmoid {
  static constexpr std::string_view op = "sigmoid", formula = "y = 1 / (1 + exp(-x))",
                                    gradient = "dx = g · y (1 - y)";
  template <class T>
  T y(T x) const {
    return math::sigmoid(x);
  }
  template <class T>
  T dy_dx_from_y(T y) const {
    return y * (T(1) - y);
  }
};

struct Gelu {
  static constexpr std::string_view op = "gelu", formula = "y = x · Φ(x) = x/2 (1 + erf(x/√2))",
                                    gradient = "dx = g · (Φ(x) + x φ(x)), φ(x) = exp(-x²/2) / √2π";
  template <class T>
  T y(T x) const {
    return x * math::normal_cdf(x);
  }
  template <class T>
  T dy_dx(T x) const {
    const T density = T(math::kNormalDensity0<double>) * math::exp(T(-0.5) * x * x);
    return math::mul_add(x, density, math::normal_cdf(x));
  }
  /// dy_dx - 1/2 is odd, and |x| times a polynomial of x²: half the time of the formula, with an
  /// error below 2e-7.
  float dy_dx(float x) const {
    constexpr float kBound = 5.75f;  // beyond, the slope is 0 or 1 to that error
    const float a = math::abs(x), inner = math::select(a > kBound, kBound, a);
    const float u = math::mul_add(inner, inner * (2.0f / (kBound * kBound)), -1.0f);
    const float p = math::polynomial(u, 0.123071824f, -0.0622814082f, 0.0493672136f, -0.0472942038f,
                                     0.0517067561f, -0.0595250134f, 0.0667520837f, -0.070573804f,
                                     0.0693963836f, -0.0593770404f, 0.0431355217f, -0.0348885742f,
                                     0.0317296815f, -0.0162703801f, 0.00103696429f, -0.0027992983f,
                                     0.0062240494f, -0.00245421225f);
    return 0.5f + std::copysign(math::select(a > kBound, 0.5f, inner * p), x);
  }
};

struct GeluTanh {
  static constexpr std::string_view op = "gelu",
                                    formula = "y = x/2 (1 + tanh(u)), u = √(2/π) (x + 0.044715 x³)",
                                    gradient = "dx = g · ((1 + tanh(u))/2 + x/2 (1 - tanh²(u)) u')";
  static constexpr double kCubic = 0.044715;
  static constexpr double kTwice = 2.0 * std::numbers::sqrt2 * std::numbers::inv_sqrtpi;
  // (1 + tanh(u)) / 2 = σ(2u), which keeps its digits where tanh(u) is near -1.
  template <class T>
  static T gate(T x) {
    return math::sigmoid(T(kTwice) * x * math::mul_add(T(kCubic) * x, x, T(1)));
  }
  template <class T>
  T y(T x) const {
    return x * gate(x);
  }
  template <class T>
  T dy_dx(T x) const {
    // Beyond 30 the slope is 0 or 1 in any precision, and powers of x stay finite.
    const T bound = math::select(x > T(30), T(30), math::select(x < T(-30), T(-30), x));
    const T s = gate(bound);
    const T du = T(kTwice) * math::mul_add(T(3 * kCubic) * bound, bound, T(1));
    return math::mul_add(bound * s * (T(1) - s), du, s);
  }
};

struct Silu {
  static constexpr std::string_view op = "silu", formula = "y = x · σ(x)",
                                    gradient = "dx = g · σ(x) (1 + x σ(-x))";
  template <class T>
  T y(T x) const {
    return x * math::sigmoid(x);
  }
  template <class T>
  T dy_dx(T x) const {
    const T s = math::sigmoid(x);
    return math::mul_add(s * x, T(1) - s, s);
  }
};

}  // namespace retrace::rules
