#pragma once

// Elements chosen by indices or by a mask. Indices are int64 and lie in [0, size): a negative or
// too large one is an IndexError that says where it stands; only Tensor::index takes negative ones.
// Sums into one element are made in order, floats in double, whatever the number of threads.
//
// Source: choosing is linear, so its gradient is its transpose: adding back to where it was taken.

#include <optional>

#include <retrace/tensor/index.h>
#include <retrace/tensor/tensor.h>

namespace retrace {

/// y[.., k, ..] = x[.., index[k], ..] along `dim`, for a list of indices or one (0-d: size 1).
/// dx = g added where the elements came from.
Tensor index_select(const Tensor& x, std::int64_t dim, const Tensor& index);

/// y[i] = x[i with index[i] along dim]; sizes of index, which may not exceed those of x in the
/// other dims (ShapeError).  dx = g added where the elements came from.
Tensor gather(const Tensor& x, std::int64_t dim, const Tensor& index);

/// As gather, after x and index are broadcast against each other in the other dims.
Tensor take_along_dim(const Tensor& x, const Tensor& index, std::int64_t dim);

/// x with src[i] added at index[i] along `dim`: y[i with index[i] along dim] += src[i]. The sizes
/// of index may not exceed those of src, nor in the other dims those of x (ShapeError); what of src
/// lies beyond is left out.  dx = g, dsrc = gather(g).
Tensor scatter_add(const Tensor& x, std::int64_t dim, const Tensor& index, const Tensor& src);

/// As scatter_add, but elements are replaced; of several for one place the last in row-major order
/// stays.  dx = g where nothing was replaced, dsrc = gather(g) for those that stayed.
Tensor scatter(const Tensor& x, std::int64_t dim, const Tensor& index, const Tensor& src);
Tensor scatter(const Tensor& x, std::int64_t dim, const Tensor& index, Scalar value);

/// x with alpha · source[.., k, ..] added at [.., index[k], ..]. source has the sizes of x, but
/// that of index along `dim` (ShapeError).  dx = g, dsource = alpha · index_select(g).
Tensor index_add(const Tensor& x, std::int64_t dim, const Tensor& index, const Tensor& source,
                 Scalar alpha = 1);

/// y[i, :] = weight[index[i], :] for a table [rows, width] and indices of any shape.  dweight = g
/// added to the rows that were looked up; row `padding_idx` (negative: from the end) gets none.
Tensor embedding(const Tensor& weight, const Tensor& index,
                 std::optional<std::int64_t> padding_idx = {});

/// The elements where `mask` (bool) holds, as a list in row-major order; x and mask broadcast.
/// dx = g where they came from, 0 elsewhere.
Tensor masked_select(const Tensor& x, const Tensor& mask);

/// Where x is not zero: [count, rank] int64 in row-major order.
Tensor nonzero(const Tensor& x);

/// y[.., c] = 1 where index[..] = c, else 0, as int64. num_classes -1: the largest index plus 1.
/// IndexError for an index outside [0, num_classes), ValueError for -1 and no indices.
Tensor one_hot(const Tensor& index, std::int64_t num_classes = -1);

/// x.index(indices) of a tensor with `value`, which broadcasts, written there; of several values
/// for one place the last stays.  dx = g elsewhere, dvalue = g there (right if no place is named
/// twice).
Tensor index_put(const Tensor& x, const std::vector<TensorIndex>& indices, const Tensor& value);

}  // namespace retrace
