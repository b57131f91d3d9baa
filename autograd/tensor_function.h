#pragma once

// What is differentiated as a whole: a callable of tensors.

#include <type_traits>
#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace {

class TensorFunction;

/// Can be called with tensors, and gives a Tensor or a vector of them.
template <class F>
concept TensorCallable = !std::is_same_v<std::remove_cvref_t<F>, TensorFunction> &&
                         std::is_invocable_v<F&, const std::vector<Tensor>&>;

/// A function of several tensors, with one result or several: a view of a callable, which must
/// live as long as it is used.
class TensorFunction {
 public:
  template <TensorCallable F>
  // NOLINTNEXTLINE(bugprone-forwarding-reference-overload): the concept leaves out copies
  TensorFunction(F&& f)
      : callable_(const_cast<void*>(reinterpret_cast<const void*>(&f))), call_(&call<F>) {}
  std::vector<Tensor> operator()(const std::vector<Tensor>& inputs) const {
    return call_(callable_, inputs);
  }

 private:
  template <class F>
  static std::vector<Tensor> call(void* callable, const std::vector<Tensor>& inputs) {
    auto& function = *reinterpret_cast<std::remove_reference_t<F>*>(callable);
    if constexpr (std::is_same_v<std::decay_t<decltype(function(inputs))>, Tensor>) {
      return {function(inputs)};
    } else {
      return function(inputs);
    }
  }

  void* callable_;
  std::vector<Tensor> (*call_)(void* callable, const std::vector<Tensor>& inputs);
};

}  // namespace retrace
