#pragma once

#include <retrace/data/dataset.h>
#include <retrace/tensor/random.h>

namespace retrace::data {

struct GumbelRewardsOptions {
  std::int64_t features = 3;  ///< the first three count
};

/// Items with a reward each, and which of two was preferred: a task for a reward model whose best
/// possible result is half a nat and three quarters.
///
/// x ~ N(0, I), and the reward is a smooth function of it:
///     z = (x₁ + x₂ x₃) / √(1 + x₃²),  r = -ln(-ln Φ(z)).
/// Given x₃, z is a combination of x₁ and x₂ with length 1, so z ~ N(0, 1), Φ(z) is uniform, and r
/// has the Gumbel distribution. Of two items i is preferred to j with probability p = σ(rᵢ - rⱼ)
/// (Bradley-Terry). The difference of two Gumbel numbers is logistic, so p is uniform, and the
/// means of its entropy and of max(p, 1-p) are 1/2 and 3/4.
class GumbelRewards {
 public:
  /// ValueError for fewer than three features.
  explicit GumbelRewards(const GumbelRewardsOptions& options = {});

  const GumbelRewardsOptions& options() const { return options_; }

  /// Pairs of fresh items: inputs float32 [pairs, 2, features], the preferred one first; targets
  /// float32 [pairs], its reward less the other's, which labels do not tell.
  TensorDataset sample(std::int64_t pairs, Generator& generator = default_generator()) const;

  /// r of each item [items, features], float64 [items]; finite for |z| < 37. ShapeError.
  Tensor rewards(const Tensor& items) const;

  /// Mean of -ln p of what was preferred, in nats, on these very pairs. ShapeError.
  double oracle_loss(const TensorDataset& pairs) const;
  /// Its mean over all data.
  double population_floor() const { return 0.5; }
  /// How often, at most, the preferred one of two can be told.
  double accuracy_ceiling() const { return 0.75; }

 private:
  GumbelRewardsOptions options_;
};

}  // namespace retrace::data
