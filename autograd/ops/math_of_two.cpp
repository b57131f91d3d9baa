#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/autograd/ops/selection.h>

#include <numbers>

// Functions of two tensors, or of a tensor and a number.

namespace retrace {
namespace {

template <class T>
constexpr bool whole = std::is_same_v<T, std::int64_t>;

// Powers -----------------------------------------------------------------------------------------

std::int64_t whole_power(std::int64_t base, std::int64_t exponent) {
  std::int64_t power = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) power = math::times(power, base);
    base = math::times(base, base);
  }
  return power;
}

struct Pow {
  static constexpr std::string_view op = "pow", formula = "y = a^b",
                                    gradient = "da = g · b a^(b - 1), db = g · y ln(a)";
  static constexpr bool numbers = true;
  template <class T>
  T y(T a, T b) const {
    if constexpr (whole<T>) {
      return whole_power(a, b);
    } else {
      return math::pow(a, b);
    }
  }
  template <class T>
  T dy_da(T a, T b) const {
    const T power = math::pow(a, b - T(1));
    const bool finite = math::abs(power) < T(std::numeric_limits<double>::infinity());
    return b * math::select(b == T(0) && !finite, T(0), power);  // 0, also of an infinite one
  }
  template <class T>
  T dy_db(T a, T b) const {
    return math::select(a == T(0) && b >= T(0), T(0), math::pow(a, b) * math::log(a));
  }
};

struct PowNumber {
  static constexpr std::string_view op = "pow", formula = "y = x^c",
                                    gradient = "dx = g · c x^(c - 1)";
  static constexpr bool numbers = true;
  Scalar c;
  template <class T>
  T y(T x) const {
    if constexpr (whole<T>) {
      return whole_power(x, c.as<T>());
    } else {
      return math::pow(x, c.as<T>());
    }
  }
  template <class T>
  T dy_dx(T x) const {
    const double exponent = c.as_double();
    return exponent == 0.0 ? T(0) : T(exponent) * math::pow(x, T(exponent - 1.0));
  }
};

/// The powers that people write: products instead of a call for each element.
template <int N>
struct PowFixed {
  static_assert(N == 2 || N == 3);
  static constexpr std::string_view op = "pow", formula = N == 2 ? "y = x^2" : "y = x^3",
                                    gradient = N == 2 ? "dx = g · 2x" : "dx = g · 3x^2";
  template <class T>
  T y(T x) const {
    return N == 2 ? x * x : x * x * x;
  }
  template <class T>
  T dy_dx(T x) const {
    return N == 2 ? T(2) * x : T(3) * (x * x);
  }
};

struct PowOfNumber {
  static constexpr std::string_view op = "pow", formula = "y = c^x", gradient = "dx = g · y ln(c)";
  static constexpr bool numbers = true;
  Scalar c;
  template <class T>
  T y(T x) const {
    if constexpr (whole<T>) {
      return whole_power(c.as<T>(), x);
    } else {
      return math::pow(c.as<T>(), x);
    }
  }
  template <class T>
  T dy_dx_from_y(T y) const {
    const double base = c.as_double();
    // 0^x is 0 or 1 for x >= 0, where its slope is 0, as for pow of two tensors.
    return math::select(base == 0.0 && y <= T(1), T(0), y * T(std::log(base)));
  }
};

void require_exponents(const Tensor& exponent) {
  if (exponent.dtype() != kInt64) return;
  const Tensor exponents = as_contiguous(exponent);
  const auto* e = elements<std::int64_t>(exponents);
  for (std::int64_t i = 0; i < exponents.numel(); ++i)
    require<ValueError>(e[i] >= 0,
                        "pow: the exponent {} (int64) has {} at element {}: a whole number to a "
                        "negative power is a fraction; convert both to float32 first",
                        exponent.sizes(), e[i], i);
}

// Other functions --------------------------------------------------------------------------------

struct Atan2 {
  static constexpr std::string_view op = "atan2", formula = "y = angle of the point (b, a)",
                                    gradient = "da = g · b / (a² + b²), db = -g · a / (a² + b²)";
  template <class T>
  T y(T a, T b) const {
    return math::atan2(a, b);
  }
  template <class T>
  T dy_da(T a, T b) const {
    return by_squares(b, a, b);
  }
  template <class T>
  T dy_db(T a, T b) const {
    return -by_squares(a, a, b);
  }
  /// x / (a² + b²), whose squares may overflow or vanish: by the longer side, twice.
  template <class T>
  static T by_squares(T x, T a, T b) {
    const T u = math::abs(a), v = math::abs(b), most = math::max(u, v), t = math::min(u, v) / most;
    return x / most / math::mul_add(t, t, T(1)) / most;
  }
};

