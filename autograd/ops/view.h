#pragma once

// Views: the same numbers under another shape, nothing copied. The gradient of each is its inverse.
// Errors: ShapeError for sizes that do not fit, IndexError for dims and indices out of range.
//
// Source: a view moves nothing, so its gradient is the inverse view.

#include <optional>
#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace {

/// The elements in row-major order under other sizes; one of them may be -1. ShapeError where the
/// strides do not allow it without copying: use reshape.
Tensor view(const Tensor& x, const Shape& sizes);
/// A view where the strides allow it, else a copy.
Tensor reshape(const Tensor& x, const Shape& sizes);
/// Dims start_dim .. end_dim merged into one.
Tensor flatten(const Tensor& x, std::int64_t start_dim = 0, std::int64_t end_dim = -1);
/// Dims dim0 and dim1 exchanged.
Tensor transpose(const Tensor& x, std::int64_t dim0, std::int64_t dim1);
/// Dims in the order given; each once.
Tensor permute(const Tensor& x, const Shape& dims);
/// The slice at `index` of dim `dim`, which is dropped; a negative index counts from the end.
Tensor select(const Tensor& x, std::int64_t dim, std::int64_t index);
/// Indices start, start + step, ... below `end` of dim `dim`; bounds are clipped, negative ones
/// count from the end, as in Python. ValueError unless step > 0.
Tensor slice(const Tensor& x, std::int64_t dim, std::optional<std::int64_t> start = {},
             std::optional<std::int64_t> end = {}, std::int64_t step = 1);
/// Indices start .. start + length - 1 of dim `dim`; IndexError beyond its size.
Tensor narrow(const Tensor& x, std::int64_t dim, std::int64_t start, std::int64_t length);
/// Dims of size 1 repeated to `sizes`; new dims in front; -1 keeps a size.
Tensor expand(const Tensor& x, const Shape& sizes);
/// Without dims of size 1: all of them, or `dim` if it has size 1.
Tensor squeeze(const Tensor& x);
Tensor squeeze(const Tensor& x, std::int64_t dim);
/// With a dim of size 1 put in at `dim`, in [-rank - 1, rank].
Tensor unsqueeze(const Tensor& x, std::int64_t dim);
/// The diagonal of dims dim1 and dim2, as the last dim; `offset` above (below, if negative) it.
Tensor diagonal(const Tensor& x, std::int64_t offset = 0, std::int64_t dim1 = 0,
                std::int64_t dim2 = 1);
/// Windows of `size` elements along `dim`, `step` apart; the window is a new last dim.
Tensor unfold(const Tensor& x, std::int64_t dim, std::int64_t size, std::int64_t step);
/// Pieces of `size` along `dim`, the last one possibly shorter; or pieces of the given sizes.
std::vector<Tensor> split(const Tensor& x, std::int64_t size, std::int64_t dim = 0);
std::vector<Tensor> split(const Tensor& x, const Shape& sizes, std::int64_t dim = 0);
/// At most `chunks` pieces of equal size, the last one possibly shorter.
std::vector<Tensor> chunk(const Tensor& x, std::int64_t chunks, std::int64_t dim = 0);

}  // namespace retrace
