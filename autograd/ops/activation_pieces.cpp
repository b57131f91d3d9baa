#include <retrace/autograd/ops/activation.h>
#include <retrace/autograd/ops/activation_rules.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/view.h>

// Activations made of pieces: rectifiers, exponential units, clips and shrinkers.

namespace retrace {
namespace {

struct LeakyRelu {
  static constexpr std::string_view op = "leaky_relu", formula = "y = x, below 0 slope · x",
                                    gradient = "dx = g where x > 0, else g · slope";
  double negative_slope;
  template <class T>
  T y(T x) const {
    return x * dy_dx(x);
  }
  template <class T>
  T dy_dx(T x) const {
    return math::select(x > T(0), T(1), T(negative_slope));
  }
};

struct Prelu {
  static constexpr std::string_view op = "prelu", formula = "y = x, below 0 a · x",
                                    gradient =
                                        "dx = g where x > 0, else g · a; "
                                        "da = Σ g · x over x <= 0";
  template <class T>
  T y(T x, T a) const {
    return x * dy_da(x, a);
  }
  template <class T>
  T dy_da(T x, T a) const {
    return math::select(x > T(0), T(1), a);
  }
  template <class T>
  T dy_db(T x, T) const {
    return math::select(x > T(0), T(0), x);
  }
};

// Slopes are computed from x: far below 0 they are smaller than a rounding error of y.
struct Elu {
  static constexpr std::string_view op = "elu", formula = "y = x, below 0 α (exp(x) - 1)",
                                    gradient = "dx = g where x > 0, else g · α exp(x)";
  double alpha;
  template <class T>
  T y(T x) const {
    return math::select(x > T(0), x, T(alpha) * math::expm1(x));
  }
  template <class T>
  T dy_dx(T x) const {
    return math::select(x > T(0), T(1), T(alpha) * math::exp(x));
  }
};

struct Selu {
  static constexpr std::string_view op = "selu", formula = "y = λ x, below 0 λ α (exp(x) - 1)",
                                    gradient = "dx = g · λ where x > 0, else g · λ α exp(x)";
  static constexpr double kScale = 1.0507009873554804934, kAlpha = 1.6732632423543772848;
  template <class T>
  T y(T x) const {
    return math::select(x > T(0), T(kScale) * x, T(kScale * kAlpha) * math::expm1(x));
  }
  template <class T>
  T dy_dx(T x) const {
    return math::select(x > T(0), T(kScale), T(kScale * kAlpha) * math::exp(x));
  }
};

struct Celu {
  static constexpr std::string_view op = "celu", formula = "y = x, below 0 α (exp(x / α) - 1)",
                                    gradient = "dx = g where x > 0, else g · exp(x / α)";
  double alpha;
  template <class T>
  T y(T x) const {
    return math::select(x > T(0), x, T(alpha) * math::expm1(x / T(alpha)));
  }
  template <class T>
  T dy_dx(T x) const {
    return math::select(x > T(0), T(1), math::exp(x / T(alpha)));
  }
};

struct Hardtanh {
  static constexpr std::string_view op = "hardtanh", formula = "y = min(max(x, low), high)",
                                    gradient = "dx = g where low < y < high, else 0";
  static constexpr bool gates = true;
  double low, high;
  template <class T>
  T y(T x) const {
    return math::select(x <= T(low), T(low), math::select(x >= T(high), T(high), x));  // NaN stays
  }
  template <class T>
  T dy_dx_from_y(T y) const {
    return math::select(y <= T(low), T(0), math::select(y >= T(high), T(0), T(1)));
  }
};

struct Relu6 : Hardtanh {
  static constexpr std::string_view op = "relu6", formula = "y = min(max(x, 0), 6)",
                                    gradient = "dx = g where 0 < y < 6, else 0";
};

struct Hardsigmoid {
  static constexpr std::string_view op = "hardsigmoid", formula = "y = min(max(x / 6 + 1/2, 0), 1)",
                                    gradient = "dx = g / 6 where -3 < x < 3, else 0";
  template <class T>
  T y(T x) const {
    return math::select(x <= T(-3), T(0), math::select(x >= T(3), T(1), (x + T(3)) * T(1.0 / 6)));
  }
  template <class T>
  T dy_dx(T x) const {
    return math::select(x <= T(-3), T(0), math::select(x >= T(3), T(0), T(1.0 / 6)));
  }
};

struct Hardswish {
  static constexpr std::string_view op = "hardswish", formula = "y = x · min(max(x + 3, 0), 6) / 6",
                                    gradient =
                                        "dx = g · (2x + 3) / 6 where -3 <= x <= 3, "
                                        "0 below, g above";
  template <class T>
  T y(T x) const {
    return math::select(x < T(-3), T(0), math::select(x > T(3), x, x * (x + T(3)) * T(1.0 / 6)));
  }
  template <class T>
  T dy_dx(T x) const {
    const T inside = math::mul_add(T(2), x, T(3)) * T(1.0 / 6);
    return math::select(x < T(-3), T(0), math::select(x > T(3), T(1), inside));
  }
};

struct Softshrink {
  static constexpr std::string_view op = "softshrink", formula = "y = sign(x) max(|x| - λ, 0)",
                                    gradient = "dx = g where |x| > λ, else 0";
  static constexpr bool gates = true;
  double lambda;
  template <class T>
  T y(T x) const {
    const T outside = math::select(x < T(0), x + T(lambda), x - T(lambda));
    return math::select(math::abs(x) <= T(lambda), T(0), outside);
  }
  template <class T>
  T dy_dx(T x) const {
    return math::select(math::abs(x) <= T(lambda), T(0), T(1));
  }
};

struct Hardshrink {
  static constexpr std::string_view op = "hardshrink", formula = "y = x where |x| > λ, else 0",
                                    gradient = "dx = g where |x| > λ, else 0";
  static constexpr bool gates = true;
  double lambda;
  template <class T>
  T y(T x) const {
    return math::select(math::abs(x) <= T(lambda), T(0), x);
  }
  template <class T>
  T dy_dx(T x) const {
    return math::select(math::abs(x) <= T(lambda), T(0), T(1));
  }
};

/// The shape in which the slopes lie along dim 1 of x.
Shape slopes_beside(const Tensor& x, std::int64_t slopes) {
  if (slopes == 1) return {};
  Shape sizes = {slopes};
  for (int d = 2; d < x.dim(); ++d) sizes.push_back(1);
  return sizes;
}

struct PreluNode final : NodeOf<PreluNode> {
  static constexpr std::string_view op = Prelu::op, formula = Prelu::formula,
                                    gradient = Prelu::gradient;
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor x = saved_input(0), weight = saved_input(1);
    const Tensor a = weight.reshape(slopes_beside(x, weight.numel()));
    if (gradients.wants(0)) gradients.give(0, partial<Prelu, 0>(Prelu{}, g, x, a));
    if (gradients.wants(1))
      gradients.give(
          1, sum_to(partial<Prelu, 1>(Prelu{}, g, x, a), a.sizes(), op).reshape(weight.sizes()));
  }
};

}  // namespace

