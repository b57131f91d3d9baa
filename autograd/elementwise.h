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
// Members hold parameters, a few numbers. Functions must be free of branches, so that the loop is
// vectorised, and templates, so that they also run on dual numbers (see tensor/kernels/dual.h).
//
// `numbers = true` in the struct admits int64 tensors (which are never recorded). `gates = true`
// says that where the slope is 0, even an infinite g is stopped.
// `constants = k`: the last k inputs have no derivative.
//
// Only loops are compiled for each rule; nodes and recording see an AnyRule.

#include <retrace/autograd/node.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/kernels/dual.h>
#include <retrace/tensor/kernels/loop.h>
#include <retrace/tensor/kernels/math.h>

#include <array>
#include <new>
#include <span>
#include <type_traits>

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

/// visit_float, or visit_number for a rule that takes whole numbers, too.
template <class Rule, class F>
decltype(auto) visit_for(DType dtype, F&& f) {
  if constexpr (TakesNumbers<Rule>) {
    return visit_number(dtype, Rule::op, std::forward<F>(f));
  } else {
    return visit_float(dtype, Rule::op, std::forward<F>(f));
  }
}

/// How many of the last inputs of a rule are constants, which have no gradient.
template <class Rule>
constexpr std::size_t constants_of() {
  if constexpr (requires { Rule::constants; }) {
    return Rule::constants;
  } else {
    return 0;
  }
}

/// ValueError that names the first of the inputs that is undefined.
[[noreturn]] void refuse_undefined(std::string_view op,
                                   std::initializer_list<const Tensor*> inputs);

/// ValueError naming the op and the argument when one is undefined.
inline void require_defined(std::string_view op, std::initializer_list<const Tensor*> inputs) {
  for (const Tensor* input : inputs) {
    if (!input->defined()) [[unlikely]]
      refuse_undefined(op, inputs);
  }
}

/// DTypeError naming the op when the dtypes differ.
void require_same_dtype(std::string_view op, const Tensor& a, const Tensor& b);

// Derivatives of a rule ---------------------------------------------------------------------------

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
    return math::select(slope != T(0), g * slope, T(0));
  } else {
    return g * slope;
  }
}

