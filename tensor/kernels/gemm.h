#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <type_traits>

/// Matrix products on strided views: C = alpha A B + beta C.
///
/// float and double go to OpenBLAS, or of middling size to loops of our own (tiles.h). OpenBLAS is
/// set to one thread at the first product (process-wide: programs that use it themselves should
/// know); both are parallelised above: C is cut into blocks chosen by the shape alone, so that any
/// number of threads gives the same bits. A vector times a matrix whose rows lie together is a loop
/// of our own, too: memory is its limit. A single-threaded build of OpenBLAS is not safe to call
/// from two threads (Debian's serial variant, for one): there products take turns, and further
/// threads gain nothing. int64 is a loop.
namespace retrace::kernels {

/// A matrix in somebody else's memory; element (i, j) is data[i row_stride + j col_stride].
/// Strides count elements. As an operand any strides will do: rows or columns that lie together are
/// read in place, anything else is copied first.
template <class T>
struct MatrixView {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t row_stride = 0;
  int64_t col_stride = 1;

  T& operator()(int64_t i, int64_t j) const { return data[i * row_stride + j * col_stride]; }
  MatrixView transposed() const { return {data, cols, rows, col_stride, row_stride}; }
  MatrixView block(int64_t row, int64_t row_count, int64_t col, int64_t col_count) const {
    return {data + row * row_stride + col * col_stride, row_count, col_count, row_stride,
            col_stride};
  }
  operator MatrixView<const T>() const requires(!std::is_const_v<T>) {
    return {data, rows, cols, row_stride, col_stride};
  }
};

/// The view of a dense row-major matrix.
template <class T>
MatrixView<T> row_major(T* data, int64_t rows, int64_t cols) {
  return {data, rows, cols, cols, 1};
}

/// An argument from which T is not deduced, so that views convert.
template <class T>
using ConstMatrix = MatrixView<const std::type_identity_t<T>>;
template <class T>
using OutMatrix = MatrixView<std::type_identity_t<T>>;

/// C = alpha A B + beta C, A [m, k], B [k, n], C [m, n]; T is float, double or int64_t.
/// beta = 0 overwrites C, NaN included; k = 0 scales C by beta. C has distinct elements, shares no
/// memory with A and B, and is best row-major or column-major (else it goes through a copy).
/// Sizes that do not fit throw ShapeError.
template <class T>
void gemm(T alpha, ConstMatrix<T> a, ConstMatrix<T> b, std::type_identity_t<T> beta,
          OutMatrix<T> c);

/// C = A B + row, which is repeated for each row of C and has C's columns, together. C is
/// row-major. T is float or double; the errors are gemm's.
template <class T>
void gemm_plus_row(ConstMatrix<T> a, ConstMatrix<T> b, const T* row, OutMatrix<T> c);

/// gemm on a[i], b[i], c[i] for every i, in parallel over the products and their blocks. All a have
/// one size, and so have all b and all c; the matrices of `c` do not overlap.
template <class T>
void gemm_batched(T alpha, std::span<const MatrixView<const std::type_identity_t<T>>> a,
                  std::span<const MatrixView<const std::type_identity_t<T>>> b,
                  std::type_identity_t<T> beta,
                  std::span<const MatrixView<std::type_identity_t<T>>> c);

/// The same by three plain loops, summing along k in double for float: what the tests compare with.
template <class T>
void gemm_reference(T alpha, ConstMatrix<T> a, ConstMatrix<T> b, std::type_identity_t<T> beta,
                    OutMatrix<T> c) {
  using Sum = std::conditional_t<std::is_floating_point_v<T>, double, T>;
  for (int64_t i = 0; i < c.rows; ++i) {
    for (int64_t j = 0; j < c.cols; ++j) {
      Sum sum = 0;
      for (int64_t p = 0; p < a.cols; ++p) {
        sum += static_cast<Sum>(a(i, p)) * static_cast<Sum>(b(p, j));
      }
      const Sum kept = beta == T(0) ? Sum(0) : static_cast<Sum>(beta) * static_cast<Sum>(c(i, j));
      c(i, j) = static_cast<T>(static_cast<Sum>(alpha) * sum + kept);
    }
  }
}

/// The kernels that OpenBLAS runs here, `SkylakeX` say. Processors younger than the library may
/// fall to its oldest kernels, at a tenth of the speed; unless OPENBLAS_CORETYPE is set, the newest
/// ones that the processor can run are chosen then.
std::string blas_kernels();

/// OpenBLAS's version and build options.
std::string blas_config();

}  // namespace retrace::kernels
