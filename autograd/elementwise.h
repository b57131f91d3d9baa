#pragma once

// Elementwise ops, written once: an op is a small struct with its texts and its scalar functions.
//
//   struct Tanh {
//     static constexpr std::string_view op = "tanh", formula = "y = tanh(x)",
//                                       gradient = "dx = g · (1 - y²)";
//     template <class T> T y(T x) const { return math::tanh(x); }
//     template <class T> T dy_dx_from_y(T y) const { return T(1) - y * y; }
//   };
//   Tensor tanh(const Tensor& x) { return unary<Tanh>(x); }
//
// Of one input: y(x), and the derivative as dy_dx(x), as dy_dx_from_y(y), or as dy_dx() where it is
// a constant; the node saves x, y or nothing accordingly. Of several inputs: y(a, b, ...) and
// dy_da(a, b, ...), dy_db, dy_dc; a derivative that is not written follows from y by dual numbers.
// Members hold parameters. Functions must be free of branches, so that the loop is
// vectorised, and templates, so that they also run on dual numbers (see tensor/kernels/dual.h).
//
// `numbers = true` in the struct admits int64 tensors (which are never recorded). `gates = true`
// says that the slope is only ever 0 or 1: where it is 0, even an infinite g is stopped.

#include <retrace/autograd/node.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/kernels/dual.h>
#include <retrace/tensor/kernels/loop.h>
#include <retrace/tensor/kernels/math.h>

