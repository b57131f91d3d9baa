#pragma once

// Losses for two classes, or for labels that hold independently of each other. input and target
// have one shape (nothing is broadcast but weights) and one floating dtype; the result is theirs in
// shape with Reduction::none, else 0-d. The mean divides by the number of elements, whatever their
// weights: of nothing it is NaN, the sum 0. Values are in nats where the loss is a likelihood.
//
// In the formulas x is the input, t the target, σ the sigmoid, g the gradient of the result, n the
// divisor (1 unless mean). Targets, weights and margins are constants: they get no gradient.
// Logits of any size, ±1e4 as well, give finite losses and gradients. Errors: ShapeError when the
// shapes differ or a weight does not broadcast, DTypeError, ValueError for numbers out of range.

#include <retrace/losses/reduction.h>
#include <retrace/tensor/tensor.h>

namespace retrace::losses {

struct BceLossOptions {
  Tensor weight = {};  ///< of each element; broadcasts to the input
  Reduction reduction = Reduction::mean;
};

/// Binary cross-entropy of probabilities x, -w · (t · ln x + (1 - t) · ln(1 - x)), each logarithm
/// at least -100. From logits, bce_with_logits is exact where this one has lost its digits.
/// Gradient: dx = g · w · (x - t) / max(x · (1 - x), 1e-12) / n.
/// Errors: ValueError for an input or a target outside [0, 1].
/// Source: Good 1952, Rational decisions; bounds as PyTorch's binary_cross_entropy.
Tensor bce_loss(const Tensor& input, const Tensor& target, const BceLossOptions& options = {});

struct BceWithLogitsOptions {
  Tensor weight = {};  ///< of each element; broadcasts to the input
  Reduction reduction = Reduction::mean;
  Tensor pos_weight = {};  ///< of the positive class; broadcasts, so [C] is one for each label
};

/// Binary cross-entropy of logits, w · (-p · t · ln σ(x) - (1 - t) · ln σ(-x)), p being pos_weight.
/// Targets are 0 and 1, or probabilities between.
/// Gradient: dx = g · w · ((1 - t) · σ(x) - p · t · σ(-x)) / n, that is g · (σ(x) - t) / n.
/// Errors: ValueError for a target outside [0, 1].
/// Source: Cox 1958, The regression analysis of binary sequences; as PyTorch's
/// binary_cross_entropy_with_logits.
Tensor bce_with_logits(const Tensor& input, const Tensor& target,
                       const BceWithLogitsOptions& options = {});

struct FocalLossBinaryOptions {
  double alpha = 0.25;  ///< α in [0, 1] balances the classes; negative: no balance
  double gamma = 2.0;   ///< γ >= 0: how far easy samples are turned down; 0 gives bce_with_logits
  Reduction reduction = Reduction::none;  ///< none by default, as in torchvision
};

/// Focal loss of logits, α_t · (1 - p_t)^γ · bce with p = σ(x), p_t = p t + (1 - p) (1 - t) and
/// α_t = α t + (1 - α) (1 - t): cross-entropy that pays little attention to what is easy.
/// Gradient: dx = g · α_t · ((1 - p_t)^γ · (p - t) - γ · (1 - p_t)^(γ-1) · p (1 - p) (2t - 1) ·
/// bce) / n. Errors: ValueError for a target outside [0, 1].
/// Source: Lin et al. 2017, arXiv:1708.02002, eq. (4) and (5); as torchvision's sigmoid_focal_loss.
Tensor focal_loss_binary(const Tensor& input, const Tensor& target,
                         const FocalLossBinaryOptions& options = {});

struct HingeLossOptions {
  double margin = 1.0;
  bool squared = false;  ///< the square of the loss
  Reduction reduction = Reduction::mean;
};

/// Hinge loss, max(0, m - t · x), of scores x and targets -1 and 1.
/// Gradient: dx = -g · t / n inside the margin, 0 on its edge and beyond; squared: times
/// 2 · (m - t x).
/// Errors: ValueError for a target that is neither -1 nor 1, or a margin that is not finite.
/// Source: Cortes, Vapnik 1995, Support-vector networks; as Keras' hinge and squared_hinge.
Tensor hinge_loss(const Tensor& input, const Tensor& target, const HingeLossOptions& options = {});

/// Logistic loss, ln(1 + exp(-t · x)), of scores x and targets -1 and 1.
/// Gradient: dx = -g · t · σ(-t x) / n.
/// Errors: ValueError for a target that is neither -1 nor 1.
/// Source: Friedman, Hastie, Tibshirani 2000, Additive logistic regression; as PyTorch's
/// soft_margin_loss.
Tensor soft_margin_loss(const Tensor& input, const Tensor& target,
                        const ReductionOptions& options = {});

struct HingeEmbeddingLossOptions {
  double margin = 1.0;
  Reduction reduction = Reduction::mean;
};

/// Of distances x of pairs: x itself for alike ones (target 1), max(0, m - x) for others
/// (target -1).
/// Gradient: dx = g / n for alike pairs, -g / n for others that are closer than m, else 0.
/// Errors: ValueError for a target that is neither -1 nor 1, or a margin that is not finite.
/// Source: Hadsell, Chopra, LeCun 2006, without its squares; as PyTorch's hinge_embedding_loss.
Tensor hinge_embedding_loss(const Tensor& input, const Tensor& target,
                            const HingeEmbeddingLossOptions& options = {});

struct MultilabelSoftMarginLossOptions {
  Tensor weight = {};  ///< of each label; broadcasts to the input
  Reduction reduction = Reduction::mean;
};

/// bce_with_logits of [N, C] or [C] averaged over the C labels: one loss for each row, which are
/// reduced; with Reduction::none the result is [N] or 0-d.
/// Gradient: dx = g · w · (σ(x) - t) / C, by the number of rows as well for a mean.
/// Errors: ShapeError without a last dim of labels, ValueError for a target outside [0, 1].
/// Source: as PyTorch's multilabel_soft_margin_loss, of Cox 1958 for each label.
Tensor multilabel_soft_margin_loss(const Tensor& input, const Tensor& target,
                                   const MultilabelSoftMarginLossOptions& options = {});

struct MarginRankingLossOptions {
  double margin = 0.0;
  Reduction reduction = Reduction::mean;
};

/// max(0, m - t · (x₁ - x₂)): the first is to score higher than the second by m where the target is
/// 1, lower where it is -1.
/// Gradient: dx₁ = -g · t / n and dx₂ = g · t / n where the loss is positive, else 0.
/// Errors: ValueError for a target that is neither -1 nor 1, or a margin that is not finite.
/// Source: Herbrich, Graepel, Obermayer 1999, Support vector learning for ordinal regression; as
/// PyTorch's margin_ranking_loss.
Tensor margin_ranking_loss(const Tensor& input1, const Tensor& input2, const Tensor& target,
                           const MarginRankingLossOptions& options = {});

}  // namespace retrace::losses
