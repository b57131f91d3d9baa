#pragma once

// Losses that are computed element by element and reduced in the same node. A loss is a rule as in
// autograd/elementwise.h of as many inputs as it needs, all of one shape and floating dtype:
//
//   struct Mse {
//     static constexpr std::string_view op = "mse_loss", formula = "y = (x - t)², reduced",
//                                       gradient = "dx = 2 g · (x - t) / n, dt = -dx";
//     template <class T> T y(T x, T t) const { return (x - t) * (x - t); }
//     template <class T> T dy_da(T x, T t) const { return T(2) * (x - t); }
//   };
//   return reduced(Mse(), reduction, input, target);
//
// Optional in a rule: `constants = k`, the last k inputs get no gradient whatever they are, and
// `inputs`, an array with the inputs' names for messages. For .cpp files.

#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/view.h>
#include <retrace/losses/reducing.h>

namespace retrace::losses {

/// y[i] = rule.y(x[i]...), elements of T.
template <class Rule, class T, class... X>
void value_row(const void* rule, std::int64_t n, std::byte* const* operands) {
  const auto value = [r = *static_cast<const Rule*>(rule)](X... x) { return r.y(x...); };
  kernels::dense_row_of<decltype(value), T, X...>(&value, n, operands);
}

/// A rule, and what its slopes are multiplied by.
struct ScaledRule {
  const void* rule;
  double factor;
};

/// dx[i] = factor · slope, elements of T.
template <class Rule, std::size_t Side, class T, class... X>
void scaled_row(const void* scaled_rule, std::int64_t n, std::byte* const* operands) {
  const auto* given = static_cast<const ScaledRule*>(scaled_rule);
  const auto scaled = [r = *static_cast<const Rule*>(given->rule),
                       f = static_cast<T>(given->factor)](X... x) {
    return f * partial_at<Side>(r, x...);
  };
  kernels::dense_row_of<decltype(scaled), T, X...>(&scaled, n, operands);
}

/// The loops of a loss for one dtype.
struct LossLoops {
  static constexpr std::size_t kMostSides = 3;
  kernels::DenseRow value;
  std::array<kernels::DenseRow, kMostSides> scaled;  // by side
};

template <class Rule, class T, std::size_t... K, std::size_t... Side>
constexpr LossLoops loss_loops(std::index_sequence<K...>, std::index_sequence<Side...>) {
  return {value_row<Rule, T, decltype(T(K))...>, {scaled_row<Rule, Side, T, decltype(T(K))...>...}};
}

inline constexpr std::string_view kInputAndTarget[] = {"input", "target"};

/// The names of a rule's inputs, for messages.
template <class Rule>
constexpr std::span<const std::string_view> input_names_of() {
  if constexpr (requires { Rule::inputs; }) {
    return Rule::inputs;
  } else {
    return kInputAndTarget;
  }
}

/// What is the same for all losses with a rule of one type.
struct LossFacts {
  std::span<const std::string_view> input_names;
  LossLoops for_float, for_double;

  const LossLoops& loops(DType dtype) const { return dtype == kFloat32 ? for_float : for_double; }
};

template <class Rule, std::size_t Inputs>
constexpr LossFacts loss_facts() {
  static_assert(input_names_of<Rule>().size() >= Inputs, "a name for each input");
  constexpr auto inputs = std::make_index_sequence<Inputs>();
  constexpr auto sides = std::make_index_sequence<Inputs - constants_of<Rule>()>();
  return {input_names_of<Rule>(), loss_loops<Rule, float>(inputs, sides),
          loss_loops<Rule, double>(inputs, sides)};
}
template <class Rule, std::size_t Inputs>
inline constexpr LossFacts loss_facts_of = loss_facts<Rule, Inputs>();

/// A loss with the type of its rule forgotten.
struct AnyLoss {
  AnyRule rule;
  const LossFacts* facts;

  template <std::size_t Inputs, class Rule>
  static AnyLoss of(const Rule& rule) {
    return {AnyRule::of<Inputs>(rule), &loss_facts_of<Rule, Inputs>};
  }
};

/// DTypeError or ShapeError naming the inputs unless they have one floating dtype and one shape.
void require_alike(std::string_view op, std::span<const std::string_view> names,
                   std::initializer_list<const Tensor*> inputs);

/// Of a rule's inputs.
template <class Rule, class... Tensors>
void require_alike(const Tensor& first, const Tensors&... rest) {
  static_assert(input_names_of<Rule>().size() >= 1 + sizeof...(rest), "a name for each input");
  require_alike(Rule::op, input_names_of<Rule>(), {&first, &rest...});
}

Tensor reduced(const AnyLoss& loss, const Reducing& reducing,
               std::initializer_list<const Tensor*> inputs);

/// rule.y of each element of the inputs, reduced. All checks are made, and nothing was computed
/// when one fails.
template <class Rule, class... Tensors>
Tensor reduced(const Rule& rule, const Reducing& reducing, const Tensor& first,
               const Tensors&... rest) {
  return reduced(AnyLoss::of<1 + sizeof...(rest)>(rule), reducing, {&first, &rest...});
}

/// With the number of elements as the divisor of a mean.
template <class Rule, class... Tensors>
Tensor reduced(const Rule& rule, Reduction how, const Tensor& first, const Tensors&... rest) {
  require_defined(Rule::op, {&first});
  return reduced(rule, Reducing::over(how, first.numel()), first, rest...);
}

}  // namespace retrace::losses
