#include <retrace/data/tasks/gaussians.h>

#include <cmath>
#include <numbers>

#include <retrace/data/tasks/points.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

double normal_cdf(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }

// -ln σ(±logit)
double cross_entropy(double logit, bool positive) {
  const double margin = positive ? logit : -logit;
  return std::log1p(std::exp(-std::abs(margin))) + std::max(-margin, 0.0);
}

}  // namespace

Gaussians::Gaussians(const GaussiansOptions& options) : options_(options) {
  require<ValueError>(options.features >= 1, "Gaussians: needs a feature or more, not {}",
                      options.features);
  require<ValueError>(options.distance > 0 && std::isfinite(options.distance),
                      "Gaussians: the distance must be above 0, not {}", options.distance);
  require<ValueError>(options.positives > 0 && options.positives < 1,
                      "Gaussians: the share of positives must lie between 0 and 1, not {}",
                      options.positives);
}

TensorDataset Gaussians::sample(std::int64_t rows, Generator& generator) const {
  const std::int64_t features = options_.features;
  const auto mean =
      static_cast<float>(options_.distance / (2 * std::sqrt(static_cast<double>(features))));
  TensorDataset data{empty({rows, features}), empty({rows}, kInt64)};
  fill_normal(data.inputs, 0, 1, generator);
  auto* point = elements<float>(data.inputs);
  for (std::int64_t row = 0; row < rows; ++row, point += features) {
    const bool positive = generator.next_uniform() < options_.positives;
    elements<std::int64_t>(data.targets)[row] = positive;
    for (std::int64_t i = 0; i < features; ++i) point[i] += positive ? mean : -mean;
  }
  return data;
}

double Gaussians::prior_logit() const {
  return std::log(options_.positives / (1 - options_.positives));
}

Tensor Gaussians::logits(const Tensor& points) const {
  const std::int64_t features = options_.features;
  const std::vector<double> numbers = coordinates("Gaussians", points, features);
  const double weight = options_.distance / std::sqrt(static_cast<double>(features));  // 2 μ
  Tensor result = empty({points.size(0)}, kFloat64);
  const double* point = numbers.data();
  for (std::int64_t row = 0; row < points.size(0); ++row, point += features) {
    double logit = prior_logit();
    for (std::int64_t i = 0; i < features; ++i) logit += weight * point[i];
    elements<double>(result)[row] = logit;
  }
  return result;
}

double Gaussians::oracle_loss(const TensorDataset& rows) const {
  check_dataset("Gaussians", rows);
  const std::vector<double> truth = logits(rows.inputs).to_vector<double>();
  const std::vector<std::int64_t> labels = rows.targets.to_vector<std::int64_t>();
  require<ShapeError>(labels.size() == truth.size() && !labels.empty(),
                      "Gaussians: labels must be [rows] with rows > 0, not {}",
                      rows.targets.sizes());
  double sum = 0;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    sum += cross_entropy(truth[row], labels[row] == 1);
  }
  return sum / static_cast<double>(labels.size());
}

double Gaussians::population_mean(
    const std::function<Tensor(const Tensor& logits, const Tensor& labels)>& loss) const {
  // What lies further out than 12 deviations weighs less than rounding.
  constexpr std::int64_t kSteps = std::int64_t{12} * 512;
  constexpr double kStep = 12.0 / kSteps;
  const double distance = options_.distance, half = distance * distance / 2;
  std::vector<double> logits, labels, weights;
  for (const bool positive : {true, false})
    for (std::int64_t i = -kSteps; i <= kSteps; ++i) {
      const double z = static_cast<double>(i) * kStep;
      logits.push_back(prior_logit() + (positive ? half : -half) + distance * z);
      labels.push_back(positive ? 1 : 0);
      weights.push_back(kStep * std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi) *
                        (positive ? options_.positives : 1 - options_.positives));
    }
  const std::vector<double> losses =
      loss(from_vector(logits), from_vector(labels)).to_vector<double>();
  require<ShapeError>(losses.size() == weights.size(),
                      "Gaussians: the loss must be one number for each of [{}] points, not for {}",
                      weights.size(), losses.size());
  double mean = 0;
  for (std::size_t i = 0; i < losses.size(); ++i) mean += weights[i] * losses[i];
  return mean;
}

double Gaussians::population_floor() const {
  return population_mean([](const Tensor& logits, const Tensor& labels) {
    Tensor losses = empty_like(logits);
    for (std::int64_t i = 0; i < losses.numel(); ++i)
      elements<double>(losses)[i] =
          cross_entropy(elements<double>(logits)[i], elements<double>(labels)[i] == 1);
    return losses;
  });
}

double Gaussians::error_floor() const {
  const double distance = options_.distance, shift = prior_logit() / distance;
  return options_.positives * normal_cdf(-distance / 2 - shift) +
         (1 - options_.positives) * normal_cdf(-distance / 2 + shift);
}

double Gaussians::roc_auc_ceiling() const {
  return normal_cdf(options_.distance / std::numbers::sqrt2);
}

}  // namespace retrace::data
