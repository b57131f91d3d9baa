#pragma once

// A product by one call into BLAS, whatever the strides of its operands.

#include <limits>

#include <retrace/tensor/kernels/gemm.h>
#include <retrace/tensor/kernels/math.h>

namespace retrace::kernels {

inline constexpr int64_t kLargestBlasInt = std::numeric_limits<int32_t>::max();

/// beta C, overwriting whatever C holds when beta is 0.
template <class T>
void scale(MatrixView<T> c, T beta) {
  if (beta == T(1)) return;
  for (int64_t i = 0; i < c.rows; ++i) {
    for (int64_t j = 0; j < c.cols; ++j) c(i, j) = beta == T(0) ? T(0) : math::times(beta, c(i, j));
  }
}

/// C = alpha A B + beta C. Every size fits an int, C's rows lie together and no further apart than
/// that. T is float or double.
template <class T>
void multiply_by_blas(T alpha, MatrixView<const T> a, MatrixView<const T> b, T beta,
                      MatrixView<T> c);

}  // namespace retrace::kernels
