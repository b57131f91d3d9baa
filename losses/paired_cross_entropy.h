#pragma once

// For .cpp files: the cross-entropy of a matrix of logits in both directions, the right entries
// being its diagonal.

#include <retrace/tensor/tensor.h>

namespace retrace::losses {

/// Mean over i of -½ log softmax(z(i, :))(i) - ½ log softmax(z(:, i))(i), z [N, N], floating.
/// Gradient: dz = g · (p of the row + p of the column - 2 [i = j]) / 2 N.
Tensor paired_cross_entropy(const Tensor& logits);

}  // namespace retrace::losses
