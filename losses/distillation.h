#pragma once

// A small model learns from the whole distribution that a large one gives, not from the right
// answer alone. Values are in nats.
//
// Shapes: logits of student and teacher [.., V] of one floating dtype, labels int64 [..]. Rows
// whose label is ignore_index do not count: their logits get gradient 0, and a mean divides by the
// number of rows that do, by 1 when there is none (the loss is then 0). The teacher is a constant.
//
// Errors: ShapeError, DTypeError; IndexError for a label outside [0, V) that is not ignore_index;
// ValueError for a temperature that is not positive. All before any arithmetic.

#include <retrace/losses/reduction.h>
#include <retrace/tensor/tensor.h>

namespace retrace::losses {

struct DistillationOptions {
  double temperature = 2.0;  ///< T > 0: the higher, the more the unlikely classes count
  double alpha = 0.5;        ///< α in [0, 1]: share of the teacher, 1 - α is that of the labels
  std::int64_t ignore_index = -100;
};

/// Knowledge distillation: α T² · KL(softmax(z_t / T) || softmax(z_s / T)) + (1 - α) ·
/// cross_entropy(z_s, labels), the mean over rows. T² keeps the size of the gradient the same at
/// any T; for T → ∞ the first part draws the student's centred logits to the teacher's. Gradient:
/// dz_s = g · (α T · (p_s - p_t) + (1 - α) · (p - [k = label])) / n, with p_s and p_t at
/// temperature T and p at 1.
/// Errors: ValueError for an α outside [0, 1].
/// Source: Hinton, Vinyals, Dean 2015, arXiv:1503.02531, section 2.
Tensor distillation_loss(const Tensor& student, const Tensor& teacher, const Tensor& labels,
                         const DistillationOptions& options = {});

struct GeneralizedJsdOptions {
  double beta = 0.5;         ///< β in [0, 1]: weight of the teacher in the mixture
  double temperature = 1.0;  ///< T > 0, of both
  std::int64_t ignore_index = -100;
  Reduction reduction = Reduction::mean;  ///< mean or sum
};

/// Generalised Jensen-Shannon divergence of teacher P and student Q at temperature T:
/// β KL(P || M) + (1 - β) KL(Q || M), M = β P + (1 - β) Q; KL(P || Q) for β = 0, KL(Q || P) for
/// β = 1. Labels only say which rows count. To gather gradients over several batches take the sum
/// and divide by the rows that count in all of them.
/// Gradient, of the student's log-probabilities: g · (1 - β) · Q · (log Q - log M) / n, which goes
/// on through log_softmax and 1 / T; g · (Q - P) / n for β = 0, g · Q · (log Q - log P) / n for 1.
/// Errors: ValueError for a β outside [0, 1] and for Reduction::none.
/// Source: Agarwal et al. 2023, arXiv:2306.13649, equation 1.
Tensor generalized_jsd(const Tensor& student, const Tensor& teacher, const Tensor& labels,
                       const GeneralizedJsdOptions& options = {});

}  // namespace retrace::losses