/// The derivative of y by input number Side at these numbers: the rule's dy_dx, or dy_da, dy_db,
/// ..., or, where it has none, what y itself gives on dual numbers.
template <std::size_t Side, class Rule, class... T>
auto partial_at(const Rule& rule, T... at) {
  if constexpr (DerivativeFromInput<Rule> || DerivativeFromOutput<Rule>) {
    return slope_at(rule, at...);
  } else if constexpr (Side == 0 && requires { rule.dy_da(at...); }) {
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

/// dx[i] = g[i] · slope, elements of T. Operands: dx, g, what the slope is computed from.
template <class Rule, std::size_t Side, class T, class... At>
void slope_row(const void* rule, std::int64_t n, std::byte* const* operands) {
  const auto slope = [r = *static_cast<const Rule*>(rule)](T g, At... at) {
    return through(r, g, partial_at<Side>(r, at...));
  };
  kernels::dense_row_of<decltype(slope), T, T, At...>(&slope, n, operands);
}

/// Which second derivative: of the rule's partial derivative, by input number `by`.
struct SecondOf {
  const void* rule;
  std::size_t by;
};

/// d[i] = w[i] · second derivative, of doubles. Operands: d, w, what the slope is computed from.
template <class Rule, std::size_t Side, std::size_t... K>
void second_row(const void* which, std::int64_t n, std::byte* const* operands) {
  const auto* second_of = static_cast<const SecondOf*>(which);
  const auto second = [r = *static_cast<const Rule*>(second_of->rule), by = second_of->by](
                          double w, decltype(double(K))... at) {
    return w * partial_at<Side>(r, math::Dual<double>{at, by == K ? 1.0 : 0.0}...).slope;
  };
  kernels::dense_row_of<decltype(second), double, double, decltype(double(K))...>(&second, n,
                                                                                  operands);
}

/// The loops for one input's gradient.
struct SideLoops {
  kernels::DenseRow slope_float, slope_double, second;
};

/// Those of a rule, for input number `Side` of as many as K.
template <class Rule, std::size_t Side, std::size_t... K>
constexpr SideLoops side_loops(std::index_sequence<K...>) {
  return {slope_row<Rule, Side, float, decltype(float(K))...>,
          slope_row<Rule, Side, double, decltype(double(K))...>, second_row<Rule, Side, K...>};
}

/// Those for each input.
template <class Rule, std::size_t Inputs, std::size_t... Side>
constexpr std::array<SideLoops, sizeof...(Side)> all_loops(std::index_sequence<Side...>) {
  return {side_loops<Rule, Side>(std::make_index_sequence<Inputs>())...};
}

/// Those of a rule for each input that is no constant.
template <class Rule, std::size_t Inputs>
inline constexpr auto loops_of =
    all_loops<Rule, Inputs>(std::make_index_sequence<Inputs - constants_of<Rule>()>());

/// What is the same for all rules of one type.
struct RuleFacts {
  std::string_view op, formula, gradient;
  bool from_output;  ///< derivatives are computed from y, not from the inputs
  std::span<const SideLoops> sides;
};

/// Those of a rule.
template <class Rule, std::size_t Inputs>
inline constexpr RuleFacts facts_of = {Rule::op, Rule::formula, Rule::gradient,
                                       DerivativeFromOutput<Rule>, loops_of<Rule, Inputs>};

/// A rule with its type forgotten: its numbers, and the facts, with the loops that know the type.
class AnyRule {
 public:
  template <std::size_t Inputs, class Rule>
  static AnyRule of(const Rule& rule) {
    return AnyRule(facts_of<Rule, Inputs>, rule);
  }

  const RuleFacts* operator->() const { return facts_; }
  const void* numbers() const { return numbers_; }

 private:
  template <class Rule>
  AnyRule(const RuleFacts& facts, const Rule& rule) : facts_(&facts) {
    static_assert(std::is_trivially_copyable_v<Rule> && sizeof(Rule) <= sizeof(numbers_));
    ::new (numbers_) Rule(rule);
  }

  const RuleFacts* facts_;
  alignas(double) std::byte numbers_[40] = {};
};

/// Tensors that an elementwise loop reads, held.
class Operands {
 public:
  static constexpr std::size_t kMost = 6;  // an upstream gradient and five inputs
  Operands() = default;
  Operands(const Operands&) = delete;
  Operands& operator=(const Operands&) = delete;

  void add(Tensor tensor) {
    tensors_[count_] = std::move(tensor);
    pointers_[count_] = &tensors_[count_];
    ++count_;
  }
  /// The inputs that a node saved, from number `first` on.
  void add_inputs_of(const Node& node, std::size_t first = 0) {
    for (std::size_t k = first; k < node.inputs(); ++k) add(node.saved_input(k));
  }
  std::span<const Tensor* const> get() const { return {pointers_.data(), count_}; }

 private:
  std::array<Tensor, kMost> tensors_;
  std::array<const Tensor*, kMost> pointers_ = {};
  std::size_t count_ = 0;
};

/// g times the derivative by input number `side`, itself an op: its own derivative follows from the
/// rule on dual numbers. The operands are g and what the derivative is computed from, broadcast.
Tensor partial(const AnyRule& rule, std::size_t side, std::span<const Tensor* const> operands);

/// The same of a rule whose type is known.
template <class Rule, std::size_t Side, class... Tensors>
Tensor partial(const Rule& rule, const Tensor& g, const Tensors&... at) {
  const Tensor* const operands[] = {&g, &at...};
  return partial(AnyRule::of<sizeof...(at)>(rule), Side, operands);
}

/// y, computed by the rule from `inputs`, with a node for its gradient.
Tensor record_elementwise(Tensor y, const AnyRule& rule,
                          std::initializer_list<const Tensor*> inputs);

// One input -------------------------------------------------------------------------------------

/// y = factor · x, unrecorded when x is; of floating or int64 tensors.
Tensor scale(const Tensor& x, Scalar factor);

/// An op whose slope is a constant.
template <class Rule>
struct ScalingNode final : NodeOf<ScalingNode<Rule>> {
  static constexpr std::string_view op = Rule::op, formula = Rule::formula,
                                    gradient = Rule::gradient;
  static constexpr bool elementwise = true;
  explicit ScalingNode(const Rule& r) : factor(r.template dy_dx<double>()) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, factor == 0.0 ? zeros_like(g) : factor == 1.0 ? g : scale(g, factor));
  }
  double factor;
};

/// rule.y of each element, unrecorded.
template <class Rule>
Tensor unary_value(const Tensor& x, const Rule& rule) {
  Tensor y = empty(x.sizes(), x.dtype());
  visit_for<Rule>(x.dtype(),
                  [&]<class T>() { kernels::map<T, T>([rule](T v) { return rule.y(v); }, y, x); });
  return y;
}

/// rule.y of each element: an op of one tensor, with all that an op needs.
template <class Rule>
Tensor unary(const Tensor& x, const Rule& rule = {}) {
  require_defined(Rule::op, {&x});
  Tensor y = unary_value(x, rule);
  if constexpr (ConstantDerivative<Rule>) {
    return record<ScalingNode<Rule>>(
        std::move(y), {&x}, [](auto&) {}, rule);
  } else {
    return record_elementwise(std::move(y), AnyRule::of<1>(rule), {&x});
  }
}

// Two inputs --------------------------------------------------------------------------------------

/// Where f(a, b) of the broadcast operands goes. The errors of operands that do not fit.
Tensor binary_output(std::string_view op, const Tensor& a, const Tensor& b);

/// f(a, b) for each pair of elements of the broadcast operands, unrecorded.
template <class Rule>
Tensor binary_value(const Tensor& a, const Tensor& b, const Rule& rule) {
  Tensor y = binary_output(Rule::op, a, b);
  visit_for<Rule>(a.dtype(), [&]<class T>() {
    kernels::map<T, T, T>([rule](T u, T v) { return rule.y(u, v); }, y, a, b);
  });
  return y;
}

/// rule.y of each pair of elements of the broadcast operands: an op of two tensors.
template <class Rule>
Tensor binary(const Tensor& a, const Tensor& b, const Rule& rule = {}) {
  return record_elementwise(binary_value(a, b, rule), AnyRule::of<2>(rule), {&a, &b});
}

}  // namespace retrace
