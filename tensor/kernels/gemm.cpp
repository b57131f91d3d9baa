#include <retrace/tensor/kernels/gemm.h>

#include <algorithm>
#include <string>
#include <vector>

#include <retrace/tensor/error.h>
#include <retrace/tensor/kernels/blas.h>
#include <retrace/tensor/kernels/blas_product.h>
#include <retrace/tensor/kernels/math.h>
#include <retrace/tensor/kernels/reduce.h>
#include <retrace/tensor/kernels/tiles.h>
#include <retrace/tensor/parallel.h>

namespace retrace::kernels {
namespace {

// Products of at most so many multiply-adds are over before a call into BLAS has begun.
constexpr double kTinyWork = 128;
// Between these, loops of our own: BLAS packs operands that are read a few times only. Below, its
// kernels for small products do not; above, it cuts them to the caches better.
constexpr double kLeastTileWork = 1 << 19, kMostTileWork = 1 << 26;
constexpr int64_t kTileSide = 8;
// Multiply-adds worth a thread of their own: about 20 microseconds.
constexpr double kBlockWork = 1 << 20;

// Multiply-adds of a product; as a number that cannot overflow.
double work_of(int64_t m, int64_t n, int64_t k) {
  return static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
}

// Element by element: for products of a few numbers.
template <class T>
void gemm_dots(T alpha, MatrixView<const T> a, MatrixView<const T> b, T beta, MatrixView<T> c) {
  for (int64_t i = 0; i < c.rows; ++i) {
    for (int64_t j = 0; j < c.cols; ++j) {
      const T *x = &a(i, 0), *y = &b(0, j);
      T sum = 0;
      for (int64_t p = 0; p < a.cols; ++p, x += a.col_stride, y += b.row_stride) sum += *x * *y;
      c(i, j) = beta == T(0) ? alpha * sum : alpha * sum + beta * c(i, j);
    }
  }
}

// Row by row, B's rows added up: for whole numbers.
template <class T>
void gemm_loops(T alpha, MatrixView<const T> a, MatrixView<const T> b, T beta, MatrixView<T> c) {
  scale(c, beta);
  for (int64_t i = 0; i < c.rows; ++i) {
    for (int64_t p = 0; p < a.cols; ++p) {
      const T factor = math::times(alpha, a(i, p));
      T* out = c.data + i * c.row_stride;
      const T* in = b.data + p * b.row_stride;
      if (b.col_stride == 1 && c.col_stride == 1) {
        for (int64_t j = 0; j < c.cols; ++j)
          out[j] = math::plus(out[j], math::times(factor, in[j]));
      } else {
        for (int64_t j = 0; j < c.cols; ++j) {
          T& sum = out[j * c.col_stride];
          sum = math::plus(sum, math::times(factor, in[j * b.col_stride]));
        }
      }
    }
  }
}

// A x, with A's rows dense: 64 sums side by side, and A on its way from memory well before it is
// needed, which BLAS leaves to the processor.
constexpr int64_t kVectorLanes = 64;
template <class T>
[[gnu::noinline]] void multiply_rows(T alpha, MatrixView<const T> a, const T* x, T beta,
                                     MatrixView<T> c) {
  constexpr int64_t kAhead = 8192 / sizeof(T), kLine = 64 / sizeof(T);
  for (int64_t r = 0; r < a.rows; ++r) {
    const T* row = &a(r, 0);
    T lanes[kVectorLanes] = {};
    int64_t p = 0;
    for (; p + kVectorLanes <= a.cols; p += kVectorLanes) {
      for (int64_t l = 0; l < kVectorLanes; l += kLine) __builtin_prefetch(row + p + l + kAhead);
#pragma omp simd
      for (int64_t l = 0; l < kVectorLanes; ++l)
        lanes[l] = math::mul_add(row[p + l], x[p + l], lanes[l]);
    }
    T sum = sum_lanes<kVectorLanes>(lanes);
    for (; p < a.cols; ++p) sum = math::mul_add(row[p], x[p], sum);
    c(r, 0) = beta == T(0) ? alpha * sum : alpha * sum + beta * c(r, 0);
  }
}

// A product with one row or column, if it is such that the matrix is read row by row; else false.
template <class T>
bool multiply_vector(T alpha, MatrixView<const T> a, MatrixView<const T> b, T beta,
                     MatrixView<T> c) {
  // Memory is the limit: so many elements of the matrix are worth a thread.
  constexpr int64_t kChunk = 1 << 16;
  if (c.cols != 1)
    return c.rows == 1 &&
           multiply_vector(alpha, b.transposed(), a.transposed(), beta, c.transposed());
  if (a.col_stride != 1 || b.row_stride != 1 || a.cols < kVectorLanes) return false;
  const int64_t rows = std::max<int64_t>(kChunk / a.cols, 1);
  parallel_chunks((a.rows + rows - 1) / rows, [&](int64_t chunk) {
    const int64_t first = chunk * rows, count = std::min(rows, a.rows - first);
    multiply_rows(alpha, a.block(first, count, 0, a.cols), b.data, beta,
                  c.block(first, count, 0, 1));
  });
  return true;
}

// C = row for each row. Rows that are there are copied in ever longer runs: one by one, short ones
// would cost a call each.
template <class T>
void repeat_row(const T* row, MatrixView<T> c) {
  if (c.row_stride != c.cols) {
    for (int64_t i = 0; i < c.rows; ++i) std::copy_n(row, c.cols, &c(i, 0));
    return;
  }
  constexpr int64_t kRun = 4096;  // elements that a run copies, in the first cache
  const int64_t all = c.rows * c.cols;
  std::copy_n(row, c.cols, c.data);
  for (int64_t done = c.cols, run = c.cols; done < all; done += run) {
    if (run < kRun) run = done;
    run = std::min(run, all - done);
    std::copy_n(c.data, run, c.data + done);
  }
}

// One product by one thread. C's rows lie together. Without tiles, every size fits an int.
template <class T>
void gemm_block(bool by_tiles, T alpha, MatrixView<const T> a, MatrixView<const T> b, T beta,
                const T* row, MatrixView<T> c) {
  if (by_tiles) {
    if (beta != T(0) && beta != T(1)) {
      scale(c, beta);
      beta = 1;
    }
    const T* const before = beta == T(0) ? nullptr : c.data;
    return multiply_tiles(alpha, a, b, row != nullptr ? row : before,
                          row != nullptr ? 0 : c.row_stride, c);
  }
  if (row != nullptr) {
    repeat_row(row, c);
    beta = 1;
  }
  multiply_by_blas(alpha, a, b, beta, c);
}

// How C is cut; depends on nothing but the shape.
struct Partition {
  int64_t row_blocks = 1;
  int64_t col_blocks = 1;
  int64_t block_rows = 0;
  int64_t block_cols = 0;
  int64_t count() const { return row_blocks * col_blocks; }
};

Partition partition(int64_t m, int64_t n, int64_t k) {
  // Two blocks from about 15 microseconds on; every further doubling costs a percent or more with
  // one thread and needs 8 times the work.
  // Whole tiles of the kernels, whose edges are slower.
  constexpr int64_t kTile = 16;
  const double wanted = work_of(m, n, k) / kBlockWork;
  int64_t blocks = wanted < 2 ? 1 : 2;
  for (double enough = 256; wanted >= enough; enough *= 8) blocks *= 2;
  const int64_t most_rows = std::max<int64_t>(1, m / kTile);
  const int64_t most_cols = std::max<int64_t>(1, n / kTile);
  // A cut across the rows has B packed once more, one across the columns A.
  int64_t row_blocks = 1, col_blocks = 1;
  while (row_blocks * col_blocks < blocks) {
    const bool rows_fit = row_blocks * 2 <= most_rows, cols_fit = col_blocks * 2 <= most_cols;
    if (!rows_fit && !cols_fit) break;
    const bool rows_next = m / row_blocks >= n / col_blocks;
    (rows_fit && (rows_next || !cols_fit) ? row_blocks : col_blocks) *= 2;
  }
  auto size = [](int64_t total, int64_t count) {
    const int64_t tiles = (total + kTile - 1) / kTile;
    // Far below what an int counts, too.
    return std::min((tiles + count - 1) / count * kTile, int64_t{1} << 30);
  };
  Partition p;
  p.block_rows = size(m, row_blocks);
  p.block_cols = size(n, col_blocks);
  p.row_blocks = (m + p.block_rows - 1) / p.block_rows;
  p.col_blocks = (n + p.block_cols - 1) / p.block_cols;
  return p;
}

template <class T>
void gemm_part(const Partition& p, int64_t index, bool by_tiles, T alpha, MatrixView<const T> a,
               MatrixView<const T> b, T beta, const T* row_added, MatrixView<T> c) {
  constexpr int64_t kMostDepth = int64_t{1} << 30;
  const int64_t row = index / p.col_blocks * p.block_rows;
  const int64_t col = index % p.col_blocks * p.block_cols;
  const int64_t rows = std::min(p.block_rows, c.rows - row);
  const int64_t cols = std::min(p.block_cols, c.cols - col);
  for (int64_t depth = 0; depth < a.cols; depth += kMostDepth) {
    const int64_t depths = std::min(kMostDepth, a.cols - depth);
    const bool is_first = depth == 0;
    gemm_block(by_tiles, alpha, a.block(row, rows, depth, depths),
               b.block(depth, depths, col, cols), is_first ? beta : T(1),
               is_first && row_added != nullptr ? row_added + col : nullptr,
               c.block(row, rows, col, cols));
  }
}

std::string sizes(int64_t rows, int64_t cols) {
  return "[" + std::to_string(rows) + ", " + std::to_string(cols) + "]";
}

template <class T>
void check_sizes(const char* op, MatrixView<const T> a, MatrixView<const T> b, MatrixView<T> c) {
  if (a.cols == b.rows && a.rows == c.rows && b.cols == c.cols) return;
  throw ShapeError(std::string(op) + ": " + sizes(a.rows, a.cols) + " times " +
                   sizes(b.rows, b.cols) + " into " + sizes(c.rows, c.cols) +
                   " do not fit; pass [m, k], [k, n] and [m, n]");
}

// Leading dimensions of a block whose rows lie together, as BLAS wants C.
template <class T>
bool fits_output(MatrixView<T> c) {
  const bool together = c.cols <= 1 || c.col_stride == 1;
  return together && (c.rows <= 1 || (c.row_stride >= std::max<int64_t>(c.cols, 1) &&
                                      c.row_stride <= kLargestBlasInt));
}

// alpha A B + beta C; or, with beta 0 and a row-major C, + row, repeated.
template <class T>
void product(T alpha, MatrixView<const T> a, MatrixView<const T> b, T beta, const T* row,
             MatrixView<T> c) {
  const double work = work_of(c.rows, c.cols, a.cols);
  if (work <= kTinyWork) {
    if (row != nullptr) repeat_row(row, c);
    return gemm_dots<T>(alpha, a, b, row != nullptr ? T(1) : beta, c);
  }
  if (!fits_output(c)) {
    if (fits_output(c.transposed()))
      return product<T>(alpha, b.transposed(), a.transposed(), beta, nullptr, c.transposed());
    std::vector<T> memory(static_cast<size_t>(c.rows * c.cols));
    const MatrixView<T> dense = row_major(memory.data(), c.rows, c.cols);
    product<T>(alpha, a, b, T(0), nullptr, dense);
    for (int64_t i = 0; i < c.rows; ++i) {
      for (int64_t j = 0; j < c.cols; ++j)
        c(i, j) = dense(i, j) + (beta == T(0) ? T(0) : beta * c(i, j));
    }
    return;
  }
  if (row == nullptr && multiply_vector(alpha, a, b, beta, c)) return;
  const bool by_tiles = kTilesAreFast && work >= kLeastTileWork && work <= kMostTileWork &&
                        c.rows >= kTileSide && c.cols >= kTileSide && a.cols >= kTileSide;
  if (work < 2 * kBlockWork) return gemm_block(by_tiles, alpha, a, b, beta, row, c);
  const Partition p = partition(c.rows, c.cols, a.cols);
  parallel_chunks(p.count(),
                  [&](int64_t index) { gemm_part(p, index, by_tiles, alpha, a, b, beta, row, c); });
}

}  // namespace

template <class T>
void gemm(T alpha, ConstMatrix<T> a, ConstMatrix<T> b, std::type_identity_t<T> beta,
          OutMatrix<T> c) {
  check_sizes("gemm", a, b, c);
  if (c.rows == 0 || c.cols == 0) return;
  if (a.cols == 0) {
    scale(c, beta);
    return;
  }
  if constexpr (std::is_floating_point_v<T>) {
    product<T>(alpha, a, b, beta, nullptr, c);
  } else {
    gemm_loops<T>(alpha, a, b, beta, c);
  }
}

template <class T>
void gemm_plus_row(ConstMatrix<T> a, ConstMatrix<T> b, const T* row, OutMatrix<T> c) {
  check_sizes("gemm_plus_row", a, b, c);
  if (c.rows == 0 || c.cols == 0) return;
  if (a.cols == 0 || a.rows == 1 || c.cols == 1) {
    repeat_row(row, c);
    return gemm<T>(T(1), a, b, T(1), c);
  }
  product<T>(T(1), a, b, T(0), row, c);
}

template <class T>
void gemm_batched(T alpha, std::span<const MatrixView<const std::type_identity_t<T>>> a,
                  std::span<const MatrixView<const std::type_identity_t<T>>> b,
                  std::type_identity_t<T> beta,
                  std::span<const MatrixView<std::type_identity_t<T>>> c) {
  if (a.size() != c.size() || b.size() != c.size()) {
    throw ShapeError("gemm_batched: got " + std::to_string(a.size()) + " and " +
                     std::to_string(b.size()) + " operands for " + std::to_string(c.size()) +
                     " results; pass as many of each");
  }
  if (c.empty()) return;
  for (size_t i = 0; i < c.size(); ++i) {
    check_sizes<T>("gemm_batched", a[i], b[i], c[i]);
    if (c[i].rows != c[0].rows || c[i].cols != c[0].cols || a[i].cols != a[0].cols) {
      throw ShapeError("gemm_batched: product " + std::to_string(i) + " is " +
                       sizes(c[i].rows, c[i].cols) + " over " + std::to_string(a[i].cols) +
                       ", the first " + sizes(c[0].rows, c[0].cols) + " over " +
                       std::to_string(a[0].cols) + "; all must have one size");
    }
  }
  const int64_t count = static_cast<int64_t>(c.size());
  const double work = work_of(c[0].rows, c[0].cols, a[0].cols);
  // Large products are cut each for itself; of small ones several make a chunk.
  if (count == 1 || work >= 8 * kBlockWork) {
    for (size_t i = 0; i < c.size(); ++i) gemm<T>(alpha, a[i], b[i], beta, c[i]);
    return;
  }
  const int64_t together = static_cast<int64_t>(kBlockWork / (work + 1)) + 1;
  parallel_for(count, together, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const size_t at = static_cast<size_t>(i);
      gemm<T>(alpha, a[at], b[at], beta, c[at]);
    }
  });
}

