#pragma once

// For .cpp files: attention of one head, in blocks of queries.

#include <algorithm>
#include <cmath>

#include <retrace/tensor/creation.h>
#include <retrace/tensor/kernels/gemm.h>
#include <retrace/tensor/kernels/softmax.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>

namespace retrace::attention {

using kernels::MatrixView;

/// Queries that are computed together. Their scores lie key by key, so that all that is summed or
/// compared for a query is one lane of a vector.
inline constexpr std::int64_t kBlockRows = 32;
inline constexpr std::int64_t kLanes = 16;

/// The matrix in the last two dims of x at place `index` of the leading dims.
template <class T>
MatrixView<T> matrix(const Tensor& x, std::int64_t index) {
  const Shape& sizes = x.sizes();
  const Strides& strides = x.strides();
  const int rows = sizes.size() - 2;
  std::int64_t offset = 0;
  for (int d = rows - 1; d >= 0; --d) {
    offset += index % sizes[d] * strides[d];
    index /= sizes[d];
  }
  return {elements<T>(x) + offset, sizes[rows], sizes[rows + 1], strides[rows], strides[rows + 1]};
}

template <class T>
MatrixView<T> rows_of(MatrixView<T> x, std::int64_t first, std::int64_t count) {
  return {&x(first, 0), count, x.cols, x.row_stride, x.col_stride};
}

/// Which weights are dropped: number k of the generator's is compared with a threshold, so that
/// backward can ask again.
struct Dropout {
  std::uint64_t seed = 0, first = 0;
  std::uint64_t threshold = 0;  ///< numbers below are dropped; 0: none
  double factor = 1;            ///< of those that are kept
};

/// What all heads have in common.
struct Attention {
  std::int64_t heads, queries, keys;
  double scale;
  bool causal;
  Dropout dropout = {};

  /// Keys that query t may look at, but for the mask.
  std::int64_t visible(std::int64_t t) const {
    return causal ? std::clamp<std::int64_t>(t + 1 + keys - queries, 0, keys) : keys;
  }
  /// Whether query t sees a key.
  bool sees(std::int64_t t, const MatrixView<const bool>* mask) const {
    std::int64_t key = 0;
    while (mask != nullptr && key < visible(t) && !(*mask)(t, key)) ++key;
    return key < visible(t);
  }
  std::int64_t blocks() const { return (queries + kBlockRows - 1) / kBlockRows; }
  /// Calls f(head) on all threads.
  template <class F>
  void for_each_head(std::int64_t width, F&& f) const {
    if (heads == 0) return;                  // of however many queries and keys
    constexpr std::int64_t kWork = 1 << 19;  // multiplications worth a thread
    parallel_for(heads, kernels::items_in(kWork, queries, keys, width),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t head = begin; head < end; ++head) f(head);
                 });
  }
};

/// A block of queries [first, first + count), and the keys that at least one of them sees. Scores
/// are [keys, width], a column for each query, and whole lanes.
struct Block {
  std::int64_t first, count, keys, width;
  Block(const Attention& a, std::int64_t index)
      : first(index * kBlockRows),
        count(std::min(kBlockRows, a.queries - first)),
        keys(a.visible(first + count - 1)),
        width((count + kLanes - 1) / kLanes * kLanes) {}

  template <class T>
  MatrixView<T> matrix(T* scores) const {
    return {scores, keys, count, width, 1};
  }
};

/// Memory for one block. A tensor, because the pool keeps it from step to step.
template <class T>
struct Buffers {
  Buffers(const Attention& a, std::int64_t width)
      : memory(empty({(2 * a.keys + width) * kBlockRows}, dtype_of<T>)),
        s(elements<T>(memory)),
        dp(s + a.keys * kBlockRows),
        turned(dp + a.keys * kBlockRows) {}
  Tensor memory;
  T *s, *dp, *turned;
};

// to = scale · k qᵀ of a block. With q turned first it is the kind of product that BLAS does best.
template <class T>
void multiply_block(const Block& block, T scale, MatrixView<const T> k, MatrixView<const T> q,
                    T* turned, T* to) {
  for (std::int64_t c = 0; c < q.cols; ++c) {
    for (std::int64_t r = 0; r < block.count; ++r)
      turned[c * block.width + r] = q(block.first + r, c);
  }
  if (block.count < block.width) std::fill_n(to, block.keys * block.width, T(0));
  kernels::gemm<T>(scale, rows_of(k, 0, block.keys),
                   MatrixView<const T>{turned, q.cols, block.count, block.width, 1}, T(0),
                   block.matrix(to));
}