Tensor relu(const Tensor& x) { return unary<rules::Relu>(x); }
Tensor relu6(const Tensor& x) { return unary(x, Relu6{{0, 6}}); }
Tensor leaky_relu(const Tensor& x, double negative_slope) {
  rules::require_finite("leaky_relu", x, "negative_slope", negative_slope);
  return unary(x, LeakyRelu{negative_slope});
}

Tensor prelu(const Tensor& x, const Tensor& weight) {
  require_defined("prelu", {&x, &weight});
  const std::int64_t slopes = weight.numel(), channels = x.dim() > 1 ? x.sizes()[1] : 1;
  require<ShapeError>(weight.dim() <= 1 && (slopes == 1 || slopes == channels),
                      "prelu: x is {}, weight {}; give one slope, or one for each of the {} along "
                      "dim 1 of x",
                      x.sizes(), weight.sizes(), channels);
  const Tensor a =
      without_recording([&] { return weight.reshape(slopes_beside(x, weight.numel())); });
  return record<PreluNode>(binary_value(x, a, Prelu{}), {&x, &weight}, [&](PreluNode& node) {
    node.save_input(0, x);
    node.save_input(1, weight);
  });
}

Tensor elu(const Tensor& x, double alpha) {
  require<ValueError>(alpha >= 0.0, "elu: alpha is {}; it must not be negative", alpha);
  rules::require_finite("elu", x, "alpha", alpha);
  return unary(x, Elu{alpha});
}
Tensor selu(const Tensor& x) { return unary<Selu>(x); }
Tensor celu(const Tensor& x, double alpha) {
  rules::require_finite("celu", x, "alpha", alpha);
  require<ValueError>(rules::as_element(x, alpha) != 0.0,
                      "celu: alpha is {}, as {} 0; it divides x, so give another number", alpha,
                      x.dtype());
  return unary(x, Celu{alpha});
}

Tensor hardtanh(const Tensor& x, double min_val, double max_val) {
  require<ValueError>(min_val <= max_val, "hardtanh: min_val is {}, max_val {}; exchange them",
                      min_val, max_val);
  return unary(x, Hardtanh{min_val, max_val});
}
Tensor hardsigmoid(const Tensor& x) { return unary<Hardsigmoid>(x); }
Tensor hardswish(const Tensor& x) { return unary<Hardswish>(x); }
Tensor softshrink(const Tensor& x, double lambd) {
  require<ValueError>(lambd >= 0.0, "softshrink: lambd is {}; it must not be negative", lambd);
  return unary(x, Softshrink{lambd});
}
Tensor hardshrink(const Tensor& x, double lambd) {
  require<ValueError>(!std::isnan(lambd), "hardshrink: lambd is nan; give a number");
  return unary(x, Hardshrink{lambd});
}

Tensor Tensor::relu() const { return retrace::relu(*this); }

}  // namespace retrace