template void gemm<float>(float, ConstMatrix<float>, ConstMatrix<float>, float, OutMatrix<float>);
template void gemm<double>(double, ConstMatrix<double>, ConstMatrix<double>, double,
                           OutMatrix<double>);
template void gemm_plus_row<float>(ConstMatrix<float>, ConstMatrix<float>, const float*,
                                   OutMatrix<float>);
template void gemm_plus_row<double>(ConstMatrix<double>, ConstMatrix<double>, const double*,
                                    OutMatrix<double>);
template void gemm<int64_t>(int64_t, ConstMatrix<int64_t>, ConstMatrix<int64_t>, int64_t,
                            OutMatrix<int64_t>);
template void gemm_batched<float>(float, std::span<const MatrixView<const float>>,
                                  std::span<const MatrixView<const float>>, float,
                                  std::span<const MatrixView<float>>);
template void gemm_batched<double>(double, std::span<const MatrixView<const double>>,
                                   std::span<const MatrixView<const double>>, double,
                                   std::span<const MatrixView<double>>);
template void gemm_batched<int64_t>(int64_t, std::span<const MatrixView<const int64_t>>,
                                    std::span<const MatrixView<const int64_t>>, int64_t,
                                    std::span<const MatrixView<int64_t>>);

std::string blas_kernels() { return blas::kernels(); }

std::string blas_config() { return blas::config(); }

}  // namespace retrace::kernels
