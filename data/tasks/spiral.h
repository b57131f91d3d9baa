#pragma once

#include <retrace/data/dataset.h>
#include <retrace/tensor/random.h>

namespace retrace::data {

struct SpiralOptions {
  std::int64_t arms = 3;
  double noise = 0.1;  ///< η: how often a label names one of the other arms
  double width = 0.3;  ///< of an arm, in parts of the distance to the next
};

/// Points on the arms of a spiral, with labels some of which are wrong: a task whose best possible
/// result is known, and which no straight line solves.
///
/// With t uniform in [0, 1), arm c uniform in 0 .. K-1 and w uniform in ±½ · width · 2π/K a point
/// is r · (cos α, sin α) with r = 0.2 + 0.8 t and α = 2π (c/K + t) + w. Its label is c with
/// probability 1 - η, else one of the other K - 1 arms. The arms do not touch, so a point tells its
/// arm, and the label's distribution given the point is known exactly.
class Spiral {
 public:
  /// ValueError for fewer than two arms, a noise outside (0, 1), a width outside (0, 1).
  explicit Spiral(const SpiralOptions& options = {});

  const SpiralOptions& options() const { return options_; }

  /// Fresh points: inputs float32 [rows, 2], targets int64 [rows].
  TensorDataset sample(std::int64_t rows, Generator& generator = default_generator()) const;

  /// The arm of each point, int64 [rows]: the right label, from points of `sample` alone.
  Tensor arm_of(const Tensor& points) const;

  /// Mean of -ln p(label | point) in nats under the true distribution: what the best model loses on
  /// these very rows. Its noise is that of the labels, which a model's loss on them shares.
  double oracle_loss(const TensorDataset& rows) const;

  /// The mean of oracle_loss over all data, -(1-η) ln(1-η) - η ln(η / (K-1)): 0.394398 for K = 3
  /// and η = 0.1.
  double population_floor() const;

 private:
  SpiralOptions options_;
};

}  // namespace retrace::data
