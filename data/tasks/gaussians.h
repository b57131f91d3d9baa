#pragma once

#include <functional>

#include <retrace/data/dataset.h>
#include <retrace/tensor/random.h>

namespace retrace::data {

struct GaussiansOptions {
  std::int64_t features = 10;
  double distance = 2;     ///< Δ, between the two means
  double positives = 0.5;  ///< π, the share of class 1; small: an imbalanced task
};

/// Points of two clouds that overlap: a binary task whose best possible result is known.
///
/// A row is of class 1 with probability π, else of class 0. Its point is N(μ, I) or N(-μ, I), with
/// Δ / (2 √features) in each coordinate of μ. The log odds of class 1 are linear in the point,
/// ln(π / (1-π)) + 2 μᵀx, and their distribution is one-dimensional: given the class, normal with
/// mean ln(π / (1-π)) ± Δ²/2 and variance Δ².
class Gaussians {
 public:
  /// ValueError for no features, a distance that is not above 0, a share outside (0, 1).
  explicit Gaussians(const GaussiansOptions& options = {});

  const GaussiansOptions& options() const { return options_; }

  /// Fresh points: inputs float32 [rows, features], targets int64 [rows], 0 or 1.
  TensorDataset sample(std::int64_t rows, Generator& generator = default_generator()) const;

  /// The true log odds of class 1 at each point, float64 [rows]; 0 on the best boundary.
  Tensor logits(const Tensor& points) const;

  /// Mean of -ln p(label | point) in nats under the true distribution, on these very rows.
  double oracle_loss(const TensorDataset& rows) const;
  /// The mean of oracle_loss over all data: 0.356316 by default.
  double population_floor() const;
  /// The mean over all data of loss(true log odds, labels), by the trapezoidal rule: exact to
  /// rounding for smooth losses. `loss` is called once, with float64 [points] each, the labels 0 or
  /// 1, and gives the loss of each.
  double population_mean(
      const std::function<Tensor(const Tensor& logits, const Tensor& labels)>& loss) const;

  /// How often the best classifier errs: Φ(-Δ/2) for equal shares, 0.158655 by default.
  double error_floor() const;
  /// The largest area under the ROC curve, Φ(Δ/√2), whatever the shares: 0.921350 by default.
  double roc_auc_ceiling() const;

 private:
  double prior_logit() const;

  GaussiansOptions options_;
};

}  // namespace retrace::data
