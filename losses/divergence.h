#pragma once

// How far apart two distributions lie, in nats, and two directions. g is the gradient of the
// result, n the divisor (1 unless mean). Errors: ShapeError when the shapes differ (nothing is
// broadcast), DTypeError, ValueError for numbers out of range.

#include <retrace/losses/reduction.h>
#include <retrace/tensor/tensor.h>

namespace retrace::losses {

struct KlDivOptions {
  Reduction reduction = Reduction::mean;
  bool log_target = false;  ///< the target holds log-probabilities as well
};

/// KL(target || input): how many nats more one needs, on average over the target's distribution P,
/// by believing in the input's Q. The input holds log-probabilities log Q, the target
/// probabilities P: each element is P · (log P - log Q), 0 where P is 0. KL(P || Q) is not
/// KL(Q || P); Q comes first in the call.
///
/// A mean divides by the number of elements, which is no divergence: Reduction::batchmean divides
/// by the size of dim 0 and gives that of the distributions. The target is a constant.
/// Gradient: dx = -g · P / n.
/// Errors: ShapeError for batchmean of a 0-d input.
/// Source: Kullback, Leibler 1951, On information and sufficiency; as PyTorch's kl_div.
Tensor kl_div(const Tensor& input, const Tensor& target, const KlDivOptions& options = {});

struct JsDivergenceOptions {
  bool from_logits = true;  ///< of unnormalised logits, else of log-probabilities
  Reduction reduction = Reduction::mean;
};

/// Jensen-Shannon divergence of distributions over the last dim, one number for each row:
/// ½ KL(P || M) + ½ KL(Q || M), M = ½ (P + Q). Symmetric, between 0 and ln 2. A mean divides by the
/// number of rows; with Reduction::none the result is [...] for inputs [..., K].
/// Gradient, of log-probabilities: ½ g · P · (log P - log M) / n, and the same with Q; of logits
/// that goes on through log_softmax. Errors: ShapeError without a last dim. Source: Lin 1991,
/// Divergence measures based on the Shannon entropy, section IV.
Tensor js_divergence(const Tensor& p, const Tensor& q, const JsDivergenceOptions& options = {});

struct CosineEmbeddingLossOptions {
  double margin = 0.0;  ///< in [-1, 1], best from 0 to 0.5
  Reduction reduction = Reduction::mean;
};

/// Of pairs of vectors [..., D] and a target [...] for each: 1 - cos for pairs that belong together
/// (target 1), max(0, cos - m) for others (target -1). 1e-12 is added to each squared norm, so that
/// vectors of zeros have a gradient.
/// Gradient: with g₁ = -g / n where the target is 1, g / n where it is -1 and cos > m, else 0:
/// da = g₁ · (b / (|a| |b|) - cos · a / |a|²), and the same for b.
/// Errors: ValueError for a target that is neither -1 nor 1, or a margin outside [-1, 1].
/// Source: as PyTorch's cosine_embedding_loss.
Tensor cosine_embedding_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                             const CosineEmbeddingLossOptions& options = {});

}  // namespace retrace::losses
