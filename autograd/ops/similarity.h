#pragma once

#include <retrace/tensor/tensor.h>

namespace retrace {

/// Cosine of the angle between the vectors of x1 and x2 along `dim`, from -1 to 1:
///     x1 · x2 / max(|x1| |x2|, ε),
/// 0 for a vector of zeros. The operands broadcast; `dim` is taken away.
/// Gradient: dx1 = g · (x2 / (|x1| |x2|) - cos · x1 / |x1|²), and the same for x2.
/// Errors: ShapeError for shapes that do not broadcast, IndexError for a dim that is not there,
/// ValueError for a negative eps.
/// Source: Salton, Wong, Yang 1975, A vector space model for automatic indexing; ε as PyTorch's
/// cosine_similarity.
Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, std::int64_t dim = 1,
                         double eps = 1e-8);

}  // namespace retrace
