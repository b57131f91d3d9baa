#pragma once

#include <type_traits>

#include <retrace/tensor/kernels/math.h>

/// Dual numbers: a value and its slope along one direction. A scalar rule that is a template over
/// its number type and calls retrace::math runs on them unchanged and yields its exact derivative.
///
/// Include this header before rules that call the functions by a qualified name.
namespace retrace::math {

/// Whether a number is 0, and so are its slopes if it has any.
template <class T>
constexpr bool vanishes(T x) {
  if constexpr (requires { x.slope; }) {
    return vanishes(x.value) && vanishes(x.slope);
  } else {
    return x == T(0);
  }
}

/// factor · slope. A slope of 0 adds nothing, even where its factor is infinite or NaN: constants
/// have it, and x^2 has a derivative at x <= 0 although log(x) has no value there.
template <class T>
T along(T factor, T slope) {
  return select(vanishes(slope), T(0), factor * slope);
}

template <class T>
struct Dual {
  T value;
  T slope;

  /// A constant: its slope is 0.
  constexpr Dual(T constant = T(0)) : value(constant), slope(T(0)) {}
  constexpr Dual(T value_, T slope_) : value(value_), slope(slope_) {}
  /// A plain number of another type, as in `T(2) * x`.
  template <class N>
  requires(std::is_arithmetic_v<N> && !std::is_same_v<N, T>) explicit constexpr Dual(N constant)
      : value(static_cast<T>(constant)), slope(T(0)) {}

  friend Dual operator+(Dual a) { return a; }
  friend Dual operator-(Dual a) { return {-a.value, -a.slope}; }
  friend Dual operator+(Dual a, Dual b) { return {a.value + b.value, a.slope + b.slope}; }
  friend Dual operator-(Dual a, Dual b) { return {a.value - b.value, a.slope - b.slope}; }
  friend Dual operator*(Dual a, Dual b) {
    return {a.value * b.value, along(b.value, a.slope) + along(a.value, b.slope)};
  }
  friend Dual operator/(Dual a, Dual b) {
    const T quotient = a.value / b.value;
    return {quotient, (a.slope - along(quotient, b.slope)) / b.value};
  }
  Dual& operator+=(Dual b) { return *this = *this + b; }
  Dual& operator-=(Dual b) { return *this = *this - b; }
  Dual& operator*=(Dual b) { return *this = *this * b; }
  Dual& operator/=(Dual b) { return *this = *this / b; }

