#pragma once

#include <retrace/tensor/random.h>

namespace retrace::data {

/// Every image of [.., height, width] moved by a distance of its own, drawn from -most .. most
/// pixels in each direction; what moves in from outside is 0. A copy, unrecorded. ShapeError for
/// fewer than three dims, ValueError for most < 0.
Tensor random_shift(const Tensor& images, std::int64_t most,
                    Generator& generator = default_generator());

}  // namespace retrace::data
