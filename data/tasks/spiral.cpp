#include <retrace/data/tasks/spiral.h>

#include <cmath>
#include <numbers>

#include <retrace/data/tasks/points.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;
constexpr double kInner = 0.2, kLength = 0.8;  // radius at t = 0, and what t = 1 adds

}  // namespace

Spiral::Spiral(const SpiralOptions& options) : options_(options) {
  require<ValueError>(options.arms >= 2, "Spiral: needs two arms or more, not {}", options.arms);
  require<ValueError>(options.noise > 0 && options.noise < 1,
                      "Spiral: noise must lie between 0 and 1, not {}", options.noise);
  require<ValueError>(options.width > 0 && options.width < 1,
                      "Spiral: width must lie between 0 and 1, not {}", options.width);
}

TensorDataset Spiral::sample(std::int64_t rows, Generator& generator) const {
  const std::int64_t arms = options_.arms;
  const double distance = kTurn / static_cast<double>(arms);
  TensorDataset data{empty({rows, 2}), empty({rows}, kInt64)};
  auto* point = elements<float>(data.inputs);
  auto* label = elements<std::int64_t>(data.targets);
  // One draw of five numbers a row, in turn: the same stream whatever the size of a batch.
  for (std::int64_t row = 0; row < rows; ++row, point += 2, ++label) {
    const double t = generator.next_uniform();
    const std::int64_t arm = generator.next_below(arms);
    const double w = (generator.next_uniform() - 0.5) * options_.width * distance;
    const bool wrong = generator.next_uniform() < options_.noise;
    const std::int64_t other = generator.next_below(arms - 1);
    const double angle = static_cast<double>(arm) * distance + kTurn * t + w;
    const double radius = kInner + kLength * t;
    point[0] = static_cast<float>(radius * std::cos(angle));
    point[1] = static_cast<float>(radius * std::sin(angle));
    *label = wrong ? (arm + 1 + other) % arms : arm;
  }
  return data;
}

Tensor Spiral::arm_of(const Tensor& points) const {
  const std::vector<double> numbers = coordinates("Spiral", points, 2);
  const double* point = numbers.data();
  const std::int64_t arms = options_.arms;
  Tensor result = empty({points.size(0)}, kInt64);
  for (std::int64_t row = 0; row < points.size(0); ++row, point += 2) {
    const double t = (std::hypot(point[0], point[1]) - kInner) / kLength;
    const double turns = std::atan2(point[1], point[0]) / kTurn - t;
    const std::int64_t arm = std::llround(turns * static_cast<double>(arms)) % arms;
    elements<std::int64_t>(result)[row] = arm < 0 ? arm + arms : arm;
  }
  return result;
}

double Spiral::oracle_loss(const TensorDataset& rows) const {
  check_dataset("Spiral", rows);
  const std::vector<std::int64_t> arms = arm_of(rows.inputs).to_vector<std::int64_t>();
  const std::vector<std::int64_t> labels = rows.targets.to_vector<std::int64_t>();
  require<ShapeError>(labels.size() == arms.size() && !arms.empty(),
                      "Spiral: labels must be [rows] with rows > 0, not {}", rows.targets.sizes());
  const double wrong_arms = static_cast<double>(options_.arms - 1);
  std::int64_t wrong = 0;
  for (std::size_t row = 0; row < arms.size(); ++row) wrong += arms[row] != labels[row];
  const double n = static_cast<double>(arms.size()), share = static_cast<double>(wrong) / n;
  return -(1 - share) * std::log(1 - options_.noise) -
         share * std::log(options_.noise / wrong_arms);
}

double Spiral::population_floor() const {
  const double eta = options_.noise, others = static_cast<double>(options_.arms - 1);
  return -(1 - eta) * std::log(1 - eta) - eta * std::log(eta / others);
}

}  // namespace retrace::data
