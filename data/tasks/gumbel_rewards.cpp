#include <retrace/data/tasks/gumbel_rewards.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <retrace/data/tasks/points.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

// Each half from the smaller tail, in which erfc keeps all its digits.
double log_normal_cdf(double z) {
  const double tail = std::erfc(std::abs(z) / std::numbers::sqrt2) / 2;
  return z < 0 ? std::log(tail) : std::log1p(-tail);
}

template <class Number>
double reward(const Number* x) {
  const double a = x[0], b = x[1], c = x[2];
  return -std::log(-log_normal_cdf((a + b * c) / std::sqrt(1 + c * c)));
}

}  // namespace

GumbelRewards::GumbelRewards(const GumbelRewardsOptions& options) : options_(options) {
  require<ValueError>(options.features >= 3, "GumbelRewards: needs three features or more, not {}",
                      options.features);
}

TensorDataset GumbelRewards::sample(std::int64_t pairs, Generator& generator) const {
  const std::int64_t features = options_.features;
  TensorDataset data{empty({pairs, 2, features}), empty({pairs})};
  fill_normal(data.inputs, 0, 1, generator);
  auto* pair = elements<float>(data.inputs);
  for (std::int64_t i = 0; i < pairs; ++i, pair += 2 * features) {
    double margin = reward(pair) - reward(pair + features);
    if (generator.next_uniform() >= 1 / (1 + std::exp(-margin))) {
      std::swap_ranges(pair, pair + features, pair + features);
      margin = -margin;
    }
    elements<float>(data.targets)[i] = static_cast<float>(margin);
  }
  return data;
}

Tensor GumbelRewards::rewards(const Tensor& items) const {
  const std::vector<double> numbers = coordinates("GumbelRewards", items, options_.features);
  Tensor result = empty({items.size(0)}, kFloat64);
  for (std::int64_t i = 0; i < items.size(0); ++i)
    elements<double>(result)[i] = reward(numbers.data() + i * options_.features);
  return result;
}

double GumbelRewards::oracle_loss(const TensorDataset& pairs) const {
  const Tensor& items = pairs.inputs;
  require<ShapeError>(
      items.defined() && items.dim() == 3 && items.size(0) > 0 && items.size(1) == 2,
      "GumbelRewards: pairs must be [pairs, 2, {}] with pairs > 0, not {}", options_.features,
      items.defined() ? items.sizes() : Shape());
  const std::vector<double> r =
      rewards(items.reshape({2 * items.size(0), items.size(2)})).to_vector<double>();
  double sum = 0;
  for (std::size_t i = 0; i < r.size(); i += 2) sum += std::log1p(std::exp(r[i + 1] - r[i]));
  return sum / static_cast<double>(items.size(0));
}

}  // namespace retrace::data
