#pragma once

// The one elementwise loop: every op that computes an element from elements runs here.

#include <array>
#include <span>

#include <retrace/tensor/parallel.h>
#include <retrace/tensor/view.h>

namespace retrace::kernels {

/// Below this many elements a second thread costs more than it saves.
inline constexpr std::int64_t kElementGrain = 32768;
/// How many items of a · b · ... each make so much work; at least one.
template <class... Factors>
constexpr std::int64_t items_in(std::int64_t work, Factors... factors) {
  ((work /= std::max<std::int64_t>(factors, 1)), ...);
  return work + 1;
}
/// How many rows of a · b · ... elements are worth a thread.
template <class... Factors>
constexpr std::int64_t grain_of(Factors... factors) {
  return items_in(kElementGrain, factors...);
}

/// A bool in memory is read and written as a byte: loops over bool itself are not vectorised.
template <class T>
using InMemory = std::conditional_t<std::is_same_v<T, bool>, unsigned char, T>;
template <class T>
T element(const T* x, std::int64_t i) {
  return static_cast<T>(reinterpret_cast<const InMemory<T>*>(x)[i]);
}

/// out[i] = f(in[i]...) over contiguous memory. A plain function of its own, so that the compiler
/// vectorises it (inside a parallel region it does not), and only once for all who call it.
/// Operands may be the same memory, but not overlap.
template <class F, class Out, class... In>
[[gnu::noinline]] void dense_row(F f, std::int64_t n, Out* out, const In*... in) {
  auto* to = reinterpret_cast<InMemory<Out>*>(out);
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    to[i] = static_cast<InMemory<Out>>(static_cast<Out>(f(element(in, i)...)));
}

/// Sizes and strides of N operands walked together: dims of size 1 dropped, neighbours merged where
/// every operand allows it. Dim 0 is the innermost.
template <std::size_t N>
struct Walk {
  int rank = 0;
  std::int64_t sizes[kMaxDims] = {};
  std::int64_t strides[kMaxDims][N] = {};

  Walk(const Shape& shape, const std::array<const Strides*, N>& of) {
    for (int d = shape.size() - 1; d >= 0; --d) {
      if (shape[d] == 1) continue;
      bool merges = rank > 0;
      for (std::size_t k = 0; merges && k < N; ++k)
        merges = (*of[k])[d] == strides[rank - 1][k] * sizes[rank - 1];
      if (merges) {
        sizes[rank - 1] *= shape[d];
        continue;
      }
      sizes[rank] = shape[d];
      for (std::size_t k = 0; k < N; ++k) strides[rank][k] = (*of[k])[d];
      ++rank;
    }
    if (rank == 0) {
      sizes[rank++] = 1;
      for (std::size_t k = 0; k < N; ++k) strides[0][k] = 1;
    }
  }

  std::int64_t rows() const {
    std::int64_t rows = 1;
    for (int d = 1; d < rank; ++d) rows *= sizes[d];
    return rows;
  }

  /// Calls f(offsets) with every operand's offset at the start of rows [begin, end).
  template <class F>
  void for_rows(std::int64_t begin, std::int64_t end, F&& f) const {
    std::int64_t at[kMaxDims] = {};
    std::array<std::int64_t, N> offsets = {};
    for (std::int64_t d = 1, rest = begin; d < rank; ++d) {
      at[d] = rest % sizes[d];
      rest /= sizes[d];
      for (std::size_t k = 0; k < N; ++k) offsets[k] += at[d] * strides[d][k];
    }
    for (std::int64_t r = begin; r < end; ++r) {
      f(offsets);
      for (int d = 1; d < rank; ++d) {
        for (std::size_t k = 0; k < N; ++k) offsets[k] += strides[d][k];
        if (++at[d] < sizes[d]) break;
        for (std::size_t k = 0; k < N; ++k) offsets[k] -= at[d] * strides[d][k];
        at[d] = 0;
      }
    }
  }
};

/// dense_row of some functor and element types; operands[0] is the output.
using DenseRow = void (*)(const void* f, std::int64_t n, std::byte* const* operands);

template <class F, class Out, class... In>
void dense_row_of(const void* f, std::int64_t n, std::byte* const* operands) {
  [&]<std::size_t... K>(std::index_sequence<K...>) {
    dense_row(*static_cast<const F*>(f), n, reinterpret_cast<Out*>(operands[0]),
              reinterpret_cast<const In*>(operands[K + 1])...);
  }
  (std::index_sequence_for<In...>());
}

/// Runs `row` over the elements of out and of inputs that broadcast to it, on all threads. Written
/// for bytes, so that it is compiled once and not for every op: what does not lie dense is copied
/// through a small buffer, and every op has one vectorised loop. Up to six inputs.
void map_rows(DenseRow row, const void* f, const Tensor& out, std::span<const Tensor* const> in);

/// out = f(in...), element by element; every input broadcasts to the sizes of out. Elements are
/// read as Out and In, which the caller has checked.
template <class Out, class... In, class F, class... Tensors>
void map(const F& f, const Tensor& out, const Tensors&... in) {
  static_assert(sizeof...(In) == sizeof...(Tensors));
  const TensorData& o = out.get();
  if (o.numel <= kElementGrain && o.contiguous &&
      (... && (in.get().contiguous && in.get().numel == o.numel)))
    return dense_row(f, o.numel, elements<Out>(out), elements<In>(in)...);
  const std::array<const Tensor*, sizeof...(In)> inputs = {&in...};
  map_rows(dense_row_of<F, Out, In...>, &f, out, inputs);
}

}  // namespace retrace::kernels