struct LogAddExp {
  static constexpr std::string_view op = "logaddexp", formula = "y = ln(exp(a) + exp(b))",
                                    gradient = "da = g · σ(a - b), db = g · σ(b - a)";
  template <class T>
  T y(T a, T b) const {
    // Equal infinities differ by nothing, not by NaN.
    const T distance = math::abs(math::select(a == b && a - b != T(0), T(0), a - b));
    return math::max(a, b) + math::log1p(math::exp(-distance));
  }
  template <class T>
  T dy_da(T a, T b) const {
    return math::sigmoid(math::select(a == b && a - b != T(0), T(0), a - b));
  }
  template <class T>
  T dy_db(T a, T b) const {
    return dy_da(b, a);
  }
};

struct Maximum {
  static constexpr std::string_view op = "maximum", formula = "y = max(a, b)",
                                    gradient = "da = g where a > b, g/2 where a = b";
  static constexpr bool numbers = true, gates = true;
  template <class T>
  T y(T a, T b) const {
    if constexpr (whole<T>) {
      return a > b ? a : b;
    } else {
      return math::max(a, b);
    }
  }
  template <class T>
  T dy_da(T a, T b) const {
    return math::select(a < b, T(0), math::select(a == b, T(0.5), T(1)));
  }
  template <class T>
  T dy_db(T a, T b) const {
    return dy_da(b, a);
  }
};

struct Minimum {
  static constexpr std::string_view op = "minimum", formula = "y = min(a, b)",
                                    gradient = "da = g where a < b, g/2 where a = b";
  static constexpr bool numbers = true, gates = true;
  template <class T>
  T y(T a, T b) const {
    if constexpr (whole<T>) {
      return a < b ? a : b;
    } else {
      return math::min(a, b);
    }
  }
  template <class T>
  T dy_da(T a, T b) const {
    return math::select(a > b, T(0), math::select(a == b, T(0.5), T(1)));
  }
  template <class T>
  T dy_db(T a, T b) const {
    return dy_da(b, a);
  }
};

struct Lerp {
  static constexpr std::string_view op = "lerp", formula = "y = a + w · (b - a)",
                                    gradient = "da = g · (1 - w), db = g · w";
  double weight;
  template <class T>
  T y(T a, T b) const {
    // From the nearer end, so that w = 1 gives b to the last bit.
    return weight < 0.5 ? math::mul_add(T(weight), b - a, a)
                        : math::mul_add(T(weight - 1.0), b - a, b);
  }
  template <class T>
  T dy_da(T, T) const {
    return T(1.0 - weight);
  }
  template <class T>
  T dy_db(T, T) const {
    return T(weight);
  }
};

// Remainders -------------------------------------------------------------------------------------

/// floor(a / b), were a / b not rounded: from just below a whole number it is rounded up to that.
template <class T>
T whole_quotient(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    const T q = std::floor(a / b), rest = std::fma(-q, b, a);
    return math::select(math::sign(b) * rest < T(0), q - T(1), q);
  } else {
    return whole_quotient(a.value, b.value);  // of dual numbers: a step has slope 0
  }
}

struct Fmod {
  static constexpr std::string_view op = "fmod", formula = "y = a - b · trunc(a / b)",
                                    gradient = "da = g, db = -g · trunc(a / b)";
  static constexpr bool numbers = true;
  template <class T>
  T y(T a, T b) const {
    if constexpr (whole<T>) {
      return b == -1 ? 0 : a % b;  // the smallest number by -1 does not fit
    } else {
      return math::fmod(a, b);
    }
  }
  template <class T>
  T dy_da(T, T) const {
    return T(1);
  }
  template <class T>
  T dy_db(T a, T b) const {
    return -math::sign(a) * math::sign(b) * whole_quotient(math::abs(a), math::abs(b));
  }
};

