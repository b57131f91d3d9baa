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
/// One node, softmax included: keeps the largest logit, the sum and the target's slope of each row.
/// Where p(t) is almost 1, loss and dz(t) have all digits: 1 - p(t) is summed, not subtracted.
/// Gradient, with n the mean's divisor: dz(k) = g · (p(k) · Σ w q - w(k) q(k)) / n; 0 in ignored
/// rows.
/// Source: Goodfellow, Bengio, Courville 2016, section 6.2.2.3; smoothing Szegedy et al. 2015,
/// arXiv:1512.00567, section 7.
Tensor cross_entropy(const Tensor& logits, const Tensor& target,
                     const CrossEntropyOptions& options = {});

/// Where the probability ε goes that label smoothing takes from the target class t:
/// `uniform` to all classes alike, ε / C each, t included (cross_entropy's own label_smoothing);
/// `others` to the C - 1 others, ε / (C - 1) each. uniform with ε is others with ε · (C - 1) / C.
enum class Smoothing : std::uint8_t { uniform, others };
/// "uniform" or "others". ValueError for any other text.
Smoothing smoothing_from_string(std::string_view text);

struct LabelSmoothingOptions {
  double epsilon = 0.1;  ///< ε in [0, 1]
  Smoothing scheme = Smoothing::uniform;
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
};

/// Cross-entropy between softmax(z) and smoothed targets q: L = -Σ over k of q(k) · log p(k), with
/// q(t) = 1 - ε + ε / C and q(k) = ε / C, or q(t) = 1 - ε and q(k) = ε / (C - 1). Its least value
/// is the entropy of q, at logits that differ by ln(q(t) / q(k)): the model is not driven to
/// certainty. A mean divides by the targets that are not ignored. Gradient: dz(k) = g · (p(k) -
/// q(k)) / n; 0 in ignored rows. Errors: ShapeError for
/// `others` of a single class. Source: Szegedy et al. 2015, arXiv:1512.00567, section 7; `others`
/// as in Vaswani et al. 2017, arXiv:1706.03762, section 5.4, whose code shares ε among the other
/// classes.
Tensor label_smoothing_ce(const Tensor& logits, const Tensor& target,
                          const LabelSmoothingOptions& options = {});

struct NllLossOptions {
  Tensor weight = {};
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
};

/// Negative log-likelihood: L = -w(t) · x(t), x being log-probabilities. Mean and options as for
/// cross_entropy, which is log_softmax and this in one.
/// Gradient: dx(t) = -g · w(t) / n, 0 elsewhere.
/// Source: Fisher 1922, On the mathematical foundations of theoretical statistics; as PyTorch's
/// nll_loss.
Tensor nll_loss(const Tensor& input, const Tensor& target, const NllLossOptions& options = {});

struct FocalLossMulticlassOptions {
  Tensor alpha = {};   ///< α: [C], of each class; all 1 if not given
  double gamma = 2.0;  ///< γ >= 0: how far easy samples are turned down; 0 gives cross_entropy
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;
};

/// Focal loss of logits: L = -α(t) · (1 - p(t))^γ · log p(t), p = softmax(z). A mean divides by the
/// number of targets that are not ignored, whatever their α.
/// Gradient: dz(k) = g · α(t) · (1 - p(t))^(γ-1) · (γ p(t) log p(t) - (1 - p(t))) · ([k = t] -
/// p(k)) / n; 0 in ignored rows. Errors: ValueError for a
/// negative γ. Source: Lin et al. 2017, arXiv:1708.02002, eq. (4) and (5), with softmax for
/// sigmoid.
Tensor focal_loss_multiclass(const Tensor& logits, const Tensor& target,
                             const FocalLossMulticlassOptions& options = {});

struct MulticlassHingeOptions {
  double margin = 1.0;
  bool squared = false;  ///< the square of the loss
  Reduction reduction = Reduction::mean;
};

/// Hinge loss against the best wrong class: L = max(0, m + max over j ≠ t of s(j) - s(t)), for
/// scores s. A mean divides by the rows; none is ignored.
/// Gradient: g / n to the best wrong class, the first of equals, and -g / n to t where L > 0;
/// squared: times 2 L.
/// Errors: ShapeError for fewer than two classes, ValueError for a margin that is not finite.
/// Source: Crammer, Singer 2001, On the algorithmic implementation of multiclass kernel-based
/// vector machines, JMLR 2.
Tensor multiclass_hinge_cs(const Tensor& input, const Tensor& target,
                           const MulticlassHingeOptions& options = {});

struct MultiMarginLossOptions {
  std::int64_t p = 1;  ///< 1 or 2
  double margin = 1.0;
  Tensor weight = {};  ///< [C], of each class; does not enter a mean's divisor
  Reduction reduction = Reduction::mean;
};

/// Hinge loss against every wrong class: L = w(t) · Σ over j ≠ t of max(0, m - s(t) + s(j))^p / C,
/// for scores s. A mean divides by the rows; none is ignored. For two classes multiclass_hinge_cs
/// is twice this. Gradient: g · w(t) / C / n to each class inside the margin, minus their sum to t;
/// for p = 2 times 2 (m - s(t) + s(j)). Errors: ValueError for another p, or a margin that is not
/// finite. Source: Weston, Watkins 1999, Support vector machines for multi-class pattern
/// recognition; as PyTorch's multi_margin_loss.
Tensor multi_margin_loss(const Tensor& input, const Tensor& target,
                         const MultiMarginLossOptions& options = {});

}  // namespace retrace::losses
