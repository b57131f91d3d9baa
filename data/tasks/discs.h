#pragma once

#include <vector>

#include <retrace/data/dataset.h>
#include <retrace/tensor/random.h>

namespace retrace::data {

/// A region of the plane, within the square [-1, 1]².
struct Disc {
  double x = 0, y = 0;  ///< its centre
  double radius = 0;
  double noise = 0;  ///< η: how often the label says the opposite
};

struct DiscsOptions {
  std::vector<Disc> discs = {{-0.45, -0.35, 0.5, 0.05},
                             {0.4, -0.3, 0.45, 0.1},
                             {-0.1, 0.45, 0.5, 0.05},
                             {0.2, 0, 0.4, 0.15}};
  double margin = 0.05;  ///< no point is as close as this to a circle: edges can be learnt exactly
};

/// Points of a square, with one label for each of several discs: is the point inside? A multi-label
/// task whose best possible result is known.
///
/// A point is uniform on [-1, 1]² without a ring of ± margin around each circle. Label k is 1
/// inside disc k and 0 outside, the opposite with probability η_k. Labels depend on each other
/// through the point alone: given the point they are independent, so that the sum of one binary
/// cross-entropy a label is their likelihood. Below, ρ_k is the share of points inside disc k.
class Discs {
 public:
  /// ValueError for no disc, one that leaves the square, a noise outside (0, 1/2), a margin that is
  /// negative or leaves no points.
  explicit Discs(const DiscsOptions& options = {});

  const DiscsOptions& options() const { return options_; }
  std::int64_t labels() const { return static_cast<std::int64_t>(options_.discs.size()); }

  /// Fresh points: inputs float32 [rows, 2], targets float32 [rows, labels], 0 or 1.
  TensorDataset sample(std::int64_t rows, Generator& generator = default_generator()) const;

  /// Labels without noise, float32 [rows, labels]: 1 inside the disc.
  Tensor inside(const Tensor& points) const;

  /// The true probability of each label at points of `sample`, float32 [rows, labels].
  Tensor probabilities(const Tensor& points) const;

  /// Mean over rows of the sum over labels of -ln p(label | point) in nats, on these very rows.
  double oracle_loss(const TensorDataset& rows) const;
  /// The mean of oracle_loss over all data, Σ h(η_k) with h(p) = -p ln p - (1-p) ln(1-p): 1.144823
  /// by default.
  double population_floor() const;
  /// What the best constant loses, Σ h(ρ_k (1-η_k) + (1-ρ_k) η_k): 2.0507 by default.
  double constant_loss() const;
  /// How often all labels of a row can be right, Π (1-η_k): 0.690413 by default.
  double exact_match_ceiling() const;

  /// ρ_k for each disc, and the share of the square that the margin leaves; by the midpoint rule
  /// over lines, to six digits.
  const std::vector<double>& shares() const { return shares_; }
  double kept() const { return kept_; }
  /// F1 of one label when it is taken to be 1 inside its disc: 2ρ(1-η) / (2ρ(1-η) + η). It is the
  /// best F1 as long as η is below half of it.
  double f1_ceiling(std::int64_t label) const;
  /// Of all labels' counts together, 0.75175 by default, and the mean of f1_ceiling, 0.73368.
  double micro_f1_ceiling() const;
  double macro_f1_ceiling() const;

 private:
  DiscsOptions options_;
  std::vector<double> shares_;
  double kept_ = 0;
};

}  // namespace retrace::data
