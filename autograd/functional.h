#pragma once

// Derivatives of a function as a whole, by the names of torch.autograd.functional.
//
//   const auto f = [&](const std::vector<Tensor>& x) { return loss_of(x[0]); };
//   const auto [value, products] = hvp(f, {w}, {direction});
//
// A function is called with each input itself where it wants a gradient, so that it may also use a
// model's parameters directly, and else with a copy that shares its numbers: then what is to be
// differentiated has to come from the argument, whatever else the function captures is a constant.
// It is recorded even inside of a NoGradGuard. No grad of a tensor is touched; results have no
// history, so they count as constants in what is computed of them. Inside of another jvp, vjp or
// hvp that would give wrong derivatives, and is refused.
//
// Errors: ValueError for undefined tensors and for lists whose lengths differ; ShapeError,
// DTypeError for a direction that does not fit its input, and for an input that is not floating;
// AutogradError for ops without the derivative, naming them, and for saved tensors that the
// function changed. Nothing is changed by a refused call.

#include <vector>

#include <retrace/autograd/tensor_function.h>

namespace retrace {

/// Values and their slopes along the tangents.
struct Jvp {
  std::vector<Tensor> outputs;
  std::vector<Tensor> tangents;  ///< of each output, in its shape; undefined if it is not floating
};

/// The outputs of f and their derivative along `tangents`, one for each input: J t, with J = df/dx,
/// which is d/dε f(x + ε t) at ε = 0.
///
/// Forward mode: f is recorded, then tangents are pushed along its tape, oldest op first. Tensor
/// and tangent are a dual number. An elementwise op multiplies by its derivative, other ops
/// transpose their gradient rule, so all have it that have second derivatives: every op of the
/// library but the hard form of gumbel_softmax.
/// Measured: 2.1 times the time of f for a network, where f and its gradient take 2.0; 3.2 times
/// for a chain of products, every factor moving.
Jvp jvp(TensorFunction f, const std::vector<Tensor>& inputs, const std::vector<Tensor>& tangents);

/// Values and gradients.
struct Vjp {
  std::vector<Tensor> outputs;
  std::vector<Tensor> gradients;  ///< of each input; zeros where nothing flows
};

/// The outputs of f and Jᵀ u, for the upstream gradients u, one for each output (undefined for one
/// that is not floating; none are needed for a scalar): backward, as a function.
Vjp vjp(TensorFunction f, const std::vector<Tensor>& inputs,
        const std::vector<Tensor>& upstream = {});

/// A value and products with its Hessian.
struct Hvp {
  Tensor value;                  ///< of f
  std::vector<Tensor> products;  ///< of each input; zeros where f is linear
};

/// The value of a scalar f and H v, with H the matrix of its second derivatives by all inputs and v
/// the `vectors`, one for each input: d/dε ∇f(x + ε v) at ε = 0. H itself is never formed.
///
/// Backward is recorded (create_graph), and the gradient of <∇f, v> taken: two backward passes,
/// whatever the number of inputs. Measured: 4.1 to 4.6 times the time of f for a network, 11 to 13
/// for a chain of products or of elementwise ops, whose second derivatives are computed in double.
/// ShapeError when f is not a single number.
Hvp hvp(TensorFunction f, const std::vector<Tensor>& inputs, const std::vector<Tensor>& vectors);

}  // namespace retrace
