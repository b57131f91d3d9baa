#pragma once

// For classes of which some are rare.

#include <retrace/tensor/tensor.h>

namespace retrace::data {

/// How often each class occurs in `labels`, int64 of any shape: int64 [classes]. IndexError for a
/// label outside 0 .. classes-1.
Tensor class_counts(const Tensor& labels, std::int64_t classes);

/// A weight for each class, in proportion to 1 / count, with mean 1: float32 [classes], from counts
/// int64 [classes]. A class without rows has the weight 0 and does not count for the mean. As the
/// `weight` of a loss, every class then weighs the same; so it does when rows are drawn by the
/// weights of their classes:
///
///     const Tensor weights = class_weights(class_counts(labels, classes));
///     DataLoader loader(data, {.weights = take_rows(weights, labels.to_vector<std::int64_t>())});
///
/// ValueError for a negative count, or when all are 0.
Tensor class_weights(const Tensor& counts);

}  // namespace retrace::data
