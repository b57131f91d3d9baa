#pragma once

// Products of tensors, below the tape: what gemm.h does for matrices.

#include <retrace/tensor/check.h>
#include <retrace/tensor/kernels/gemm.h>
#include <retrace/tensor/view.h>

namespace retrace::kernels {

/// x, [.., columns], as one matrix with a row for each place in the leading dims; a 1-d tensor is
/// one row. Read in place when the strides allow it, else a row-major copy, which lives as long as
/// this object.
class RowsOf {
 public:
  explicit RowsOf(const Tensor& x);
  std::int64_t rows() const { return rows_; }
  std::int64_t columns() const { return columns_; }
  template <class T>
  MatrixView<const T> view() const {
    return {elements<const T>(x_), rows_, columns_, row_stride_, column_stride_};
  }

 private:
  Tensor x_;
  std::int64_t rows_, columns_, row_stride_, column_stride_;
};

/// c = a b, or c += a b with `add`: a [.., m, k], b [.., k, n], c [.., m, n] row-major, the leading
/// dims of a and b broadcast to those of c. All of one dtype: float32, float64 or int64. With b a
/// plain matrix it is one product, whatever the leading dims of a. The caller has checked sizes.
void multiply(const Tensor& c, const Tensor& a, const Tensor& b, bool add = false);

}  // namespace retrace::kernels
