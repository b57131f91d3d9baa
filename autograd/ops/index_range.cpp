#include <retrace/autograd/ops/index_range.h>
#include <retrace/tensor/view.h>

namespace retrace {

void require_int64_index(std::string_view op, const Tensor& index) {
  require<DTypeError>(index.dtype() == kInt64,
                      "{}: indices must be int64, got {} of shape {}; convert with .to(kInt64)", op,
                      index.dtype(), index.sizes());
}

std::optional<std::int64_t> first_outside(const Tensor& index, std::int64_t low,
                                          std::int64_t high) {
  const Tensor dense = as_contiguous(index);
  const auto* values = elements<std::int64_t>(dense);
  const std::int64_t n = index.numel();
  bool outside = false;
  for (std::int64_t i = 0; i < n; ++i) outside |= values[i] < low || values[i] >= high;
  if (!outside) return {};
  return std::find_if(values, values + n, [=](auto v) { return v < low || v >= high; }) - values;
}

void require_indices(std::string_view op, const Tensor& index, const Shape& of, int dim,
                     std::int64_t low) {
  const std::int64_t size = of.empty() ? 1 : of[dim];
  const auto at = first_outside(index, low, size);
  if (!at) return;
  fail<IndexError>(
      "{}: index {} at {} is out of range for dim {} of shape {}; give indices in [{}, {})", op,
      index.reshape({index.numel()}).select(0, *at).item<std::int64_t>(),
      position_of(*at, index.sizes()), dim, of, low, size);
}

Shape position_of(std::int64_t i, const Shape& sizes) {
  Shape position = sizes;
  for (int d = sizes.size() - 1; d >= 0; --d) {
    position[d] = i % sizes[d];
    i /= sizes[d];
  }
  return position;
}

}  // namespace retrace
