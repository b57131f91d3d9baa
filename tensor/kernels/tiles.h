#pragma once

// Matrix products by one thread, where the operands fit the caches next to the processor.

#include <retrace/tensor/kernels/gemm.h>

namespace retrace::kernels {

/// The loops were compiled for registers that make them as fast as OpenBLAS.
#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))
inline constexpr bool kTilesAreFast = true;
#else
inline constexpr bool kTilesAreFast = false;
#endif

/// C = alpha A B + start. `start` is null: nothing is added; or the element that belongs to C's
/// first, with rows `start_stride` apart: 0 repeats one row, C's own adds to what is there. Rows of
/// C lie together. T is float or double.
template <class T>
void multiply_tiles(T alpha, MatrixView<const T> a, MatrixView<const T> b, const T* start,
                    int64_t start_stride, MatrixView<T> c);

}  // namespace retrace::kernels
