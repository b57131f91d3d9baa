#pragma once

// The one reduction loop. A reducer is a struct with
//   Acc  initial()            the value of an empty reduction
//   Acc  step(Acc, T x)       takes one more element in
//   Acc  combine(Acc, Acc)    joins two partial results
//   Out  finish(Acc)
// Work is cut by shape alone and partial results are joined in order, so any number of threads
// gives the same bits. Sums of float32 use Acc = double.

#include <retrace/tensor/creation.h>
#include <retrace/tensor/kernels/loop.h>

namespace retrace::kernels {

inline constexpr std::int64_t kReduceChunk = 32768;  // elements that one task reduces
inline constexpr std::int64_t kColumnBlock = 64;     // columns that are accumulated side by side

/// Σ of N lanes, a power of two: halves are added to halves. Unrolled, for rows are often short.
template <int N, class T>
T sum_lanes(const T* lanes) {
  if constexpr (N == 1) {
    return lanes[0];
  } else {
    T halves[N / 2];
#pragma omp simd
    for (int l = 0; l < N / 2; ++l) halves[l] = lanes[l] + lanes[l + N / 2];
    return sum_lanes<N / 2>(halves);
  }
}

/// Dense run of n elements. Sixteen accumulators, so that the loop is vectorised without changing
/// the order in which numbers are added from one build to the next.
template <class Reducer, class T>
auto reduce_run(const Reducer& r, const T* x, std::int64_t n) {
  constexpr std::int64_t kLanes = 16;
  using Acc = decltype(r.initial());
  if (n < 2 * kLanes) {
    Acc acc = r.initial();
    for (std::int64_t i = 0; i < n; ++i) acc = r.step(acc, x[i]);
    return acc;
  }
  Acc lanes[kLanes];
  for (int l = 0; l < kLanes; ++l) lanes[l] = r.initial();
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
    for (int l = 0; l < kLanes; ++l) lanes[l] = r.step(lanes[l], x[i + l]);
  }
  for (int l = 0; i < n; ++i, ++l) lanes[l] = r.step(lanes[l], x[i]);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) lanes[l] = r.combine(lanes[l], lanes[l + width]);
  return lanes[0];
}

/// out[row] = reduction of x[row, 0 .. n).
template <class Reducer, class T, class Out>
void reduce_rows(const Reducer& r, const T* x, std::int64_t rows, std::int64_t n, Out* out) {
  const std::int64_t chunks = n / kReduceChunk + (n % kReduceChunk != 0);
  if (chunks <= 1) {
    parallel_for(rows, kReduceChunk / (n + 1) + 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row)
        out[row] = r.finish(reduce_run(r, x + row * n, n));
    });
    return;
  }
  using Acc = decltype(r.initial());
  std::vector<Acc> partial(static_cast<std::size_t>(rows * chunks));
  parallel_chunks(rows * chunks, [&](std::int64_t task) {
    const std::int64_t begin = task % chunks * kReduceChunk;
    partial[static_cast<std::size_t>(task)] =
        reduce_run(r, x + task / chunks * n + begin, std::min(kReduceChunk, n - begin));
  });
  for (std::int64_t row = 0; row < rows; ++row) {
    Acc acc = partial[static_cast<std::size_t>(row * chunks)];
    for (std::int64_t c = 1; c < chunks; ++c)
      acc = r.combine(acc, partial[static_cast<std::size_t>(row * chunks + c)]);
    out[row] = r.finish(acc);
  }
}

/// acc[0 .. columns) over rows of x that lie `stride` apart.
template <class Reducer, class T, class Acc>
void reduce_block(const Reducer& r, const T* x, std::int64_t rows, std::int64_t stride,
                  std::int64_t columns, Acc* acc) {
  for (std::int64_t c = 0; c < columns; ++c) acc[c] = r.initial();
  for (std::int64_t row = 0; row < rows; ++row, x += stride) {
#pragma omp simd
    for (std::int64_t c = 0; c < columns; ++c) acc[c] = r.step(acc[c], x[c]);
  }
}

/// out[outer, column] = reduction over the middle dim of x[outer, rows, columns].
template <class Reducer, class T, class Out>
void reduce_columns(const Reducer& r, const T* x, std::int64_t outer, std::int64_t rows,
                    std::int64_t columns, Out* out) {
  if (outer == 0 || columns == 0) return;  // beside which another size may be the largest there is
  using Acc = decltype(r.initial());
  const std::int64_t blocks = (columns + kColumnBlock - 1) / kColumnBlock;
  const std::int64_t run = std::max<std::int64_t>(kReduceChunk / kColumnBlock, 1);
  const std::int64_t runs = std::max<std::int64_t>((rows + run - 1) / run, 1);
  const auto task = [&](std::int64_t block) {
    const std::int64_t o = block / blocks, first = block % blocks * kColumnBlock;
    const std::int64_t width = std::min(kColumnBlock, columns - first);
    const T* base = x + o * rows * columns + first;
    Acc acc[kColumnBlock], more[kColumnBlock];
    reduce_block(r, base, std::min(run, rows), columns, width, acc);
    for (std::int64_t k = 1; k < runs; ++k) {
      reduce_block(r, base + k * run * columns, std::min(run, rows - k * run), columns, width,
                   more);
      for (std::int64_t c = 0; c < width; ++c) acc[c] = r.combine(acc[c], more[c]);
    }
    for (std::int64_t c = 0; c < width; ++c) out[o * columns + first + c] = r.finish(acc[c]);
  };
  if (outer * rows * columns <= kReduceChunk) {
    for (std::int64_t block = 0; block < outer * blocks; ++block) task(block);
  } else {
    parallel_chunks(outer * blocks, task);
  }
}

/// x with its `reduced` dims moved behind the others and row-major: [kept..., reduced...].
Tensor reduced_last(const Tensor& x, const bool* reduced);

/// out (row-major, its sizes those of the kept dims) = reduction of x over the marked dims.
template <class T, class Out, class Reducer>
void reduce(const Reducer& r, const Tensor& out, const Tensor& x, const bool* reduced) {
  std::int64_t before = 1, count = 1, after = 1;
  bool adjacent = x.is_contiguous();
  for (int d = 0, last = -1; d < x.dim(); ++d) {
    const std::int64_t size = x.sizes()[d];
    if (reduced[d]) {
      adjacent = adjacent && (last < 0 || after == 1);
      last = d;
      count *= size;
    } else if (last < 0) {
      before *= size;
    } else {
      after *= size;
    }
  }
  if (adjacent && after > 1)
    return reduce_columns(r, elements<T>(x), before, count, after, elements<Out>(out));
  const Tensor rows = adjacent ? x : reduced_last(x, reduced);
  reduce_rows(r, elements<T>(rows), out.numel(), count, elements<Out>(out));
}

}  // namespace retrace::kernels
