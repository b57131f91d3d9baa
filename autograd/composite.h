#pragma once

// Ops written with other ops that are still one node of the tape, with a name and texts of their
// own.
//
//   struct CosineDistance {
//     static constexpr std::string_view op = "cosine_distance", formula = "y = 1 - a·b / |a||b|",
//                                       gradient = "da = g · (cos · a/|a| - b/|b|) / |a|";
//   };
//   Tensor cosine_distance(const Tensor& a, const Tensor& b) {
//     return composite<CosineDistance>(
//         [](const Tensor& u, const Tensor& v) { return 1 - (normalize(u) * normalize(v)).sum(-1);
//         }, a, b);
//   }
//
// While it is recorded, the body runs on detached inputs and leaves a small tape of its own behind,
// which the node retraces when a gradient comes: whoever steps through sees one op. For second
// derivatives the body runs again on the inputs themselves, so it must be a function of them alone.
// What it captures gets no gradient. An undefined input is an optional one that was not given.
// `first_order = true` in the texts refuses second derivatives in the op's own name, for a body
// with ops that have none.

#include <array>
#include <utility>

#include <retrace/autograd/backprop.h>
#include <retrace/autograd/first_order.h>
#include <retrace/autograd/node.h>
#include <retrace/autograd/observer.h>

namespace retrace {

/// Gradients of inner(g) for those inputs that the node wants, given to it.
void retrace_inner(const Tensor& inner, std::span<const Tensor> inputs, const Tensor& upstream,
                   bool create_graph, Gradients& gradients);

template <class Texts, class Body, std::size_t N>
struct CompositeNode final : NodeOf<CompositeNode<Texts, Body, N>> {
  static constexpr std::string_view op = Texts::op, formula = Texts::formula,
                                    gradient = Texts::gradient;
  CompositeNode(const Body& b, const Tensor& y, const std::array<Tensor, N>& leaves)
      : body(b), inner(y), inputs(leaves) {}

  void backward(const Tensor& upstream, Gradients& gradients) override {
    if (!GradMode::is_enabled())
      return retrace_inner(inner, inputs, upstream, /*create_graph=*/false, gradients);
    if constexpr (requires { Texts::first_order; }) require_first_order(op);
    std::array<Tensor, N> originals;
    for (std::size_t k = 0; k < N; ++k)
      if (inputs[k].defined()) originals[k] = this->saved_input(k);
    retrace_inner(std::apply(body, originals), originals, upstream, /*create_graph=*/true,
                  gradients);
  }
  void release_saved() override {
    inner = {};
    inputs = {};
    Node::release_saved();
  }

  Body body;
  Tensor inner;                  // its producer is the end of the inner tape
  std::array<Tensor, N> inputs;  // the leaves of the inner tape
};

/// body(inputs...) as one node.
template <class Texts, class Body, class... Tensors>
Tensor composite(const Body& body, const Tensors&... inputs) {
  constexpr std::size_t kInputs = sizeof...(Tensors);
  // Whoever watches is told of one op.
  const auto unwatched = [&body](const auto&... x) {
    const ObserverScope nobody;
    return body(x...);
  };
  if (!wants_recording({&inputs...})) {
    Tensor y = unwatched(inputs...);
    if (ops_watched) [[unlikely]] {
      const std::array<const Tensor*, kInputs> all = {&inputs...};
      watch_op(Texts::op, nullptr, y, all);
    }
    return y;
  }
  const auto leaf = [](const Tensor& input) {
    if (!input.defined() || !input.requires_grad()) return input;
    return input.detach().requires_grad_();
  };
  const std::array<Tensor, kInputs> leaves = {leaf(inputs)...};
  const Tensor inner = std::apply(unwatched, leaves);
  return record<CompositeNode<Texts, Body, kInputs>>(
      inner.detach(), {&inputs...},
      [&](auto& node) {
        std::size_t k = 0;
        const auto save = [&](const Tensor& input) {
          if (input.defined()) node.save_input(k, input);
          ++k;
        };
        (save(inputs), ...);
      },
      body, inner, leaves);
}

}  // namespace retrace
