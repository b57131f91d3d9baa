#pragma once

// Random numbers of several processes. They draw batches alike, from the same numbers; what each
// draws for its part of a batch (dropout, shifts of images) comes from numbers of its own, or the
// rows of one part would be treated as those of another.

#include <cstdint>

#include <retrace/tensor/random.h>

namespace retrace::train {

/// Moves the generator of process `rank` by rank · 2^48 blocks: from where all stand alike to where
/// nobody else draws. The first one's stays; one that was moved is not moved again.
void draw_apart(Generator& generator, int rank);

/// Where the generator would stand if it had not been moved. All go on together from the farthest
/// of these places: no number is used twice, though some processes have used more than others.
std::uint64_t common_position(const Generator& generator);

}  // namespace retrace::train
