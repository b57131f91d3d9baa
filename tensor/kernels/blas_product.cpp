#include <retrace/tensor/kernels/blas_product.h>

#include <algorithm>
#include <vector>

#include <retrace/tensor/kernels/blas.h>

namespace retrace::kernels {
namespace {

// How BLAS is told to read a view: row-major with a leading dimension, or the transpose of that.
// leading < 0: it cannot.
struct Layout {
  bool transposed = false;
  int64_t leading = -1;
};

template <class T>
Layout layout_of(MatrixView<const T> x) {
  // A stride that is never taken may be anything.
  const int64_t row_step = x.rows > 1 ? x.row_stride : std::max<int64_t>(x.cols, 1);
  const int64_t col_step = x.cols > 1 ? x.col_stride : 1;
  if (col_step == 1 && row_step >= x.cols && row_step <= kLargestBlasInt) {
    return {false, std::max<int64_t>(row_step, 1)};
  }
  const int64_t column = x.cols > 1 ? x.col_stride : std::max<int64_t>(x.rows, 1);
  const int64_t row = x.rows > 1 ? x.row_stride : 1;
  if (row == 1 && column >= x.rows && column <= kLargestBlasInt) {
    return {true, std::max<int64_t>(column, 1)};
  }
  return {};
}

// As BLAS can read it: a copy in `memory`, if it must be.
template <class T>
Layout make_readable(MatrixView<const T>& x, std::vector<T>& memory) {
  const Layout as_it_is = layout_of(x);
  if (as_it_is.leading >= 0) return as_it_is;
  memory.resize(static_cast<size_t>(x.rows * x.cols));
  for (int64_t i = 0; i < x.rows; ++i) {
    for (int64_t j = 0; j < x.cols; ++j) memory[static_cast<size_t>(i * x.cols + j)] = x(i, j);
  }
  x = row_major<const T>(memory.data(), x.rows, x.cols);
  return layout_of(x);
}

}  // namespace

template <class T>
void multiply_by_blas(T alpha, MatrixView<const T> a, MatrixView<const T> b, T beta,
                      MatrixView<T> c) {
  std::vector<T> a_memory, b_memory;
  const Layout la = make_readable(a, a_memory), lb = make_readable(b, b_memory);
  const int m = static_cast<int>(c.rows);
  const int n = static_cast<int>(c.cols);
  const int k = static_cast<int>(a.cols);
  const bool vectors_fit = a.col_stride > 0 && a.col_stride <= kLargestBlasInt &&
                           b.row_stride > 0 && b.row_stride <= kLargestBlasInt &&
                           c.row_stride > 0 && c.row_stride <= kLargestBlasInt;
  if (n == 1 && vectors_fit) {
    // gemv computes beta y as a product: NaN in C would survive beta = 0.
    if (beta == T(0)) scale(c, beta);
    const bool rows = !la.transposed;
    blas::gemv(la.transposed, rows ? m : k, rows ? k : m, alpha, a.data,
               static_cast<int>(la.leading), b.data, static_cast<int>(b.row_stride), beta, c.data,
               static_cast<int>(c.row_stride));
    return;
  }
  if (m == 1 && vectors_fit) {
    if (beta == T(0)) scale(c, beta);
    const bool rows = !lb.transposed;
    blas::gemv(rows, rows ? k : n, rows ? n : k, alpha, b.data, static_cast<int>(lb.leading),
               a.data, static_cast<int>(a.col_stride), beta, c.data, 1);
    return;
  }
  const int ldc = static_cast<int>(m > 1 ? c.row_stride : std::max<int64_t>(n, 1));
  constexpr int kMostRows = 32, kMostDepth = 128;
  if (!la.transposed && lb.transposed && m >= 16 && m <= kMostRows && n >= 64 && k <= kMostDepth) {
    // OpenBLAS's kernel for a small A B^T runs at half the speed of the other three.
    T turned[kMostRows * kMostDepth];
    for (int p = 0; p < k; ++p) {
      for (int i = 0; i < m; ++i) turned[p * m + i] = a(i, p);
    }
    blas::gemm(true, true, m, n, k, alpha, turned, m, b.data, static_cast<int>(lb.leading), beta,
               c.data, ldc);
    return;
  }
  blas::gemm(la.transposed, lb.transposed, m, n, k, alpha, a.data, static_cast<int>(la.leading),
             b.data, static_cast<int>(lb.leading), beta, c.data, ldc);
}

template void multiply_by_blas<float>(float, MatrixView<const float>, MatrixView<const float>,
                                      float, MatrixView<float>);
template void multiply_by_blas<double>(double, MatrixView<const double>, MatrixView<const double>,
                                       double, MatrixView<double>);

}  // namespace retrace::kernels
