#pragma once

// Distances of vectors, which lie along the last dim. Points that coincide have gradient 0 there.
// Errors, all of them: ShapeError, DTypeError for int64, bool and operands of two dtypes.
//
// Source: Deza and Deza 2009, Encyclopedia of Distances.

#include <retrace/tensor/tensor.h>

namespace retrace {

/// y = ‖x1 - x2 + eps‖_p of each pair of vectors; [.., D] gives [..]. The operands broadcast.
/// Gradient, with d = x1 - x2 + eps: dx1 = g · sign(d) · (|d| / y)^(p - 1), 0 where y is 0; dx2 =
/// -dx1. Errors: ValueError for a p that is not positive or an eps that is not finite.
/// Source: Minkowski 1896, Geometrie der Zahlen; eps as PyTorch's pairwise_distance.
Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, double p = 2, double eps = 1e-6);

// The same by name, without eps, for triplet_margin_with_distance_loss.

/// y = ‖x1 - x2‖.  dx1 = g · (x1 - x2) / y, 0 where y is 0.
Tensor euclidean_distance(const Tensor& x1, const Tensor& x2);
/// y = ‖x1 - x2‖².  dx1 = 2 g · (x1 - x2).
Tensor squared_euclidean_distance(const Tensor& x1, const Tensor& x2);
/// y = Σ |x1 - x2|.  dx1 = g · sign(x1 - x2).
Tensor manhattan_distance(const Tensor& x1, const Tensor& x2);
/// y = 1 - cosine_similarity(x1, x2), from 0 to 2; 1 for a vector of zeros.
/// dx1 = -g · (x2 / (|x1| |x2|) - cos · x1 / |x1|²).
Tensor cosine_distance(const Tensor& x1, const Tensor& x2);

/// Euclidean distance of each vector of x1 from each of x2: y(i, j) = ‖x1(i) - x2(j)‖, [N, M] for
/// [N, D] and [M, D]. Computed from the differences, so close points keep their digits and equal
/// ones have distance 0. One operand may be given as both.
/// Gradient: dx1(i) = Σ over j of g(i, j) · (x1(i) - x2(j)) / y(i, j), without the j where y is 0,
/// and the same for x2.
/// Source: Euclid, Elements I.47; as PyTorch's cdist with p = 2.
Tensor cdist(const Tensor& x1, const Tensor& x2);

}  // namespace retrace
