#pragma once

#include <retrace/data/dataset.h>
#include <retrace/tensor/random.h>

namespace retrace::data {

/// A curve seen through noise that is skewed and wider in some places than in others: a regression
/// task whose every quantile is known, and whose mean, median and Huber fit are three curves.
///
/// x is uniform in [-1, 1), y = m(x) + s(x) (E - 1) with m = sin πx, s = 0.2 + 0.3 x² and E
/// exponential with mean 1. So E[y | x] = m(x), and quantile τ of y at x is
/// m(x) + s(x) (-ln(1-τ) - 1).
class ExponentialNoise {
 public:
  /// Fresh points: inputs float32 [rows, 1], targets float32 [rows].
  TensorDataset sample(std::int64_t rows, Generator& generator = default_generator()) const;

  /// The true curves at `points` [rows, 1], float64 [rows]. Levels lie in (0, 1), else ValueError.
  Tensor mean(const Tensor& points) const;
  Tensor quantile(const Tensor& points, double level) const;
  /// What minimises the Huber loss at each point, between the median (δ -> 0) and the mean (δ ->
  /// ∞).
  Tensor huber(const Tensor& points, double delta) const;

  /// Mean of the pinball loss max(τ e, (τ-1) e), e = y - quantile τ at x, on these very rows.
  double oracle_loss(const TensorDataset& rows, double level) const;
  /// Its mean over all data, E[s] · -(1-τ) ln(1-τ) with E[s] = 0.3: 0.103972 at the median.
  double population_floor(double level) const;
  /// The squared error of the mean over all data, E[s²] = 0.098; the absolute error of the median
  /// is 2 · population_floor(0.5).
  double mse_floor() const;
};

}  // namespace retrace::data