// -infinity where a query may not look.
template <class T>
void hide(const Attention& a, const Block& block, const MatrixView<const bool>* mask, T* s) {
  constexpr T kNever = -std::numeric_limits<T>::infinity();
  const std::int64_t from =
      a.causal ? std::max<std::int64_t>(block.first + a.keys - a.queries, 0) : block.keys;
  for (std::int64_t key = from; key < block.keys; ++key) {
    const std::int64_t before = key - (a.keys - a.queries) - block.first;  // queries before the key
    std::fill_n(s + key * block.width, std::clamp<std::int64_t>(before, 0, block.count), kNever);
  }
  for (std::int64_t key = 0; mask != nullptr && key < block.keys; ++key) {
    T* const row = s + key * block.width;
    for (std::int64_t i = 0; i < block.count; ++i)
      row[i] = (*mask)(block.first + i, key) ? row[i] : kNever;
  }
}

/// For each query of a block.
template <class T>
struct PerQuery {
  T largest[kBlockRows], sum[kBlockRows];
};

// s = exp(s - largest), 0 for a query that sees nothing; and the sums of that.
template <class T>
[[gnu::noinline]] void exponentiate(const Block& block, T* s, PerQuery<T>& q) {
  constexpr std::int64_t kSumKeys = 64;  // keys that are summed in T, the blocks in double
  constexpr T kNever = -std::numeric_limits<T>::infinity();
  for (std::int64_t lane = 0; lane < block.width; lane += kLanes) {
    T largest[kLanes], sum[kLanes];
    std::fill_n(largest, kLanes, kNever);
    for (std::int64_t key = 0; key < block.keys; ++key) {
      const T* const row = s + key * block.width + lane;
#pragma omp simd
      for (std::int64_t l = 0; l < kLanes; ++l) largest[l] = math::max(largest[l], row[l]);
    }
    for (T& l : largest) l = l == kNever ? T(0) : l;
    double total[kLanes] = {};
    for (std::int64_t first = 0; first < block.keys; first += kSumKeys) {
      std::fill_n(sum, kLanes, T(0));
      const std::int64_t end = std::min(first + kSumKeys, block.keys);
      for (std::int64_t key = first; key < end; ++key) {
        T* const row = s + key * block.width + lane;
#pragma omp simd
        for (std::int64_t l = 0; l < kLanes; ++l) {
          const T e = math::exp(row[l] - largest[l]);
          row[l] = e;
          sum[l] += e;
        }
      }
      for (std::int64_t l = 0; l < kLanes; ++l) total[l] += static_cast<double>(sum[l]);
    }
    std::copy_n(largest, kLanes, q.largest + lane);
    std::transform(total, total + kLanes, q.sum + lane, [](double t) { return static_cast<T>(t); });
  }
}

/// What forward keeps of a query: P = exp(score - largest) · factor. The two apart, for with large
/// scores the logarithm of the sum, rounded, would tell nothing of P.
template <class T>
struct QueryFacts {
  T largest, factor;
};

// From scores p and dP: p = exp(p - largest) · factor, dS = p · (dP - mean).
template <class T>
[[gnu::noinline]] void differentiate(const Block& block, T* p, T* dp, const T* largest,
                                     const T* factor, const T* mean) {
  for (std::int64_t key = 0; key < block.keys; ++key, p += block.width, dp += block.width) {
#pragma omp simd
    for (std::int64_t i = 0; i < block.width; ++i) {
      const T probability = math::exp(p[i] - largest[i]) * factor[i];
      p[i] = probability;
      dp[i] = probability * (dp[i] - mean[i]);
    }
  }
}

/// Calls f(k, whether it is kept) for the first `keys` weights of row head · queries + query: it
/// takes the numbers of its own row of [heads, queries, keys], four to a block of the generator.
template <class F>
void for_each_draw(const Attention& a, std::int64_t row, std::int64_t keys, F f) {
  constexpr std::int64_t kPerBlock = 4, kAtOnce = 64;
  const Dropout& dropout = a.dropout;
  const std::int64_t blocks_of_row = (a.keys + kPerBlock - 1) / kPerBlock;
  std::uint32_t numbers[kAtOnce * kPerBlock];
  for (std::int64_t first = 0; first < keys; first += kAtOnce * kPerBlock) {
    const std::int64_t count = std::min(kAtOnce * kPerBlock, keys - first);
    Generator::fill_blocks(
        dropout.seed,
        dropout.first + static_cast<std::uint64_t>(row * blocks_of_row + first / kPerBlock),
        (count + kPerBlock - 1) / kPerBlock, numbers);
    for (std::int64_t k = 0; k < count; ++k) f(first + k, numbers[k] >= dropout.threshold);
  }
}

