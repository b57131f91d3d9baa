#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/math.h>

#include <numbers>

// Functions of one tensor; those of two are in math_of_two.cpp.

namespace retrace {
namespace {

// Exponentials and logarithms ---------------------------------------------------------------------

struct Exp {
  static constexpr std::string_view op = "exp", formula = "y = exp(x)", gradient = "dx = g · y";
  template <class T>
  T y(T x) const {
    return math::exp(x);
  }
  template <class T>
  T dy_dx_from_y(T y) const {
    return y;
  }
};

struct Expm1 {
  static constexpr std::string_view op = "expm1", formula = "y = exp(x) - 1",
                                    gradient = "dx = g · (y + 1)";
  template <class T>
  T y(T x) const {
    return math::expm1(x);
  }
  template <class T>
  T dy_dx_from_y(T y) const {
    return y + T(1);
  }
};

struct Log {
  static constexpr std::string_view op = "log", formula = "y = ln(x)", gradient = "dx = g / x";
  template <class T>
  T y(T x) const {
    return math::log(x);
  }
  template <class T>
  T dy_dx(T x) const {
    return T(1) / x;
  }
};

struct Log2 {
  static constexpr std::string_view op = "log2", formula = "y = log₂(x)",
                                    gradient = "dx = g / (x ln 2)";
  template <class T>
  T y(T x) const {
    return math::log2(x);
  }
  template <class T>
  T dy_dx(T x) const {
    return T(std::numbers::log2e) / x;
  }
};

struct Log10 {
  static constexpr std::string_view op = "log10", formula = "y = log₁₀(x)",
                                    gradient = "dx = g / (x ln 10)";
  template <class T>
  T y(T x) const {
    return math::log10(x);
  }
  template <class T>
  T dy_dx(T x) const {
    return T(std::numbers::log10e) / x;
  }
};

struct Log1p {
  static constexpr std::string_view op = "log1p", formula = "y = ln(1 + x)",
                                    gradient = "dx = g / (1 + x)";
  template <class T>
  T y(T x) const {
    return math::log1p(x);
  }
  template <class T>
  T dy_dx(T x) const {
    return T(1) / (T(1) + x);
  }
};

// Powers and roots --------------------------------------------------------------------------------

struct Sqrt {
  static constexpr std::string_view op = "sqrt", formula = "y = √x", gradient = "dx = g / 2y";
  template <class T>
  T y(T x) const {
    return math::sqrt(x);
  }
  template <class T>
  T dy_dx_from_y(T y) const {
    return T(0.5) / y;
  }
};

struct Rsqrt {
  static constexpr std::string_view op = "rsqrt", formula = "y = 1 / √x",
                                    gradient = "dx = -g · y³ / 2";
  template <class T>
  T y(T x) const {
    return math::rsqrt(x);
  }
  template <class T>
  T dy_dx_from_y(T y) const {
    return T(-0.5) * y * y * y;
  }
};

struct Reciprocal {
  static constexpr std::string_view op = "reciprocal", formula = "y = 1 / x",
                                    gradient = "dx = -g · y²";
  template <class T>
  T y(T x) const {
    return T(1) / x;
  }
  template <class T>
  T dy_dx_from_y(T y) const {
    return -y * y;
  }
};

// Angles ------------------------------------------------------------------------------------------

struct Sin {
  static constexpr std::string_view op = "sin", formula = "y = sin(x)",
                                    gradient = "dx = g · cos(x)";
  template <class T>
  T y(T x) const {
    return math::sin(x);
  }
  template <class T>
  T dy_dx(T x) const {
    return math::cos(x);
  }
};

struct Cos {
  static constexpr std::string_view op = "cos", formula = "y = cos(x)",
                                    gradient = "dx = -g · sin(x)";
  template <class T>
  T y(T x) const {
    return math::cos(x);
  }
  template <class T>
  T dy_dx(T x) const {
    return -math::sin(x);
  }
};

struct Tan {
  static constexpr std::string_view op = "tan", formula = "y = tan(x)",
                                    gradient = "dx = g · (1 + y²)";
  template <class T>
  T y(T x) const {
    return math::tan(x);
  }
  template <class T>
  T dy_dx_from_y(T y) const {
    return math::mul_add(y, y, T(1));
  }
};

struct Asin {
  static constexpr std::string_view op = "asin", formula = "y = asin(x)",
                                    gradient = "dx = g / √(1 - x²)";
  template <class T>
  T y(T x) const {
    return math::asin(x);
  }
  template <class T>
  T dy_dx(T x) const {
    return math::rsqrt((T(1) - x) * (T(1) + x));
  }
};

struct Acos {
  static constexpr std::string_view op = "acos", formula = "y = acos(x)",
                                    gradient = "dx = -g / √(1 - x²)";
  template <class T>
  T y(T x) const {
    return math::acos(x);
  }
  template <class T>
  T dy_dx(T x) const {
    return -math::rsqrt((T(1) - x) * (T(1) + x));
  }
};

struct Atan {
  static constexpr std::string_view op = "atan", formula = "y = atan(x)",
                                    gradient = "dx = g / (1 + x²)";
  template <class T>
  T y(T x) const {
    return math::atan(x);
  }
  template <class T>
  T dy_dx(T x) const {
    return T(1) / math::mul_add(x, x, T(1));
  }
};

struct Sinh {
  static constexpr std::string_view op = "sinh", formula = "y = sinh(x)",
                                    gradient = "dx = g · cosh(x)";
  template <class T>
  T y(T x) const {
    return math::sinh(x);
  }
  template <class T>
  T dy_dx(T x) const {
    return math::cosh(x);
  }
};

struct Cosh {
  static constexpr std::string_view op = "cosh", formula = "y = cosh(x)",
                                    gradient = "dx = g · sinh(x)";
  template <class T>
  T y(T x) const {
    return math::cosh(x);
  }
  template <class T>
  T dy_dx(T x) const {
    return math::sinh(x);
  }
};

// Error function ----------------------------------------------------------------------------------

struct Erf {
  static constexpr std::string_view op = "erf", formula = "y = erf(x)",
                                    gradient = "dx = g · 2/√π exp(-x²)";
  template <class T>
  T y(T x) const {
    return math::erf(x);
  }
  template <class T>
  T dy_dx(T x) const {
    return T(2.0 * std::numbers::inv_sqrtpi) * math::exp(-x * x);
  }
};

struct Erfc {
  static constexpr std::string_view op = "erfc", formula = "y = 1 - erf(x)",
                                    gradient = "dx = -g · 2/√π exp(-x²)";
  template <class T>
  T y(T x) const {
    return math::erfc(x);
  }
  template <class T>
  T dy_dx(T x) const {
    return T(-2.0 * std::numbers::inv_sqrtpi) * math::exp(-x * x);
  }
};

// Also of whole numbers ---------------------------------------------------------------------------

struct Square {
  static constexpr std::string_view op = "square", formula = "y = x²", gradient = "dx = g · 2x";
  static constexpr bool numbers = true;
  template <class T>
  T y(T x) const {
    return math::times(x, x);
  }
  template <class T>
  T dy_dx(T x) const {
    return T(2) * x;
  }
};

struct Abs {
  static constexpr std::string_view op = "abs", formula = "y = |x|", gradient = "dx = g · sign(x)";
  static constexpr bool numbers = true;
  template <class T>
  T y(T x) const {
    if constexpr (std::is_integral_v<T>) {
      return x < 0 ? math::minus(T(0), x) : x;
    } else {
      return math::abs(x);
    }
  }
  template <class T>
  T dy_dx(T x) const {
    return math::sign(x);
  }
};

/// What is constant between steps.
struct Step {
  static constexpr std::string_view gradient = "dx = 0";
  static constexpr bool numbers = true;
  template <class T>
  T dy_dx() const {
    return T(0);
  }
};

struct Sign : Step {
  static constexpr std::string_view op = "sign", formula = "y = -1, 0 or 1, as x <, = or > 0";
  template <class T>
  T y(T x) const {
    return math::sign(x);
  }
};

struct Floor : Step {
  static constexpr std::string_view op = "floor", formula = "y = ⌊x⌋";
  template <class T>
  T y(T x) const {
    if constexpr (std::is_integral_v<T>) {
      return x;
    } else {
      return math::floor(x);
    }
  }
};

struct Ceil : Step {
  static constexpr std::string_view op = "ceil", formula = "y = ⌈x⌉";
  template <class T>
  T y(T x) const {
    if constexpr (std::is_integral_v<T>) {
      return x;
    } else {
      return math::ceil(x);
    }
  }
};

struct Round : Step {
  static constexpr std::string_view op = "round",
                                    formula = "y = the nearest whole number, halves to even";
  template <class T>
  T y(T x) const {
    if constexpr (std::is_integral_v<T>) {
      return x;
    } else {
      return math::rint(x);
    }
  }
};

struct Trunc : Step {
  static constexpr std::string_view op = "trunc", formula = "y = x without its fraction";
  template <class T>
  T y(T x) const {
    if constexpr (std::is_integral_v<T>) {
      return x;
    } else {
      return math::trunc(x);
    }
  }
};

}  // namespace

Tensor exp(const Tensor& x) { return unary<Exp>(x); }
Tensor expm1(const Tensor& x) { return unary<Expm1>(x); }
Tensor log(const Tensor& x) { return unary<Log>(x); }
Tensor log2(const Tensor& x) { return unary<Log2>(x); }
Tensor log10(const Tensor& x) { return unary<Log10>(x); }
Tensor log1p(const Tensor& x) { return unary<Log1p>(x); }
Tensor sqrt(const Tensor& x) { return unary<Sqrt>(x); }
Tensor rsqrt(const Tensor& x) { return unary<Rsqrt>(x); }
Tensor reciprocal(const Tensor& x) { return unary<Reciprocal>(x); }
Tensor sin(const Tensor& x) { return unary<Sin>(x); }
Tensor cos(const Tensor& x) { return unary<Cos>(x); }
Tensor tan(const Tensor& x) { return unary<Tan>(x); }
Tensor asin(const Tensor& x) { return unary<Asin>(x); }
Tensor acos(const Tensor& x) { return unary<Acos>(x); }
Tensor atan(const Tensor& x) { return unary<Atan>(x); }
Tensor sinh(const Tensor& x) { return unary<Sinh>(x); }
Tensor cosh(const Tensor& x) { return unary<Cosh>(x); }
Tensor erf(const Tensor& x) { return unary<Erf>(x); }
Tensor erfc(const Tensor& x) { return unary<Erfc>(x); }
Tensor square(const Tensor& x) { return unary<Square>(x); }
Tensor abs(const Tensor& x) { return unary<Abs>(x); }
Tensor sign(const Tensor& x) { return unary<Sign>(x); }
Tensor floor(const Tensor& x) { return unary<Floor>(x); }
Tensor ceil(const Tensor& x) { return unary<Ceil>(x); }
Tensor round(const Tensor& x) { return unary<Round>(x); }
Tensor trunc(const Tensor& x) { return unary<Trunc>(x); }

Tensor Tensor::abs() const { return retrace::abs(*this); }
Tensor Tensor::exp() const { return retrace::exp(*this); }
Tensor Tensor::log() const { return retrace::log(*this); }
Tensor Tensor::sqrt() const { return retrace::sqrt(*this); }
Tensor Tensor::square() const { return retrace::square(*this); }
Tensor Tensor::reciprocal() const { return retrace::reciprocal(*this); }

}  // namespace retrace
