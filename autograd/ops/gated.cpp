#include <retrace/autograd/ops/activation_rules.h>
#include <retrace/autograd/ops/gated.h>
#include <retrace/autograd/ops/joining.h>
#include <retrace/autograd/ops/linear.h>
#include <retrace/tensor/view.h>

namespace retrace {
namespace {

/// y = f(a) · v as a rule of two inputs, f being an activation's rule.
template <class Activation>
struct Gated {
  static constexpr Activation f = {};
  template <class T>
  T y(T a, T v) const {
    return f.y(a) * v;
  }
  template <class T>
  T dy_da(T a, T v) const {
    if constexpr (DerivativeFromInput<Activation>) {
      return f.dy_dx(a) * v;
    } else {
      return f.dy_dx_from_y(f.y(a)) * v;
    }
  }
  template <class T>
  T dy_db(T a, T) const {
    return f.y(a);
  }
};

struct Glu : Gated<rules::Sigmoid> {
  static constexpr std::string_view op = "glu", formula = "y = σ(a) · v",
                                    gradient = "da = g · v σ(a) σ(-a), dv = g · σ(a)";
  template <class T>
  T dy_da(T a, T v) const {
    return math::sigmoid(a) * math::sigmoid(-a) * v;
  }
};
struct Swiglu : Gated<rules::Silu> {
  static constexpr std::string_view op = "swiglu", formula = "y = silu(a) · v",
                                    gradient = "da = g · v silu'(a), dv = g · silu(a)";
};
struct Geglu : Gated<rules::Gelu> {
  static constexpr std::string_view op = "geglu", formula = "y = gelu(a) · v",
                                    gradient = "da = g · v gelu'(a), dv = g · gelu(a)";
};
struct GegluTanh : Gated<rules::GeluTanh> {
  static constexpr std::string_view op = "geglu", formula = "y = gelu(a) · v, gelu with tanh",
                                    gradient = "da = g · v gelu'(a), dv = g · gelu(a)";
};
struct Reglu : Gated<rules::Relu> {
  static constexpr std::string_view op = "reglu", formula = "y = relu(a) · v",
                                    gradient = "da = g · v where a > 0, dv = g · relu(a)";
};
struct BilinearGlu {
  static constexpr std::string_view op = "bilinear_glu", formula = "y = a · v",
                                    gradient = "da = g · v, dv = g · a";
  template <class T>
  T y(T a, T v) const {
    return a * v;
  }
  template <class T>
  T dy_da(T, T v) const {
    return v;
  }
  template <class T>
  T dy_db(T a, T) const {
    return a;
  }
};

/// Views of the gate's half of x, and of the values'. Not recorded.
struct Halves {
  Tensor gate, values;
  Halves(const Tensor& x, int dim, Gate which) {
    Shape sizes = x.sizes();
    sizes[dim] /= 2;
    const Tensor first = make_view(x, sizes, x.strides());
    const Tensor second = make_view(x, sizes, x.strides(), sizes[dim] * x.strides()[dim]);
    gate = which == Gate::first ? first : second;
    values = which == Gate::first ? second : first;
  }
};

template <class Rule>
struct GluNode final : NodeOf<GluNode<Rule>> {
  static constexpr std::string_view op = Rule::op, formula = Rule::formula,
                                    gradient = Rule::gradient;
  GluNode(int d, Gate g) : dim(d), gate(g) {}

  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor x = this->saved_input(0);
    if (GradMode::is_enabled()) {
      const std::int64_t half = x.sizes()[dim] / 2;
      const Tensor first = x.narrow(dim, 0, half), second = x.narrow(dim, half, half);
      const bool gate_first = gate == Gate::first;
      const Tensor a = gate_first ? first : second, v = gate_first ? second : first;
      const Tensor da = partial<Rule, 0>(Rule{}, g, a, v);
      const Tensor dv = partial<Rule, 1>(Rule{}, g, a, v);
      gradients.give(0, gate_first ? cat({da, dv}, dim) : cat({dv, da}, dim));
      return;
    }
    const Tensor dx = empty(x.sizes(), x.dtype());
    const Halves in(x, dim, gate), out(dx, dim, gate);
    write_partial<0>(out.gate, g, in);
    write_partial<1>(out.values, g, in);
    gradients.give(0, dx);
  }

  template <std::size_t Side>
  static void write_partial(const Tensor& out, const Tensor& g, const Halves& in) {
    visit_float(g.dtype(), op, [&]<class T>() {
      kernels::map<T, T, T, T>([](T u, T a, T v) { return u * partial_at<Side>(Rule{}, a, v); },
                               out, g, in.gate, in.values);
    });
  }

  int dim;
  Gate gate;
};

template <class Rule>
Tensor gated(const Tensor& x, std::int64_t dim, Gate gate) {
  require_defined(Rule::op, {&x});
  const int d = wrap_dim(Rule::op, dim, x.sizes());
  require<ShapeError>(x.dim() > 0 && x.sizes()[d] % 2 == 0,
                      "{}: x is {}; its size along dim {} must be even, to be cut in halves",
                      Rule::op, x.sizes(), d);
  const Halves halves(x, d, gate);
  return record<GluNode<Rule>>(
      binary_value(halves.gate, halves.values, Rule{}), {&x},
      [&](auto& node) { node.save_input(0, x); }, d, gate);
}

template <class Rule>
Tensor feed_forward(const Tensor& x, const GatedWeights& w) {
  require_defined(Rule::op, {&x, &w.gate, &w.up, &w.down});
  require<ShapeError>(w.gate.sizes() == w.up.sizes(),
                      "{}: the weight of the gate is {}, of the values {}; they must be equal",
                      Rule::op, w.gate.sizes(), w.up.sizes());
  const Tensor hidden = binary<Rule>(linear(x, w.gate, w.gate_bias), linear(x, w.up, w.up_bias));
  return linear(hidden, w.down, w.down_bias);
}

}  // namespace

Tensor glu(const Tensor& x, std::int64_t dim, Gate gate) { return gated<Glu>(x, dim, gate); }
Tensor swiglu(const Tensor& x, std::int64_t dim, Gate gate) { return gated<Swiglu>(x, dim, gate); }
Tensor geglu(const Tensor& x, std::int64_t dim, Gate gate, Approximate approximate) {
  return approximate == Approximate::none ? gated<Geglu>(x, dim, gate)
                                          : gated<GegluTanh>(x, dim, gate);
}
Tensor reglu(const Tensor& x, std::int64_t dim, Gate gate) { return gated<Reglu>(x, dim, gate); }
Tensor bilinear_glu(const Tensor& x, std::int64_t dim, Gate gate) {
  return gated<BilinearGlu>(x, dim, gate);
}

Tensor glu_ffn(const Tensor& x, const GatedWeights& weights) {
  return feed_forward<Glu>(x, weights);
}
Tensor swiglu_ffn(const Tensor& x, const GatedWeights& weights) {
  return feed_forward<Swiglu>(x, weights);
}
Tensor geglu_ffn(const Tensor& x, const GatedWeights& weights) {
  return feed_forward<Geglu>(x, weights);
}
Tensor geglu_tanh_ffn(const Tensor& x, const GatedWeights& weights) {
  return feed_forward<GegluTanh>(x, weights);
}
Tensor reglu_ffn(const Tensor& x, const GatedWeights& weights) {
  return feed_forward<Reglu>(x, weights);
}
Tensor bilinear_glu_ffn(const Tensor& x, const GatedWeights& weights) {
  return feed_forward<BilinearGlu>(x, weights);
}

}  // namespace retrace
