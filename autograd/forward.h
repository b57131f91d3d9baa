#pragma once

// Forward mode: the tape from the oldest node to the newest. A tensor and its tangent, the
// derivative along one direction, are the two parts of a dual number.

#include <vector>

#include <retrace/autograd/node.h>

namespace retrace {

/// The tangent of each output, when `inputs` have `tangents` of their shapes and dtypes (undefined
/// ones are 0), whatever they were computed from. Undefined where an output does not depend on the
/// inputs. AutogradError naming the op that has no derivative of this kind, or whose saved
/// tensors were changed or freed. Nothing is recorded.
std::vector<Tensor> push_tangents(const std::vector<Tensor>& outputs,
                                  const std::vector<Tensor>& inputs,
                                  const std::vector<Tensor>& tangents);

/// a + b; an undefined one is 0.
Tensor sum_of_tangents(const Tensor& a, const Tensor& b);

}  // namespace retrace
