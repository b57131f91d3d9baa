#include <retrace/data/tasks/exponential_noise.h>

#include <cmath>
#include <numbers>

#include <retrace/data/tasks/points.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

constexpr double kNarrowest = 0.2, kWidening = 0.3;

double middle(double x) { return std::sin(std::numbers::pi * x); }
double width(double x) { return kNarrowest + kWidening * x * x; }

// -ln(1-τ), quantile τ of E.
double exponential_quantile(double level) {
  require<ValueError>(level > 0 && level < 1,
                      "ExponentialNoise: a level must lie between 0 and 1, not {}", level);
  return -std::log1p(-level);
}

// What minimises the mean Huber loss of E: where errors, cut at ±c, cancel. Of those above q the
// mean is e^-q - e^-(q+c); of those below, with a the larger of q-c and 0, q - a - e^-a + e^-q.
double exponential_huber(double c) {
  double low = std::numbers::ln2, high = 1;  // the median and the mean
  for (int i = 0; i < 60; ++i) {
    const double q = (low + high) / 2, a = std::max(q - c, 0.0);
    const double above = std::exp(-q) - std::exp(-q - c);
    const double below = q - a - std::exp(-a) + std::exp(-q);
    (above > below ? low : high) = q;
  }
  return low;
}

// m(x) + s(x) (noise(s(x)) - 1) at each point.
template <class Noise>
Tensor curve(const Tensor& points, Noise&& noise) {
  const std::vector<double> xs = coordinates("ExponentialNoise", points, 1);
  Tensor result = empty({points.size(0)}, kFloat64);
  double* y = elements<double>(result);
  for (const double x : xs) *y++ = middle(x) + width(x) * (noise(width(x)) - 1);
  return result;
}

}  // namespace

TensorDataset ExponentialNoise::sample(std::int64_t rows, Generator& generator) const {
  TensorDataset data{empty({rows, 1}), empty({rows})};
  for (std::int64_t row = 0; row < rows; ++row) {
    const double x = 2 * generator.next_uniform() - 1;
    const double noise = -std::log1p(-generator.next_uniform());
    elements<float>(data.inputs)[row] = static_cast<float>(x);
    elements<float>(data.targets)[row] = static_cast<float>(middle(x) + width(x) * (noise - 1));
  }
  return data;
}

Tensor ExponentialNoise::mean(const Tensor& points) const {
  return curve(points, [](double) { return 1.0; });
}

Tensor ExponentialNoise::quantile(const Tensor& points, double level) const {
  const double q = exponential_quantile(level);
  return curve(points, [q](double) { return q; });
}

Tensor ExponentialNoise::huber(const Tensor& points, double delta) const {
  require<ValueError>(delta > 0, "ExponentialNoise: delta must be above 0, not {}", delta);
  return curve(points, [delta](double s) { return exponential_huber(delta / s); });
}

double ExponentialNoise::oracle_loss(const TensorDataset& rows, double level) const {
  check_dataset("ExponentialNoise", rows);
  const std::vector<double> truth = quantile(rows.inputs, level).to_vector<double>();
  const std::vector<double> given = rows.targets.to_vector<double>();
  require<ShapeError>(rows.targets.dim() == 1 && !given.empty(),
                      "ExponentialNoise: targets must be [rows] with rows > 0, not {}",
                      rows.targets.sizes());
  double sum = 0;
  for (std::size_t row = 0; row < given.size(); ++row) {
    const double error = given[row] - truth[row];
    sum += std::max(level * error, (level - 1) * error);
  }
  return sum / static_cast<double>(given.size());
}

double ExponentialNoise::population_floor(double level) const {
  return (kNarrowest + kWidening / 3) * (1 - level) * exponential_quantile(level);
}

double ExponentialNoise::mse_floor() const {
  return kNarrowest * kNarrowest + 2 * kNarrowest * kWidening / 3 + kWidening * kWidening / 5;
}

}  // namespace retrace::data
