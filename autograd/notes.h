#pragma once

// What a node carries only when somebody asked for it.

#include <string>
#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace {

/// What few nodes have: hooks, and tensors that retain their gradient.
struct NodeNotes {
  /// Called with the gradient of an output.
  struct Hook {
    std::uint32_t output;
    std::unique_ptr<GradientHook> call;
  };
  /// A tensor that is to keep its gradient although it is no leaf.
  struct Retained {
    std::uint32_t output;
    TensorData* tensor;  // not owned: it says when it goes (forget_tensor)
  };
  std::vector<Hook> hooks;
  std::vector<Retained> retained;
  std::string place;
  std::vector<void*> call_stack;  // return addresses, turned into text on request
};

/// Hooks of a leaf, which owns them.
struct LeafHooks {
  std::vector<std::unique_ptr<GradientHook>> hooks;
};

/// The gradient that goes on after the hook. ShapeError or DTypeError when a hook returns
/// something that does not fit.
Tensor call_hook(GradientHook& hook, Tensor gradient);

}  // namespace retrace
