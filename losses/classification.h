#pragma once

// Losses for classes as targets. Values are in nats. Logits are unnormalised log-probabilities, of
// any size: ±1e4 gives finite losses and gradients, and -inf takes a class out (probability 0,
// gradient 0). A row of -inf only is NaN.
//
// Shapes: input [N, C], or [C] for one sample, or [N, C, d1, ...] with a target at each place d;
// class targets are int64 [N], [] or [N, d1, ...]. The result has the targets' shape with
// Reduction::none, else it is 0-d.
//
// Errors: ShapeError, DTypeError; IndexError for a class outside [0, C) that is not ignore_index;
// ValueError for label_smoothing outside [0, 1]. All before any arithmetic.

#include <retrace/losses/reduction.h>
#include <retrace/tensor/tensor.h>

namespace retrace::losses {

struct CrossEntropyOptions {
  Tensor weight = {};                ///< [C], of each class; all 1 if not given
  std::int64_t ignore_index = -100;  ///< targets of this value count for nothing
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0.0;  ///< ε: so much of each target is spread over all classes alike
};

/// Cross-entropy between softmax(z) and the targets, for one row of logits z:
///     L = -Σ over k of w(k) · q(k) · log p(k),  p = softmax(z)
/// with q(k) = (1 - ε) · [k = t] + ε / C for a class t. A mean divides by Σ w(t) over the targets
/// that are not ignored; when all are, it is NaN.
///
/// Targets of a floating dtype and the logits' shape are probabilities, then q = (1 - ε) · target +
/// ε / C and a mean divides by the number of rows; they need not sum to 1, get no gradient, and
/// nothing is ignored.
///
/// One node, softmax included: keeps the largest logit and the sum of each row. Gradient, with n
/// the mean's divisor: dz(k) = g · (p(k) · Σ w q - w(k) q(k)) / n; 0 in ignored rows. Second
/// derivatives are not available.
/// Source: Goodfellow, Bengio, Courville 2016, section 6.2.2.3; smoothing Szegedy et al. 2015,
/// arXiv:1512.00567, section 7.
Tensor cross_entropy(const Tensor& logits, const Tensor& target,
                     const CrossEntropyOptions& options = {});

struct NllLossOptions {
  Tensor weight = {};
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
};

/// Negative log-likelihood: L = -w(t) · input(t), input being log-probabilities. Mean and options
/// as for cross_entropy, which is log_softmax and this in one. Gradient: -g · w(t) / n at the
/// target, 0 elsewhere. Second derivatives are not available.
Tensor nll_loss(const Tensor& input, const Tensor& target, const NllLossOptions& options = {});

}  // namespace retrace::losses
