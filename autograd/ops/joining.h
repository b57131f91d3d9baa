#pragma once

// Joining tensors, and repeating one. The gradient takes the result apart again, or sums the
// repeats. Errors: ShapeError, DTypeError and IndexError as noted, ValueError for an empty list.
//
// Source: joining is linear, so its gradient is its transpose.

#include <string_view>
#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace {

/// The tensors one after the other along `dim`. All sizes but that one must be equal (ShapeError),
/// and the dtypes (DTypeError). Tensors of shape [0] are left out.
Tensor cat(const std::vector<Tensor>& tensors, std::int64_t dim = 0);

/// The tensors side by side along a new dim, in [-rank - 1, rank]. Their shapes must be equal.
Tensor stack(const std::vector<Tensor>& tensors, std::int64_t dim = 0);

/// x laid out repeats[d] times along each dim d; further repeats are new dims in front. ShapeError
/// for fewer repeats than dims, ValueError for a negative one.
Tensor repeat(const Tensor& x, const Shape& repeats);
/// As repeat; missing repeats count as 1.
Tensor tile(const Tensor& x, const Shape& repeats);

/// Each element along `dim` `repeats` times in a row, or the k-th one repeats[k] times. Without a
/// dim: of all elements in row-major order.
Tensor repeat_interleave(const Tensor& x, std::int64_t repeats, std::int64_t dim);
Tensor repeat_interleave(const Tensor& x, std::int64_t repeats);
Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, std::int64_t dim);

/// One grid [n_0, n_1, ...] for each list of n_k numbers: grid k varies along dim k ("ij"), or with
/// the first two dims exchanged ("xy"). Views. ShapeError unless all are lists or 0-d.
std::vector<Tensor> meshgrid(const std::vector<Tensor>& tensors, std::string_view order = "ij");

}  // namespace retrace
