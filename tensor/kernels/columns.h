#pragma once

// Sums down the columns of a row-major matrix, as gradients of what was added to every row.

#include <cstdint>

namespace retrace::kernels {

/// out[c] = Σ over r of x[r, c], or out[c] += with `add`; rows of x lie `stride` apart. Float32 is
/// summed in double, but for groups of eight rows. Any number of threads gives the same bits.
template <class T>
void sum_columns(const T* x, std::int64_t rows, std::int64_t columns, std::int64_t stride, T* out,
                 bool add);

}  // namespace retrace::kernels
