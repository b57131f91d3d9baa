#pragma once

// For .cpp files: checks of index tensors.

#include <retrace/tensor/check.h>
#include <retrace/tensor/tensor.h>

namespace retrace {

/// DTypeError unless `index` is int64.
void require_int64_index(std::string_view op, const Tensor& index);

/// The first index outside [low, high) in row-major order, if any: its number.
std::optional<std::int64_t> first_outside(const Tensor& index, std::int64_t low, std::int64_t high);

/// IndexError unless all indices along `dim` of a tensor of shape `of` lie in [low, size).
void require_indices(std::string_view op, const Tensor& index, const Shape& of, int dim,
                     std::int64_t low = 0);

/// Coordinates of element number i in row-major order.
Shape position_of(std::int64_t i, const Shape& sizes);

}  // namespace retrace
