#pragma once

// How good predicted numbers are. Floating tensors of one shape unless said otherwise; ShapeError.
// An error of NaN is NaN; what is counted by comparisons is a ValueError for NaN.

#include <retrace/tensor/tensor.h>

namespace retrace::train {

/// Mean absolute error.
double mean_absolute_error(const Tensor& predicted, const Tensor& target);
/// Root of the mean squared error.
double root_mean_squared_error(const Tensor& predicted, const Tensor& target);

/// The share of targets that are at most the predicted quantile: of the level τ it should be τ.
double coverage(const Tensor& quantile, const Tensor& target);
/// The smallest of `values`, floating [rows], that a share of `level` of them does not exceed: the
/// best constant for the pinball loss of that level. ValueError for no values, a level outside
/// (0, 1).
double sample_quantile(const Tensor& values, double level);
/// The share of rows in which a higher level's quantile lies below a lower one's; `quantiles`
/// [rows, levels], levels rising.
double crossings(const Tensor& quantiles);

}  // namespace retrace::train
