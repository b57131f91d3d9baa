#include <retrace/autograd/ops/activation.h>
#include <retrace/autograd/ops/activation_rules.h>

// The smooth ones; those made of pieces are in activation_pieces.cpp.

namespace retrace {
namespace {

struct Tanh {
  static constexpr std::string_view op = "tanh", formula = "y = tanh(x)",
                                    gradient = "dx = g · (1 - y²)";
  template <class T>
  T y(T x) const {
    return math::tanh(x);
  }
  template <class T>
  T dy_dx_from_y(T y) const {
    return math::mul_add(-y, y, T(1));
  }
};

struct Swish {
  static constexpr std::string_view op = "swish", formula = "y = x · σ(βx)",
                                    gradient = "dx = g · σ(βx) (1 + βx σ(-βx))";
  double beta;
  template <class T>
  T y(T x) const {
    return x * math::sigmoid(T(beta) * x);
  }
  template <class T>
  T dy_dx(T x) const {
    const T s = math::sigmoid(T(beta) * x);
    return math::mul_add(s * (T(1) - s) * x, T(beta), s);
  }
};

struct QuickGelu : Swish {
  static constexpr std::string_view op = "quick_gelu", formula = "y = x · σ(1.702 x)",
                                    gradient = "dx = g · σ(1.702 x) (1 + 1.702 x σ(-1.702 x))";
};

struct LearnedSwish {
  static constexpr std::string_view op = "swish", formula = "y = x · σ(βx)",
                                    gradient =
                                        "dx = g · σ(βx) (1 + βx σ(-βx)), "
                                        "dβ = Σ g · x² σ(βx) σ(-βx)";
  template <class T>
  T y(T x, T beta) const {
    return x * math::sigmoid(beta * x);
  }
  template <class T>
  T dy_da(T x, T beta) const {
    const T s = math::sigmoid(beta * x);
    return math::mul_add(s * (T(1) - s) * x, beta, s);
  }
  template <class T>
  T dy_db(T x, T beta) const {
    // σ(z) σ(-z) = e / (1 + e)²; far out, 1 - σ(z) would be 0.
    const T e = math::exp(-math::abs(beta * x)), q = T(1) / (T(1) + e);
    return e * q * q * x * x;
  }
};

struct Mish {
  static constexpr std::string_view op = "mish", formula = "y = x · tanh(ln(1 + exp(x)))",
                                    gradient =
                                        "dx = g · (t + x σ(x) (1 - t²)), "
                                        "t = tanh(ln(1 + exp(x)))";
  // With u = exp(x) and n = u (u + 2), t is n / (n + 2). Beyond 20 it is 1 in any precision.
  static constexpr double kBound = 20;
  template <class T>
  T y(T x) const {
    const T u = math::exp(math::select(x > T(kBound), T(kBound), x));
    const T n = u * (u + T(2));
    return x * (n / (n + T(2)));
  }
  template <class T>
  T dy_dx(T x) const {
    const T bound = math::select(x > T(kBound), T(kBound), x);
    const T u = math::exp(bound);
    const T n = u * (u + T(2)), q = T(1) / (n + T(2));
    return q * math::mul_add(T(4) * (u * (u + T(1)) * bound), q, n);
  }
};

struct Softplus {
  static constexpr std::string_view op = "softplus",
                                    formula = "y = ln(1 + exp(βx)) / β, x above the threshold",
                                    gradient = "dx = g · σ(βx), g above the threshold";
  double beta, threshold;
  template <class T>
  T y(T x) const {
    const T scaled = T(beta) * x;
    return math::select(scaled > T(threshold), x, math::log1p_exp(scaled) * T(1 / beta));
  }
  template <class T>
  T dy_dx(T x) const {
    const T scaled = T(beta) * x;
    return math::select(scaled > T(threshold), T(1), math::sigmoid(scaled));
  }
};

struct LogSigmoid {
  static constexpr std::string_view op = "logsigmoid", formula = "y = ln σ(x)",
                                    gradient = "dx = g · σ(-x)";
  template <class T>
  T y(T x) const {
    return -math::log1p_exp(-x);
  }
  template <class T>
  T dy_dx(T x) const {
    return math::sigmoid(-x);
  }
};

struct Softsign {
  static constexpr std::string_view op = "softsign", formula = "y = x / (1 + |x|)",
                                    gradient = "dx = g / (1 + |x|)²";
  template <class T>
  T y(T x) const {
    return x / (T(1) + math::abs(x));
  }
  template <class T>
  T dy_dx(T x) const {
    const T q = T(1) / (T(1) + math::abs(x));
    return q * q;
  }
};

/// c0 + c1 x + c2 x² + ...
template <class T>
[[gnu::always_inline]] inline T series(T, double c0) {
  return T(c0);
}
template <class T, class... C>
[[gnu::always_inline]] inline T series(T x, double c0, C... c) {
  return math::mul_add(series(x, c...), x, T(c0));
}

struct Tanhshrink {
  static constexpr std::string_view op = "tanhshrink", formula = "y = x - tanh(x)",
                                    gradient = "dx = g · tanh²(x)";
  template <class T>
  T y(T x) const {
    // Near 0 by nine terms of Lambert's continued fraction, x³ / (x² + 3 + x² / (5 + x² / (7 + ...
    constexpr double kNear = 1.5;
    const T z = x * x;
    const T p = series(z, 218243025., 16081065., 289575., 1430., 1.);
    const T q = series(z, 654729075., 310134825., 18918900., 315315., 1485., 1.);
    return math::select(math::abs(x) < T(kNear), x * z * (p / q), x - math::tanh(x));
  }
  template <class T>
  T dy_dx(T x) const {
    const T t = math::tanh(x);
    return t * t;
  }
};

}  // namespace

Tensor sigmoid(const Tensor& x) { return unary<rules::Sigmoid>(x); }
Tensor tanh(const Tensor& x) { return unary<Tanh>(x); }
Tensor gelu(const Tensor& x, Approximate approximate) {
  return approximate == Approximate::none ? unary<rules::Gelu>(x) : unary<rules::GeluTanh>(x);
}
Tensor quick_gelu(const Tensor& x) { return unary(x, QuickGelu{{1.702}}); }
Tensor silu(const Tensor& x) { return unary<rules::Silu>(x); }
Tensor swish(const Tensor& x, double beta) {
  rules::require_finite("swish", x, "beta", beta);
  return unary(x, Swish{beta});
}
Tensor swish(const Tensor& x, const Tensor& beta) {
  require_defined("swish", {&x, &beta});
  require<ShapeError>(broadcast_shapes("swish", x.sizes(), beta.sizes()) == x.sizes(),
                      "swish: x is {}, beta {}; beta must broadcast to x", x.sizes(), beta.sizes());
  return binary<LearnedSwish>(x, beta);
}
Tensor mish(const Tensor& x) { return unary<Mish>(x); }
Tensor softplus(const Tensor& x, double beta, double threshold) {
  require<ValueError>(beta > 0.0, "softplus: beta is {}; it must be positive", beta);
  require<ValueError>(!std::isnan(threshold), "softplus: threshold is nan; give a number");
  rules::require_finite("softplus", x, "beta", beta);
  rules::require_finite("softplus", x, "1 / beta", 1 / beta);
  return unary(x, Softplus{beta, threshold});
}
Tensor logsigmoid(const Tensor& x) { return unary<LogSigmoid>(x); }
Tensor softsign(const Tensor& x) { return unary<Softsign>(x); }
Tensor tanhshrink(const Tensor& x) { return unary<Tanhshrink>(x); }

Tensor Tensor::sigmoid() const { return retrace::sigmoid(*this); }
Tensor Tensor::tanh() const { return retrace::tanh(*this); }

}  // namespace retrace
