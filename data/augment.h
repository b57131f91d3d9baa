#pragma once

#include <retrace/tensor/random.h>

namespace retrace::data {

/// Every row of [rows, .., height, width] moved by a distance of its own, drawn from -most .. most
/// pixels in each direction, and all that is in a row, such as the channels of an image, by the
/// same; what moves in from outside is 0. A copy, unrecorded. ShapeError for fewer than three dims,
/// ValueError for most < 0.
Tensor random_shift(const Tensor& images, std::int64_t most,
                    Generator& generator = default_generator());

}  // namespace retrace::data