namespace retrace {

template <class Rule>
concept DerivativeFromInput = requires(const Rule& rule) {
  rule.dy_dx(1.0);
};
template <class Rule>
concept DerivativeFromOutput = requires(const Rule& rule) {
  rule.dy_dx_from_y(1.0);
};
template <class Rule>
concept ConstantDerivative = requires(const Rule& rule) {
  rule.template dy_dx<double>();
};
template <class Rule>
concept TakesNumbers = requires {
  requires Rule::numbers;
};

template <class Rule>
concept Gates = requires {
  requires Rule::gates;
};

template <class Rule, class F>
decltype(auto) visit_for(DType dtype, F&& f) {
  if constexpr (TakesNumbers<Rule>) {
    return visit_number(dtype, Rule::op, std::forward<F>(f));
  } else {
    return visit_float(dtype, Rule::op, std::forward<F>(f));
  }
}

/// ValueError naming the op and the argument when one is undefined.
inline void require_defined(std::string_view op, std::initializer_list<const Tensor*> inputs) {
  int k = 0;
  for (const Tensor* input : inputs) {
    if (!input->defined()) [[unlikely]]
      fail<ValueError>(
          "{}: argument {} is an undefined tensor (default-constructed or moved from); "
          "give it a value first",
          op, k);
    ++k;
  }
}

// One input -------------------------------------------------------------------------------------

/// Slope of a rule at what its node saved, x or y.
template <class Rule, class T>
T slope_at(const Rule& rule, T saved) {
  if constexpr (DerivativeFromInput<Rule>) {
    return rule.dy_dx(saved);
  } else {
    return rule.dy_dx_from_y(saved);
  }
}

/// g · slope.
template <class Rule, class T>
T through(const Rule&, T g, T slope) {
  if constexpr (Gates<Rule>) {
    return math::select(slope != T(0), g, T(0));
  } else {
    return g * slope;
  }
}

/// dx = g · slope(saved), itself an op: its own derivative follows from the rule on dual numbers.
template <class Rule>
struct UnaryBackwardNode final : NodeOf<UnaryBackwardNode<Rule>> {
  static constexpr std::string_view op = Rule::op, formula = Rule::gradient,
                                    gradient = "the derivative of dx by g and by x";
  explicit UnaryBackwardNode(const Rule& r) : rule(r) {}
  void backward(const Tensor& upstream, Gradients& gradients) override;
  Rule rule;
};

template <class Rule>
Tensor unary_backward(const Rule& rule, const Tensor& upstream, const Tensor& saved) {
  Tensor dx = empty(saved.sizes(), saved.dtype());
  visit_float(saved.dtype(), Rule::op, [&]<class T>() {
    kernels::map<T, T, T>([rule](T g, T s) { return through(rule, g, slope_at(rule, s)); }, dx,
                          upstream, saved);
  });
  return record<UnaryBackwardNode<Rule>>(
      std::move(dx), {&upstream, &saved},
      [&](auto& node) {
        node.save_input(0, upstream);
        node.save_input(1, saved);
      },
      rule);
}

template <class Rule>
void UnaryBackwardNode<Rule>::backward(const Tensor& upstream, Gradients& gradients) {
  const Tensor g = this->saved_input(0), saved = this->saved_input(1);
  if (gradients.wants(0)) gradients.give(0, unary_backward(rule, upstream, saved));
  if (!gradients.wants(1)) return;
  require<AutogradError>(
      !GradMode::is_enabled(),
      "{}: third derivatives are not available; go back without create_graph here", Rule::op);
  // Rarely needed: computed in double whatever the dtype, which halves what is compiled.
  Tensor ds = empty(saved.sizes(), kFloat64);
  kernels::map<double, double, double, double>(
      [r = rule](double u, double gg, double s) {
        return u * gg * slope_at(r, math::Dual<double>{s, 1.0}).slope;
      },
      ds, upstream.to(kFloat64), g.to(kFloat64), saved.to(kFloat64));
  gradients.give(1, ds.to(saved.dtype()));
}

template <class Rule>
struct UnaryNode final : NodeOf<UnaryNode<Rule>> {
  static constexpr std::string_view op = Rule::op, formula = Rule::formula,
                                    gradient = Rule::gradient;
  static constexpr bool elementwise = true;
  explicit UnaryNode(const Rule& r) : rule(r) {}
  void backward(const Tensor& upstream, Gradients& gradients) override {
    if constexpr (ConstantDerivative<Rule>) {
      gradients.give(0, scaled(upstream, rule.template dy_dx<double>()));
    } else if constexpr (DerivativeFromInput<Rule>) {
      gradients.give(0, unary_backward(rule, upstream, this->saved_input(0)));
    } else {
      gradients.give(0, unary_backward(rule, upstream, this->saved_output()));
    }
  }
  static Tensor scaled(const Tensor& g, double factor);
  Rule rule;
};

template <class Rule>
Tensor unary_value(const Tensor& x, const Rule& rule) {
  Tensor y = empty(x.sizes(), x.dtype());
  visit_for<Rule>(x.dtype(),
                  [&]<class T>() { kernels::map<T, T>([rule](T v) { return rule.y(v); }, y, x); });
  return y;
}

template <class Rule>
Tensor unary(const Tensor& x, const Rule& rule = {}) {
  require_defined(Rule::op, {&x});
  Tensor y = unary_value(x, rule);
  return record<UnaryNode<Rule>>(
      y, {&x},
      [&](auto& node) {
        if constexpr (DerivativeFromInput<Rule>) node.save_input(0, x);
        if constexpr (DerivativeFromOutput<Rule>) node.save_output(y);
      },
      rule);
}

/// y = factor · x, unrecorded when x is; of floating or int64 tensors.
Tensor scale(const Tensor& x, Scalar factor);

template <class Rule>
Tensor UnaryNode<Rule>::scaled(const Tensor& g, double factor) {
  if (factor == 0.0) return zeros_like(g);
  return factor == 1.0 ? g : scale(g, factor);
}

// Several inputs --------------------------------------------------------------------------------

/// DTypeError naming the op when the dtypes differ.
inline void require_same_dtype(std::string_view op, const Tensor& a, const Tensor& b) {
  require<DTypeError>(a.dtype() == b.dtype(),
                      "{}: operands are {} {} and {} {}; convert one with .to({})", op, a.dtype(),
                      a.sizes(), b.dtype(), b.sizes(), a.dtype());
}

/// f(a, b) for each pair of elements of the broadcast operands, unrecorded.
template <class Rule>
Tensor binary_value(const Tensor& a, const Tensor& b, const Rule& rule) {
  require_defined(Rule::op, {&a, &b});
  require_same_dtype(Rule::op, a, b);
  const bool same = a.sizes() == b.sizes();
  Tensor y = same ? empty(a.sizes(), a.dtype())
                  : empty(broadcast_shapes(Rule::op, a.sizes(), b.sizes()), a.dtype());
  visit_for<Rule>(a.dtype(), [&]<class T>() {
    kernels::map<T, T, T>([rule](T u, T v) { return rule.y(u, v); }, y, a, b);
  });
  return y;
}

/// The derivative of y by input number Side at these numbers: the rule's dy_da, dy_db, ..., or,
/// where it has none, what y itself gives on dual numbers.
template <std::size_t Side, class Rule, class... T>
auto partial_at(const Rule& rule, T... at) {
  if constexpr (Side == 0 && requires { rule.dy_da(at...); }) {
    return rule.dy_da(at...);
  } else if constexpr (Side == 1 && requires { rule.dy_db(at...); }) {
    return rule.dy_db(at...);
  } else if constexpr (Side == 2 && requires { rule.dy_dc(at...); }) {
    return rule.dy_dc(at...);
  } else {
    return [&]<std::size_t... K>(std::index_sequence<K...>) {
      return rule.y(math::Dual<T>{at, T(K == Side ? 1 : 0)}...).slope;
    }
    (std::index_sequence_for<T...>());
  }
}

/// g times one of a rule's partial derivatives, broadcast; an op of its own.
template <class Rule, std::size_t Side, std::size_t N>
struct PartialNode final : NodeOf<PartialNode<Rule, Side, N>> {
  static constexpr std::string_view op = Rule::op, formula = Rule::gradient,
                                    gradient = "the derivative of that by g and by each input";
  explicit PartialNode(const Rule& r) : rule(r) {}
  void backward(const Tensor& upstream, Gradients& gradients) override;
  Rule rule;
};

template <class Rule, std::size_t Side, class... Tensors>
Tensor partial(const Rule& rule, const Tensor& upstream, const Tensors&... at) {
  Tensor d = empty(upstream.sizes(), upstream.dtype());
  visit_float(upstream.dtype(), Rule::op, [&]<class T>() {
    const auto scaled = [rule](T g, auto... u) { return g * partial_at<Side>(rule, u...); };
    kernels::map<T, T, std::conditional_t<true, T, Tensors>...>(scaled, d, upstream, at...);
  });
  return record<PartialNode<Rule, Side, sizeof...(Tensors)>>(
      std::move(d), {&upstream, &at...},
      [&](auto& node) {
        std::size_t k = 0;
        node.save_input(k++, upstream);
        (node.save_input(k++, at), ...);
      },
      rule);
}

template <class Rule, std::size_t Side, std::size_t N>
void PartialNode<Rule, Side, N>::backward(const Tensor& upstream, Gradients& gradients) {
  [&]<std::size_t... K>(std::index_sequence<K...>) {
    const Tensor g = this->saved_input(0);
    const std::array<Tensor, N> at = {this->saved_input(K + 1)...};
    if (gradients.wants(0)) gradients.give(0, partial<Rule, Side>(rule, upstream, at[K]...));
    const Tensor ug = without_recording([&] { return upstream.mul(g).to(kFloat64); });
    for (std::size_t by = 0; by < N; ++by) {
      if (!gradients.wants(by + 1)) continue;
      require<AutogradError>(
          !GradMode::is_enabled(),
          "{}: third derivatives are not available; go back without create_graph here", Rule::op);
      // Rarely needed: computed in double whatever the dtype, which halves what is compiled.
      Tensor d = empty(g.sizes(), kFloat64);
      const auto second = [r = rule, by](double w, auto... u) {
        return w * partial_at<Side>(r, math::Dual<double>{u, by == K ? 1.0 : 0.0}...).slope;
      };
      kernels::map<double, double, decltype(double(K))...>(second, d, ug, at[K].to(kFloat64)...);
      gradients.give(by + 1, d.to(g.dtype()));
    }
  }
  (std::make_index_sequence<N>());
}

template <class Rule>
struct BinaryNode final : NodeOf<BinaryNode<Rule>> {
  static constexpr std::string_view op = Rule::op, formula = Rule::formula,
                                    gradient = Rule::gradient;
  static constexpr bool elementwise = true;
  explicit BinaryNode(const Rule& r) : rule(r) {}
  void backward(const Tensor& upstream, Gradients& gradients) override {
    const Tensor a = this->saved_input(0), b = this->saved_input(1);
    if (gradients.wants(0)) gradients.give(0, partial<Rule, 0>(rule, upstream, a, b));
    if (gradients.wants(1)) gradients.give(1, partial<Rule, 1>(rule, upstream, a, b));
  }
  Rule rule;
};

template <class Rule>
Tensor binary(const Tensor& a, const Tensor& b, const Rule& rule = {}) {
  return record<BinaryNode<Rule>>(
      binary_value(a, b, rule), {&a, &b},
      [&](auto& node) {
        node.save_input(0, a);
        node.save_input(1, b);
      },
      rule);
}

}  // namespace retrace