struct Remainder {
  static constexpr std::string_view op = "remainder", formula = "y = a - b · floor(a / b)",
                                    gradient = "da = g, db = -g · floor(a / b)";
  static constexpr bool numbers = true;
  template <class T>
  T y(T a, T b) const {
    const T rest = Fmod().y(a, b);
    if (rest != T(0) && (rest < T(0)) != (b < T(0))) return rest + b;
    if constexpr (whole<T>) {
      return rest;
    } else {
      return std::copysign(rest, b);  // 0 has the sign of b, too
    }
  }
  template <class T>
  T dy_da(T, T) const {
    return T(1);
  }
  template <class T>
  T dy_db(T a, T b) const {
    return -whole_quotient(a, b);
  }
};

template <class Rule>
Tensor divided(const Tensor& a, const Tensor& b) {
  require_defined(Rule::op, {&a, &b});
  if (b.dtype() == kInt64) {
    const Tensor divisors = as_contiguous(b);
    const auto* d = elements<std::int64_t>(divisors);
    for (std::int64_t i = 0; i < b.numel(); ++i)
      require<ValueError>(d[i] != 0,
                          "{}: {} by {} (int64), the divisor has a 0 at element {}; mask it or "
                          "convert to float32",
                          Rule::op, a.sizes(), b.sizes(), i);
  }
  return binary<Rule>(a, b);
}

/// A number as a 0-d tensor of x's dtype.
Tensor number_like(std::string_view op, const Tensor& x, Scalar value) {
  require_defined(op, {&x});
  if (x.dtype() == kInt64) value.to<std::int64_t>(op);
  return full_unchecked({}, value, x.dtype());
}

}  // namespace

Tensor pow(const Tensor& base, const Tensor& exponent) {
  require_defined("pow", {&base, &exponent});
  require_exponents(exponent);
  return binary<Pow>(base, exponent);
}

Tensor pow(const Tensor& base, Scalar exponent) {
  require_defined("pow", {&base});
  if (base.dtype() == kInt64)
    require<ValueError>(exponent.to<std::int64_t>("pow") >= 0,
                        "pow: the base {} is int64, the exponent {}: a whole number to a negative "
                        "power is a fraction; convert the base to float32 first",
                        base.sizes(), exponent.as<std::int64_t>());
  if (base.is_floating_point() && exponent.as_double() == 2.0) return unary<PowFixed<2>>(base);
  if (base.is_floating_point() && exponent.as_double() == 3.0) return unary<PowFixed<3>>(base);
  return unary(base, PowNumber{exponent});
}

Tensor pow(Scalar base, const Tensor& exponent) {
  require_defined("pow", {&exponent});
  if (exponent.dtype() == kInt64) base.to<std::int64_t>("pow");
  require_exponents(exponent);
  return unary(exponent, PowOfNumber{base});
}

Tensor atan2(const Tensor& y, const Tensor& x) { return binary<Atan2>(y, x); }
Tensor logaddexp(const Tensor& a, const Tensor& b) { return binary<LogAddExp>(a, b); }
Tensor maximum(const Tensor& a, const Tensor& b) { return binary<Maximum>(a, b); }
Tensor minimum(const Tensor& a, const Tensor& b) { return binary<Minimum>(a, b); }

Tensor lerp(const Tensor& a, const Tensor& b, Scalar weight) {
  return binary(a, b, Lerp{weight.as_double()});
}
Tensor lerp(const Tensor& a, const Tensor& b, const Tensor& weight) {
  require_defined("lerp", {&a, &b, &weight});
  require_same_dtype("lerp", a, b);
  require_same_dtype("lerp", a, weight);
  if (!a.is_floating_point()) refuse_dtype("lerp", a.dtype(), "float32 or float64");
  // From the nearer end, as with a number.
  const Tensor distance = sub(b, a), rest = rsub(weight, 1.0);
  return where(lt(weight, 0.5), add(a, mul(weight, distance)), sub(b, mul(rest, distance)));
}

Tensor fmod(const Tensor& a, const Tensor& b) { return divided<Fmod>(a, b); }
Tensor fmod(const Tensor& a, Scalar b) { return divided<Fmod>(a, number_like("fmod", a, b)); }
Tensor remainder(const Tensor& a, const Tensor& b) { return divided<Remainder>(a, b); }
Tensor remainder(const Tensor& a, Scalar b) {
  return divided<Remainder>(a, number_like("remainder", a, b));
}

Tensor Tensor::pow(Scalar exponent) const { return retrace::pow(*this, exponent); }
Tensor Tensor::pow(const Tensor& exponent) const { return retrace::pow(*this, exponent); }

}  // namespace retrace
