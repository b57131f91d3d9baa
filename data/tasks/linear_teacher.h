#pragma once

#include <vector>

#include <retrace/data/dataset.h>
#include <retrace/tensor/random.h>

namespace retrace::data {

struct LinearTeacherOptions {
  std::int64_t classes = 10;   ///< K
  std::int64_t features = 20;  ///< d
  /// σ, in falling order; no more than K - 1 and d.
  std::vector<double> singular_values = {3, 2.5, 2, 1.5, 1, 0.8, 0.6, 0.4, 0.2};
  std::uint64_t seed = 0;  ///< of the directions
};

/// A teacher with more directions than its student: a task for distillation whose best possible
/// loss is known, and is not 0.
///
/// The teacher's logits are W x with x ~ N(0, I) and W = U diag(σ) Vᵀ, columns orthonormal, those
/// of U orthogonal to (1, .., 1), so that logits have mean 0. With z for the student's logits,
/// centred, the loss T² KL(softmax(W x / T) || softmax(z / T)) tends to |W x - z|² / (2 K) for a
/// high temperature T, as losses::distillation_loss has it with alpha = 1. A student of rank r
/// that is as good as possible keeps the first r directions (Eckart and Young 1936, doi
/// 10.1007/BF02288367). At T below about 10 its loss can be smaller than this floor.
class LinearTeacher {
 public:
  /// ValueError for fewer than two classes, no features, singular values that are too many,
  /// negative or not in falling order.
  explicit LinearTeacher(const LinearTeacherOptions& options = {});

  const LinearTeacherOptions& options() const { return options_; }

  /// Fresh points: inputs float32 [rows, d], targets the teacher's logits, float32 [rows, K].
  TensorDataset sample(std::int64_t rows, Generator& generator = default_generator()) const;

  /// W, float64 [K, d].
  Tensor weight() const { return weight(std::ssize(options_.singular_values)); }
  /// The best W of this rank. ValueError for a negative one.
  Tensor weight(std::int64_t rank) const;

  /// Mean of |W x - best W x|² / (2 K) at these points, [rows, d].
  double oracle_loss(const Tensor& points, std::int64_t rank) const;
  /// Its mean over all data, Σ σ_i² / (2 K) over i > rank: 0.11 for rank 4 by default.
  double population_floor(std::int64_t rank) const;

 private:
  LinearTeacherOptions options_;
  std::vector<std::vector<double>> left_, right_;  // columns of U, of V
};

}  // namespace retrace::data
