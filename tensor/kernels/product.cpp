#include <retrace/tensor/kernels/product.h>

#include <vector>

namespace retrace::kernels {
namespace {

std::int64_t product_of(const Shape& sizes, int end) {
  std::int64_t product = 1;
  for (int d = 0; d < end; ++d) product *= sizes[d];
  return product;
}

// The distance of neighbours in dims [0, end) seen as one dim; none where they do not merge.
std::optional<std::int64_t> merged_stride(const Tensor& x, int end) {
  std::int64_t stride = 0, expected = 0;
  bool any = false;
  for (int d = end - 1; d >= 0; --d) {
    if (x.sizes()[d] == 1) continue;
    if (any && x.strides()[d] != expected) return {};
    if (!any) stride = x.strides()[d];
    any = true;
    expected = x.strides()[d] * x.sizes()[d];
  }
  return stride;
}

// Matrices of a tensor [.., rows, cols] in the row-major order of `batch`, to which its leading
// dims broadcast.
template <class T>
std::vector<MatrixView<T>> matrices(const Tensor& x, const Shape& batch, std::size_t count) {
  const int rank = x.dim(), lead = batch.size() - (rank - 2);
  std::int64_t steps[kMaxDims] = {}, at[kMaxDims] = {};
  for (int d = 0; d < rank - 2; ++d) steps[d + lead] = x.sizes()[d] == 1 ? 0 : x.strides()[d];
  std::vector<MatrixView<T>> views;
  views.reserve(count);
  T* data = elements<T>(x);
  for (std::size_t i = 0; i < count; ++i) {
    views.push_back({data, x.sizes()[rank - 2], x.sizes()[rank - 1], x.strides()[rank - 2],
                     x.strides()[rank - 1]});
    for (int d = batch.size() - 1; d >= 0; --d) {
      data += steps[d];
      if (++at[d] < batch[d]) break;
      data -= steps[d] * at[d];
      at[d] = 0;
    }
  }
  return views;
}

template <class T>
MatrixView<T> matrix(const Tensor& x) {
  const Strides& strides = x.strides();
  return {elements<T>(x), x.sizes()[0], x.sizes()[1], strides[0], strides[1]};
}

template <class T>
void multiply_batches(const Tensor& c, const Tensor& a, const Tensor& b, T beta) {
  Shape batch;
  for (int d = 0; d < c.dim() - 2; ++d) batch.push_back(c.sizes()[d]);
  const auto count = static_cast<std::size_t>(batch.numel());
  const auto left = matrices<const T>(a, batch, count);
  const auto right = matrices<const T>(b, batch, count);
  const auto out = matrices<T>(c, batch, count);
  gemm_batched<T>(T(1), left, right, beta, out);
}

}  // namespace

RowsOf::RowsOf(const Tensor& x) : x_(x) {
  const int rank = x.dim();
  columns_ = x.sizes()[rank - 1];
  rows_ = product_of(x.sizes(), rank - 1);
  const auto stride = merged_stride(x, rank - 1);
  if (!stride) x_ = contiguous_copy(x);
  row_stride_ = stride.value_or(columns_);
  column_stride_ = stride ? x.strides()[rank - 1] : 1;
}

void multiply(const Tensor& c, const Tensor& a, const Tensor& b, bool add) {
  if (c.numel() == 0) return;  // of however many matrices
  visit_number(c.dtype(), "matmul", [&]<class T>() {
    const T beta = add ? T(1) : T(0);
    if (b.dim() == 2 && a.dim() == 2) {
      gemm<T>(T(1), matrix<const T>(a), matrix<const T>(b), beta, matrix<T>(c));
    } else if (b.dim() == 2 && merged_stride(a, a.dim() - 1)) {
      const RowsOf rows(a);
      gemm<T>(T(1), rows.view<T>(), matrix<const T>(b), beta,
              row_major(elements<T>(c), rows.rows(), c.sizes().back()));
    } else {
      multiply_batches<T>(c, a, b, beta);
    }
  });
}

}  // namespace retrace::kernels
