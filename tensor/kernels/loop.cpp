#include <retrace/tensor/kernels/loop.h>

#include <cstring>

namespace retrace::kernels {
namespace {

constexpr std::int64_t kBlock = 256;  // elements that pass through the buffers at a time

/// One operand of a loop: where it begins, its strides in elements, the bytes of an element.
struct Operand {
  std::byte* data;
  Strides strides;
  std::int64_t bytes;
};

template <std::size_t Bytes>
void copy_strided(std::byte* to, std::int64_t to_stride, const std::byte* from,
                  std::int64_t from_stride, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i)
    std::memcpy(to + i * to_stride * static_cast<std::int64_t>(Bytes),
                from + i * from_stride * static_cast<std::int64_t>(Bytes), Bytes);
}

/// n elements of 1, 4 or 8 bytes; strides count elements.
void copy_strided(std::int64_t bytes, std::byte* to, std::int64_t to_stride, const std::byte* from,
                  std::int64_t from_stride, std::int64_t n) {
  if (bytes == 4) return copy_strided<4>(to, to_stride, from, from_stride, n);
  if (bytes == 8) return copy_strided<8>(to, to_stride, from, from_stride, n);
  copy_strided<1>(to, to_stride, from, from_stride, n);
}

template <std::size_t N>
struct Rows {
  DenseRow row;
  const void* f;
  const std::array<Operand, N>& operands;
  const std::int64_t* strides;  // along the row
  bool dense = true;

  Rows(DenseRow r, const void* functor, const std::array<Operand, N>& o, const std::int64_t* along)
      : row(r), f(functor), operands(o), strides(along) {
    for (std::size_t k = 0; k < N; ++k) dense = dense && strides[k] == 1;
  }

  /// One row of n elements; the operands begin `offsets` elements into their memory.
  void run(std::int64_t n, const std::array<std::int64_t, N>& offsets) const {
    std::byte* at[N];
    for (std::size_t k = 0; k < N; ++k) at[k] = operands[k].data + offsets[k] * operands[k].bytes;
    if (dense) return row(f, n, at);

    alignas(64) std::byte buffers[N][kBlock * 8];
    for (std::size_t k = 1; k < N; ++k)  // what repeats is written once
      if (strides[k] == 0)
        copy_strided(operands[k].bytes, buffers[k], 1, at[k], 0, std::min(n, kBlock));
    for (std::int64_t begin = 0; begin < n; begin += kBlock) {
      const std::int64_t count = std::min(kBlock, n - begin);
      std::byte* block[N];
      for (std::size_t k = 0; k < N; ++k) {
        std::byte* const place = at[k] + begin * strides[k] * operands[k].bytes;
        block[k] = strides[k] == 1 ? place : buffers[k];
        if (k > 0 && strides[k] != 0 && strides[k] != 1)
          copy_strided(operands[k].bytes, buffers[k], 1, place, strides[k], count);
      }
      row(f, count, block);
      if (strides[0] != 1)
        copy_strided(operands[0].bytes, at[0] + begin * strides[0] * operands[0].bytes, strides[0],
                     buffers[0], 1, count);
    }
  }
};

template <std::size_t N>
void for_each_row(DenseRow row, const void* f, const Shape& sizes,
                  const std::array<Operand, N>& operands) {
  std::array<const Strides*, N> strides;
  for (std::size_t k = 0; k < N; ++k) strides[k] = &operands[k].strides;
  const Walk<N> walk(sizes, strides);
  const Rows<N> rows(row, f, operands, walk.strides[0]);
  const std::int64_t n = walk.sizes[0], count = walk.rows();
  if (count == 1) {
    parallel_for(n, kElementGrain, [&](std::int64_t begin, std::int64_t end) {
      std::array<std::int64_t, N> offsets;
      for (std::size_t k = 0; k < N; ++k) offsets[k] = begin * walk.strides[0][k];
      rows.run(end - begin, offsets);
    });
    return;
  }
  parallel_for(count, grain_of(n), [&](std::int64_t begin, std::int64_t end) {
    walk.for_rows(begin, end,
                  [&](const std::array<std::int64_t, N>& offsets) { rows.run(n, offsets); });
  });
}

template <std::size_t N>
void map_operands(DenseRow row, const void* f, const Tensor& out,
                  std::span<const Tensor* const> in) {
  const TensorData& o = out.get();
  std::array<Operand, N> operands = {Operand{o.data, o.strides, size_of(o.dtype)}};
  for (std::size_t k = 1; k < N; ++k) {
    const Tensor& x = *in[k - 1];
    operands[k] = {x.get().data, broadcast_strides(x, o.sizes), size_of(x.dtype())};
  }
  for_each_row(row, f, o.sizes, operands);
}

}  // namespace

void map_rows(DenseRow row, const void* f, const Tensor& out, std::span<const Tensor* const> in) {
  const TensorData& o = out.get();
  if (o.numel == 0) return;
  if (o.numel <= kElementGrain && o.contiguous &&
      std::all_of(in.begin(), in.end(), [&](const Tensor* x) {
        return x->get().contiguous && x->get().numel == o.numel;
      })) {
    std::byte* at[7] = {o.data};
    for (std::size_t k = 0; k < in.size(); ++k) at[k + 1] = in[k]->get().data;
    return row(f, o.numel, at);
  }
  constexpr decltype(&map_operands<1>) kOf[] = {map_operands<1>, map_operands<2>, map_operands<3>,
                                                map_operands<4>, map_operands<5>, map_operands<6>,
                                                map_operands<7>};
  kOf[in.size()](row, f, out, in);
}

}  // namespace retrace::kernels
