#pragma once

// Ops written with other ops that are still one node of the tape, with a name and texts of their
// own.
//
//   struct ChordDistance {
//     static constexpr std::string_view op = "chord_distance", formula = "y = |a/|a| - b/|b||²",
//                                       gradient = "da = 2 g · (cos · a/|a| - b/|b|) / |a|";
//   };
//   Tensor chord_distance(const Tensor& a, const Tensor& b) {
//     const auto body = [](const Tensor& u, const Tensor& v) {
//       return (normalize(u) - normalize(v)).square().sum(-1);
//     };
//     return composite<ChordDistance>(body, a, b);
//   }
//
// While it is recorded, the body runs on detached inputs and leaves a small tape of its own behind,
// which the node retraces when a gradient comes: whoever steps through sees one op. For second
// derivatives the body runs again on the inputs themselves, so it must be a function of them alone,
// and an AutogradError says so when it no longer gives the same numbers. What it captures gets no
// gradient. An undefined input is an optional one that was not given.

#include <functional>
#include <utility>

#include <retrace/autograd/node.h>
#include <retrace/autograd/observer.h>

namespace retrace {

/// Gradients of Σ inner · upstream for those inputs that the node wants, given to it. An undefined
/// upstream gradient is 0.
void retrace_inner(const std::vector<Tensor>& inner, std::span<const Tensor> inputs,
                   const std::vector<Tensor>& upstream, bool create_graph, Gradients& gradients);

/// Input i as it was saved; while backward is recorded behind a node of its own: a gradient with
/// respect to it is then that of this input alone, however the inputs depend on each other, and no
/// hook of theirs runs.
Tensor bounded_input(const Node& node, std::size_t i);
/// Zeros in place of an input that the output is linear in, and that was not saved; undefined if it
/// wants no gradient.
Tensor linear_input(const Node& node, std::size_t i);

/// Second derivatives of an op whose backward works on raw numbers: what that gives while backward
/// is recorded. `by_ops()` computes the op's outputs once more by ops that record themselves, from
/// `inputs`, which come from the two functions above.
template <class ByOps>
void recorded_backward(std::span<const Tensor> inputs, const std::vector<Tensor>& upstream,
                       Gradients& gradients, const ByOps& by_ops) {
  const ObserverScope nobody;  // whoever watches sees one op
  retrace_inner({by_ops()}, inputs, upstream, /*create_graph=*/true, gradients);
}

/// What a composite says of itself.
struct CompositeTexts {
  std::string_view op, formula, gradient;
};

/// What the op computes, made of other ops.
using CompositeBody = std::function<Tensor(std::span<const Tensor> inputs)>;

/// body(inputs) as one node, one of the inputs wanting a gradient.
Tensor record_composite(const CompositeTexts& texts, CompositeBody body,
                        std::span<const Tensor* const> inputs);

/// body(inputs...) as one node.
template <class Texts, class Body, class... Tensors>
Tensor composite(const Body& body, const Tensors&... inputs) {
  const Tensor* const all[] = {&inputs...};
  if (wants_recording(all)) {
    const auto of_all = [body]<std::size_t... K>(std::span<const Tensor> x,
                                                 std::index_sequence<K...>) {
      return body(x[K]...);
    };
    return record_composite(
        {Texts::op, Texts::formula, Texts::gradient},
        [of_all](std::span<const Tensor> x) {
          return of_all(x, std::index_sequence_for<Tensors...>());
        },
        all);
  }
  Tensor y;
  {
    const ObserverScope nobody;  // whoever watches is told of one op
    y = body(inputs...);
  }
  if (ops_watched) [[unlikely]]
    watch_op(Texts::op, nullptr, y, all);
  return y;
}

}  // namespace retrace
