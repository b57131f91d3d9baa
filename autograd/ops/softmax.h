#pragma once

// Softmax and its logarithm over one dim of a floating tensor: p sums to 1 along `dim`. Each row is
// shifted by its largest element first, so that nothing overflows. Entries of -infinity have
// probability 0 and gradient 0; a row of nothing else is NaN, as in PyTorch. Errors: IndexError for
// a dim out of range, DTypeError for int64 and bool.

#include <retrace/tensor/tensor.h>

namespace retrace {

/// p = exp(x) / Σ exp(x).  dx = p · (g - Σ g p).
Tensor softmax(const Tensor& x, std::int64_t dim);
/// ln p = x - ln Σ exp(x), exact where p itself would be 0.  dx = g - p · Σ g.
Tensor log_softmax(const Tensor& x, std::int64_t dim);

}  // namespace retrace
