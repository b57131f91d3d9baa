#include <retrace/data/tasks/soft_labels.h>

#include <array>
#include <cmath>
#include <numbers>

#include <retrace/data/tasks/points.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

using Logits = std::array<double, SoftLabels::kClasses>;

// The two factors of the logits.
Logits first_waves(double x) {
  Logits waves{};
  for (std::size_t k = 0; k < waves.size(); ++k)
    waves[k] = 2.5 * std::sin(2 * x + 2 * std::numbers::pi * static_cast<double>(k) / 3);
  return waves;
}
Logits second_waves(double x) {
  Logits waves{};
  for (std::size_t k = 0; k < waves.size(); ++k)
    waves[k] = std::cos(1.5 * x - static_cast<double>(k));
  return waves;
}
Logits times(const Logits& a, const Logits& b) {
  Logits product{};
  for (std::size_t k = 0; k < a.size(); ++k) product[k] = a[k] * b[k];
  return product;
}

// No logit is beyond ±2.5: nothing can overflow.
Logits softmax(const Logits& logits) {
  Logits p{};
  double sum = 0;
  for (std::size_t k = 0; k < p.size(); ++k) sum += p[k] = std::exp(logits[k]);
  for (double& share : p) share /= sum;
  return p;
}

double entropy(const Logits& logits) {
  double sum = 0;
  for (const double p : softmax(logits)) sum -= p * std::log(p);
  return sum;
}

std::int64_t draw(const Logits& logits, Generator& generator) {
  const Logits p = softmax(logits);
  const double u = generator.next_uniform();
  return u < p[0] ? 0 : u < p[0] + p[1] ? 1 : 2;
}

}  // namespace

TaughtRows SoftLabels::sample(std::int64_t rows, Generator& generator) const {
  TaughtRows taught = {empty({rows, 2}), empty({rows}, kInt64), empty({rows, kClasses})};
  fill_normal(taught.inputs, 0, 1, generator);
  const auto* point = elements<float>(taught.inputs);
  auto* logit = elements<float>(taught.logits);
  for (std::int64_t row = 0; row < rows; ++row, point += 2) {
    const Logits f = times(first_waves(point[0]), second_waves(point[1]));
    elements<std::int64_t>(taught.labels)[row] = draw(f, generator);
    for (const double value : f) *logit++ = static_cast<float>(value);
  }
  return taught;
}

Tensor SoftLabels::logits(const Tensor& points) const {
  const std::vector<double> xs = coordinates("SoftLabels", points, 2);
  Tensor result = empty({points.size(0), kClasses}, kFloat64);
  auto* logit = elements<double>(result);
  for (std::size_t i = 0; i < xs.size(); i += 2)
    for (const double value : times(first_waves(xs[i]), second_waves(xs[i + 1]))) *logit++ = value;
  return result;
}

double SoftLabels::oracle_loss(const TaughtRows& rows) const {
  const std::vector<double> xs = coordinates("SoftLabels", rows.inputs, 2);
  const std::vector<std::int64_t> labels = rows.labels.to_vector<std::int64_t>();
  require<ShapeError>(2 * labels.size() == xs.size() && !labels.empty(),
                      "SoftLabels: labels must be [rows] with rows > 0, not {}",
                      rows.labels.sizes());
  double sum = 0;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    require<IndexError>(labels[row] >= 0 && labels[row] < kClasses,
                        "SoftLabels: label {} is not one of {}", labels[row], kClasses);
    const Logits p = softmax(times(first_waves(xs[2 * row]), second_waves(xs[2 * row + 1])));
    sum -= std::log(p[static_cast<std::size_t>(labels[row])]);
  }
  return sum / static_cast<double>(labels.size());
}

double SoftLabels::soft_oracle_loss(const Tensor& points) const {
  const std::vector<double> xs = coordinates("SoftLabels", points, 2);
  require<ShapeError>(!xs.empty(), "SoftLabels: there are no points in {}", points.sizes());
  double sum = 0;
  for (std::size_t i = 0; i < xs.size(); i += 2)
    sum += entropy(times(first_waves(xs[i]), second_waves(xs[i + 1])));
  return sum / static_cast<double>(points.size(0));
}

double SoftLabels::population_floor() const {
  // For a smooth function with Gaussian weights the rule is exact to rounding.
  constexpr int kSteps = 8 * 16;
  constexpr double kStep = 1.0 / 16;
  const double scale = kStep / std::sqrt(2 * std::numbers::pi);
  double sum = 0;
  for (int i = -kSteps; i <= kSteps; ++i) {
    const double x = i * kStep;
    const Logits first = first_waves(x);
    double line = 0;
    for (int j = -kSteps; j <= kSteps; ++j) {
      const double y = j * kStep;
      line += scale * std::exp(-y * y / 2) * entropy(times(first, second_waves(y)));
    }
    sum += scale * std::exp(-x * x / 2) * line;
  }
  return sum;
}

}  // namespace retrace::data
