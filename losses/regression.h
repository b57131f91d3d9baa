#pragma once

// Losses for numbers as targets. input and target have one shape (nothing is broadcast) and one
// floating dtype; the result is theirs in shape with Reduction::none, else 0-d. The mean divides by
// the number of elements: of nothing it is NaN, the sum 0. g is the gradient of the result, n the
// divisor (1 unless mean). Errors: ShapeError when the shapes differ, DTypeError.

#include <retrace/losses/reduction.h>
#include <retrace/tensor/tensor.h>

namespace retrace::losses {

/// At namespace scope, so that `{.reduction = Reduction::sum}` can be written.
struct ReductionOptions {
  Reduction reduction = Reduction::mean;
};

/// Squared error, (x - t)². Its best constant is the mean.
/// Gradient: dx = 2 g · (x - t) / n, dt = -dx.
Tensor mse_loss(const Tensor& input, const Tensor& target, const ReductionOptions& options = {});

/// Absolute error, |x - t|. Its best constant is the median.
/// Gradient: dx = g · sign(x - t) / n, 0 where they are equal, dt = -dx.
Tensor l1_loss(const Tensor& input, const Tensor& target, const ReductionOptions& options = {});

}  // namespace retrace::losses
