#pragma once

// Reading and writing elements at places that an int64 tensor names. Element i of the walk over
// `index` lies at x + i · strides + step · index[i]; the caller has checked the indices.

#include <cstring>
#include <vector>

#include <retrace/tensor/kernels/loop.h>
#include <retrace/tensor/kernels/math.h>

namespace retrace::kernels {

template <class T>
void copy_row(std::int64_t n, T* to, std::int64_t to_stride, const T* from,
              std::int64_t from_stride) {
  if (to_stride == 1 && from_stride == 1) {
    std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
  } else {
    for (std::int64_t i = 0; i < n; ++i) to[i * to_stride] = from[i * from_stride];
  }
}

/// out[i] = x[i · strides + step · index[i]]; `index` broadcasts to the sizes of out.
template <class T>
void take(const Tensor& out, const Tensor& x, const Strides& strides, const Tensor& index,
          std::int64_t step) {
  if (out.numel() == 0) return;
  const Strides index_strides = broadcast_strides(index, out.sizes());
  const Walk<3> walk(out.sizes(), {&out.strides(), &strides, &index_strides});
  const std::int64_t* s = walk.strides[0];
  const auto row = [&](std::int64_t n, T* to, const T* from, const std::int64_t* places) {
    if (s[2] == 0) return copy_row(n, to, s[0], from + step * *places, s[1]);
    for (std::int64_t i = 0; i < n; ++i) to[i * s[0]] = from[i * s[1] + step * places[i * s[2]]];
  };
  const std::int64_t n = walk.sizes[0], rows = walk.rows();
  if (rows == 1) {
    parallel_for(n, kElementGrain, [&](std::int64_t begin, std::int64_t end) {
      row(end - begin, elements<T>(out) + begin * s[0], elements<T>(x) + begin * s[1],
          elements<std::int64_t>(index) + begin * s[2]);
    });
    return;
  }
  parallel_for(rows, grain_of(n), [&](std::int64_t begin, std::int64_t end) {
    walk.for_rows(begin, end, [&](const auto& offsets) {
      row(n, elements<T>(out) + offsets[0], elements<T>(x) + offsets[1],
          elements<std::int64_t>(index) + offsets[2]);
    });
  });
}

/// x[i · strides + step · index[i]] = f(what is there, values[i]), in row-major order: the last of
/// several values for one place is the last that f gets. One thread.
template <class T, class F>
void put(F f, const Tensor& x, const Strides& strides, const Tensor& index, std::int64_t step,
         const Tensor& values, const Shape& sizes) {
  if (sizes.numel() == 0) return;
  const Strides index_strides = broadcast_strides(index, sizes);
  const Strides value_strides = broadcast_strides(values, sizes);
  const Walk<3> walk(sizes, {&strides, &value_strides, &index_strides});
  const std::int64_t* s = walk.strides[0];
  walk.for_rows(0, walk.rows(), [&](const auto& offsets) {
    T* to = elements<T>(x) + offsets[0];
    const T* from = elements<T>(values) + offsets[1];
    const auto* places = elements<std::int64_t>(index) + offsets[2];
    for (std::int64_t i = 0; i < walk.sizes[0]; ++i) {
      T& place = to[i * s[0] + step * places[i * s[2]]];
      place = f(place, from[i * s[1]]);
    }
  });
}

/// Positions of an index list grouped by the row that they name: those of row r are
/// order[first[r]] .. order[first[r + 1] - 1], ascending.
struct Groups {
  std::vector<std::int64_t> first, order;
  Groups(const std::int64_t* index, std::int64_t count, std::int64_t rows);
};

/// out[o, index[k], :] += alpha · source[o, k, :] for every k, for out [outer, rows, inner] and
/// source [outer, count, inner], both row-major. Row `skipped` is left alone. A row is summed in
/// the order of k, floats in double, by one thread: the result does not depend on their number.
template <class T>
void add_rows(T* out, const T* source, const Groups& groups, std::int64_t outer, std::int64_t inner,
              Scalar alpha = 1, std::int64_t skipped = -1) {
  using Acc = std::conditional_t<std::is_floating_point_v<T>, double, T>;
  const auto rows = static_cast<std::int64_t>(groups.first.size()) - 1;
  const auto count = static_cast<std::int64_t>(groups.order.size());
  const Acc factor = alpha.as<Acc>();
  const auto add_row = [&](std::int64_t o, std::int64_t r) {
    const std::int64_t* begin = groups.order.data() + groups.first[static_cast<std::size_t>(r)];
    const std::int64_t* end = groups.order.data() + groups.first[static_cast<std::size_t>(r) + 1];
    if (begin == end || r == skipped) return;
    constexpr std::int64_t kBlock = 64;
    for (std::int64_t c = 0; c < inner; c += kBlock) {
      const std::int64_t width = std::min(kBlock, inner - c);
      Acc acc[kBlock] = {};
      for (const std::int64_t* k = begin; k != end; ++k) {
        const T* from = source + (o * count + *k) * inner + c;
#pragma omp simd
        for (std::int64_t i = 0; i < width; ++i)
          acc[i] = math::plus(acc[i], static_cast<Acc>(from[i]));
      }
      T* to = out + (o * rows + r) * inner + c;
#pragma omp simd
      for (std::int64_t i = 0; i < width; ++i)
        to[i] = static_cast<T>(math::plus(static_cast<Acc>(to[i]), math::times(factor, acc[i])));
    }
  };
  // Some rows are named far more often than others: small chunks, taken as threads get free.
  const std::int64_t units = outer * rows, work = outer * (rows + count * inner);
  const std::int64_t chunks = std::min(units, work / kElementGrain + 1);
  parallel_chunks(chunks, [&](std::int64_t chunk) {
    for (std::int64_t u = chunk * units / chunks; u < (chunk + 1) * units / chunks; ++u)
      add_row(u / rows, u % rows);
  });
}

}  // namespace retrace::kernels
