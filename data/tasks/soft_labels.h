#pragma once

#include <retrace/data/dataset.h>
#include <retrace/tensor/random.h>

namespace retrace::data {

/// Points with a label each, and what a perfect teacher says of them.
struct TaughtRows {
  Tensor inputs;  ///< float32 [rows, 2]
  Tensor labels;  ///< int64 [rows], drawn from the teacher's distribution
  Tensor logits;  ///< float32 [rows, 3], the teacher's
};

/// Points whose label is drawn from a known distribution: a task for distillation. A teacher gives
/// the whole distribution of each point, the world one label of it; both have the same best
/// possible result, and a student comes far closer to it from the same number of soft labels.
///
/// x ~ N(0, I), of two features; logit k = 0, 1, 2 is
/// f_k(x) = 2.5 sin(2 x₁ + 2πk/3) cos(1.5 x₂ - k), and p = softmax(f).
class SoftLabels {
 public:
  static constexpr std::int64_t kClasses = 3;

  TaughtRows sample(std::int64_t rows, Generator& generator = default_generator()) const;

  /// f at points [rows, 2], float64 [rows, 3]. ShapeError.
  Tensor logits(const Tensor& points) const;

  /// Mean of -ln p(label | point) in nats, on these very rows.
  double oracle_loss(const TaughtRows& rows) const;
  /// Mean of the entropy of p at these points: the least cross-entropy to the soft labels. What a
  /// student's lies above it is the mean of KL(p || student), free of the noise of labels.
  double soft_oracle_loss(const Tensor& points) const;
  /// The mean of both over all data, E[H(p)] = 0.732559, by the trapezoidal rule.
  double population_floor() const;
};

}  // namespace retrace::data
