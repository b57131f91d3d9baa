#pragma once

// For classes of which some are rare.

#include <retrace/tensor/tensor.h>

namespace retrace::data {

/// How often each class occurs in `labels`, int64 of any shape: int64 [classes]. IndexError for a
/// label outside 0 .. classes-1.
Tensor class_counts(const Tensor& labels, std::int64_t classes);

/// A weight for each class, in proportion to 1 / count, with mean 1: float32 [classes], from counts
/// int64 [classes]. A class without rows has the weight 0 and does not count for the mean. As the
/// `weight` of a loss, every class then weighs the same.
///
/// ValueError for a negative count, or when all are 0.
Tensor class_weights(const Tensor& counts);

/// The weight of each row's class, float32 [rows], from `labels` int64 [rows]: drawn by these, rows
/// of every class are drawn alike. IndexError for a label outside 0 .. classes-1.
Tensor row_weights(const Tensor& labels, std::int64_t classes);

}  // namespace retrace::data
