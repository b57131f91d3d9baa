#pragma once

// Losses for quantiles as predictions: the τ-quantile is the number that a share τ of the targets
// lies below. Shapes, dtypes, reductions and errors as in losses/regression.h.

#include <retrace/losses/reduction.h>
#include <retrace/tensor/tensor.h>

#include <vector>

namespace retrace::losses {

/// The pinball loss: τ · (t - x) where the input x is below the target t, (1 - τ) · (x - t) where
/// it is above. Its best constant is the τ-quantile; with τ = ½ it is half the absolute error.
/// Gradient: dx = -g τ / n below the target, g (1 - τ) / n above it, g (½ - τ) / n where they are
/// equal; dt = -dx.
/// Errors: ValueError for τ outside (0, 1).
/// Source: Koenker, Bassett 1978, Regression quantiles, Econometrica 46(1).
Tensor quantile_loss(const Tensor& input, const Tensor& target, double tau,
                     const ReductionOptions& options = {});

/// The same for several levels at once: input [..., Q] with a column for each of the Q levels,
/// target [...]. A mean divides by the number of elements of the input.
Tensor quantile_loss(const Tensor& input, const Tensor& target, const std::vector<double>& taus,
                     const ReductionOptions& options = {});

/// Makes Q numbers of each row of [..., Q] into quantiles that cannot cross: q₁ = r₁ and
/// q_k = q₁ + softplus(r₂) + ... + softplus(r_k). Levels are to ascend along the last dim. A layer
/// to stand before quantile_loss.
/// Gradient: dr₁ = Σ g, dr_j = σ(r_j) · Σ over k >= j of g_k.
/// Errors: ShapeError without a last dim of at least one number.
/// Source: steps that a non-negative activation keeps positive, Shen et al. 2025, arXiv:2504.08215.
Tensor quantile_noncrossing(const Tensor& raw);

/// How far neighbouring quantiles of [..., Q] cross: max(0, q_k - q_(k+1)) for each of the Q - 1
/// pairs; 0 where they ascend. To be added to quantile_loss.
/// Gradient: g / n to q_k and -g / n to q_(k+1) where they cross, 0 where they are equal.
/// Errors: ShapeError for fewer than two quantiles.
/// Source: Bondell, Reich, Wang 2010, Biometrika 97(4), whose constraint is softened to a penalty.
Tensor quantile_crossing_penalty(const Tensor& input, const ReductionOptions& options = {});

}  // namespace retrace::losses