// Sets the dropped weights of a block to 0 and scales the others.
template <class T>
void drop(const Attention& a, const Block& block, std::int64_t head, T* p) {
  if (a.dropout.threshold == 0) return;
  const T factor = static_cast<T>(a.dropout.factor);
  for (std::int64_t i = 0; i < block.count; ++i) {
    for_each_draw(a, head * a.queries + block.first + i, block.keys,
                  [&](std::int64_t k, bool kept) {
                    T& weight = p[k * block.width + i];
                    weight = kept ? weight * factor : T(0);
                  });
  }
}
template <class T>
[[gnu::noinline]] void scale_row(T* x, std::int64_t n, T factor) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) x[i] *= factor;
}

// y of one head, and the facts of each query. One that sees nothing has P = 0; one whose scores are
// all -infinity of themselves has P = NaN, as softmax says.
template <class T>
void forward(const Attention& a, std::int64_t head, MatrixView<const T> q, MatrixView<const T> k,
             MatrixView<const T> v, const MatrixView<const bool>* mask, const Buffers<T>& buffers,
             MatrixView<T> y, QueryFacts<T>* facts) {
  for (std::int64_t index = 0; index < a.blocks(); ++index) {
    const Block block(a, index);
    multiply_block(block, static_cast<T>(a.scale), k, q, buffers.turned, buffers.s);
    hide(a, block, mask, buffers.s);
    PerQuery<T> per_query;
    exponentiate(block, buffers.s, per_query);
    drop(a, block, head, buffers.s);
    const MatrixView<T> out = rows_of(y, block.first, block.count);
    kernels::gemm<T>(T(1), block.matrix<const T>(buffers.s).transposed(), rows_of(v, 0, block.keys),
                     T(0), out);
    for (std::int64_t i = 0; i < block.count; ++i) {
      const std::int64_t t = block.first + i;
      T factor = T(1) / per_query.sum[i];
      if (per_query.sum[i] == T(0))
        factor = a.sees(t, mask) ? std::numeric_limits<T>::quiet_NaN() : T(0);
      scale_row(&out(i, 0), out.cols, factor);
      facts[t] = {per_query.largest[i], factor};
    }
  }
}

template <class T>
struct Gradient {
  MatrixView<T> q, k, v;
};

// The last block first: it sees every key, so that its products set what the others add to.
// y and g have dense rows.
template <class T>
void backward(const Attention& a, std::int64_t head, MatrixView<const T> q, MatrixView<const T> k,
              MatrixView<const T> v, const MatrixView<const bool>* mask, MatrixView<const T> y,
              MatrixView<const T> g, const QueryFacts<T>* facts, const Buffers<T>& buffers,
              const Gradient<T>& d) {
  for (std::int64_t index = a.blocks() - 1; index >= 0; --index) {
    const Block block(a, index);
    const T beta = index == a.blocks() - 1 ? T(0) : T(1), scale = static_cast<T>(a.scale);
    multiply_block(block, scale, k, q, buffers.turned, buffers.s);
    hide(a, block, mask, buffers.s);
    multiply_block(block, T(1), v, g, buffers.turned, buffers.dp);
    T largest[kBlockRows] = {}, factor[kBlockRows] = {}, mean[kBlockRows] = {};
    for (std::int64_t i = 0; i < block.count; ++i) {
      const std::int64_t t = block.first + i;
      largest[i] = facts[t].largest;
      factor[i] = facts[t].factor;
      // Σ P · dP is Σ y · g.
      mean[i] = static_cast<T>(kernels::dot_run(&y(t, 0), &g(t, 0), y.cols));
    }
    drop(a, block, head, buffers.dp);
    differentiate(block, buffers.s, buffers.dp, largest, factor, mean);
    drop(a, block, head, buffers.s);
    const MatrixView<const T> p = block.matrix<const T>(buffers.s);
    const MatrixView<const T> ds = block.matrix<const T>(buffers.dp);
    kernels::gemm<T>(T(1), p, rows_of(g, block.first, block.count), beta,
                     rows_of(d.v, 0, block.keys));
    kernels::gemm<T>(scale, ds.transposed(), rows_of(k, 0, block.keys), T(0),
                     rows_of(d.q, block.first, block.count));
    kernels::gemm<T>(scale, ds, rows_of(q, block.first, block.count), beta,
                     rows_of(d.k, 0, block.keys));
  }
}

}  // namespace retrace::attention
