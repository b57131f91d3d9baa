#pragma once

#include <functional>

#include <retrace/tensor/tensor.h>

namespace retrace::train {

/// For each element on its own the x in [low, high] at which f(x) is smallest, by golden sections:
/// f maps a tensor to one of its shape, element by element, and must fall and then rise along each.
/// What a model should say, when the risk of saying x is f(x): the best result of any loss comes
/// from it. `low` and `high` float64, of one shape; unrecorded. ShapeError.
///
/// The result is within (high - low) · 1e-8 of the minimum, where f itself is exact to rounding.
/// Source: Kiefer 1953, Sequential minimax search for a maximum, doi 10.2307/2032161.
Tensor smallest(const std::function<Tensor(const Tensor& x)>& f, const Tensor& low,
                const Tensor& high);

}  // namespace retrace::train