  /// Numbers are compared by their values.
  friend bool operator<(Dual a, Dual b) { return a.value < b.value; }
  friend bool operator>(Dual a, Dual b) { return a.value > b.value; }
  friend bool operator<=(Dual a, Dual b) { return a.value <= b.value; }
  friend bool operator>=(Dual a, Dual b) { return a.value >= b.value; }
  friend bool operator==(Dual a, Dual b) { return a.value == b.value; }
  friend bool operator!=(Dual a, Dual b) { return a.value != b.value; }
};

/// y with the slope that the chain rule gives it.
template <class T>
Dual<T> chain(Dual<T> x, T y, T dy_dx) {
  return {y, dy_dx * x.slope};
}

template <class T>
Dual<T> mul_add(Dual<T> a, Dual<T> b, Dual<T> c) {
  return a * b + c;
}

/// Slope 0 at 0, as everywhere in Retrace.
template <class T>
Dual<T> abs(Dual<T> x) {
  return chain(x, abs(x.value), sign(x.value));
}
template <class T>
Dual<T> sign(Dual<T> x) {
  return {sign(x.value)};
}
/// Of equal values each gives half its slope.
template <class T>
Dual<T> max(Dual<T> a, Dual<T> b) {
  const T half = (a.slope + b.slope) / T(2);
  const T slope = select(a.value > b.value, a.slope, select(b.value > a.value, b.slope, half));
  return {max(a.value, b.value), slope};
}
template <class T>
Dual<T> min(Dual<T> a, Dual<T> b) {
  return -max(-a, -b);
}

template <class T>
Dual<T> sqrt(Dual<T> x) {
  const T y = sqrt(x.value);
  return chain(x, y, T(0.5) / y);
}
template <class T>
Dual<T> rsqrt(Dual<T> x) {
  const T y = rsqrt(x.value);
  return chain(x, y, T(-0.5) * y / x.value);
}

template <class T>
Dual<T> exp(Dual<T> x) {
  const T y = exp(x.value);
  return chain(x, y, y);
}
template <class T>
Dual<T> exp2(Dual<T> x) {
  const T y = exp2(x.value);
  return chain(x, y, y * std::numbers::ln2_v<T>);
}
template <class T>
Dual<T> expm1(Dual<T> x) {
  return chain(x, expm1(x.value), exp(x.value));
}

template <class T>
Dual<T> log(Dual<T> x) {
  return chain(x, log(x.value), T(1) / x.value);
}
template <class T>
Dual<T> log2(Dual<T> x) {
  return chain(x, log2(x.value), std::numbers::log2e_v<T> / x.value);
}
template <class T>
Dual<T> log10(Dual<T> x) {
  return chain(x, log10(x.value), std::numbers::log10e_v<T> / x.value);
}
template <class T>
Dual<T> log1p(Dual<T> x) {
  return chain(x, log1p(x.value), T(1) / (T(1) + x.value));
}
template <class T>
Dual<T> log1p_exp(Dual<T> x) {
  return chain(x, log1p_exp(x.value), sigmoid(x.value));
}

template <class T>
Dual<T> tanh(Dual<T> x) {
  // 1 - tanh^2 would cancel far out: it is 4 s (1 - s) with s = sigmoid(2 x).
  return chain(x, tanh(x.value), T(4) * sigmoid(T(2) * x.value) * sigmoid(T(-2) * x.value));
}
template <class T>
Dual<T> sigmoid(Dual<T> x) {
  const T y = sigmoid(x.value);
  return chain(x, y, y * sigmoid(-x.value));
}

template <class T>
Dual<T> erf(Dual<T> x) {
  constexpr T kScale = T(2) * std::numbers::inv_sqrtpi_v<T>;
  return chain(x, erf(x.value), kScale * exp(-x.value * x.value));
}
template <class T>
Dual<T> erfc(Dual<T> x) {
  constexpr T kScale = T(2) * std::numbers::inv_sqrtpi_v<T>;
  return chain(x, erfc(x.value), -kScale * exp(-x.value * x.value));
}

template <class T>
Dual<T> normal_cdf(Dual<T> x) {
  return chain(x, normal_cdf(x.value), kNormalDensity0<T> * exp(T(-0.5) * x.value * x.value));
}

template <class T>
Dual<T> sin(Dual<T> x) {
  return chain(x, sin(x.value), cos(x.value));
}
template <class T>
Dual<T> cos(Dual<T> x) {
  return chain(x, cos(x.value), -sin(x.value));
}
template <class T>
Dual<T> tan(Dual<T> x) {
  const T y = tan(x.value);
  return chain(x, y, T(1) + y * y);
}
template <class T>
Dual<T> sinh(Dual<T> x) {
  return chain(x, sinh(x.value), cosh(x.value));
}
template <class T>
Dual<T> cosh(Dual<T> x) {
  return chain(x, cosh(x.value), sinh(x.value));
}
template <class T>
Dual<T> asin(Dual<T> x) {
  return chain(x, asin(x.value), rsqrt((T(1) - x.value) * (T(1) + x.value)));
}
template <class T>
Dual<T> acos(Dual<T> x) {
  return chain(x, acos(x.value), -rsqrt((T(1) - x.value) * (T(1) + x.value)));
}
template <class T>
Dual<T> atan(Dual<T> x) {
  return chain(x, atan(x.value), T(1) / (T(1) + x.value * x.value));
}
template <class T>
Dual<T> atan2(Dual<T> y, Dual<T> x) {
  // Divided by the longer side twice: squares may overflow or vanish.
  const T a = abs(y.value), b = abs(x.value), most = max(a, b), t = min(a, b) / most;
  const T cross = along(x.value / most, y.slope) - along(y.value / most, x.slope);
  return {atan2(y.value, x.value), cross / mul_add(t, t, T(1)) / most};
}

template <class T>
Dual<T> floor(Dual<T> x) {
  return {floor(x.value)};
}
template <class T>
Dual<T> ceil(Dual<T> x) {
  return {ceil(x.value)};
}
template <class T>
Dual<T> trunc(Dual<T> x) {
  return {trunc(x.value)};
}
template <class T>
Dual<T> rint(Dual<T> x) {
  return {rint(x.value)};
}
template <class T>
Dual<T> fmod(Dual<T> x, Dual<T> y) {
  const T rest = fmod(x.value, y.value);
  return {rest, x.slope - along(rint((x.value - rest) / y.value), y.slope)};
}

template <class T>
Dual<T> pow(Dual<T> x, Dual<T> y) {
  const T power = pow(x.value, y.value);
  const T by_x = y.value == T(0) ? T(0) : y.value * pow(x.value, y.value - T(1));
  // At x = 0 the limit for y > 0.
  const T by_y = x.value == T(0) && y.value >= T(0) ? T(0) : power * log(x.value);
  return {power, along(by_x, x.slope) + along(by_y, y.slope)};
}

}  // namespace retrace::math

namespace retrace {
using math::Dual;
}  // namespace retrace
