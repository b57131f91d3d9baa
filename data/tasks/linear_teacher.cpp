#include <retrace/data/tasks/linear_teacher.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <retrace/data/tasks/points.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

using Vector = std::vector<double>;

double dot(const Vector& a, const double* b) {
  return std::inner_product(a.begin(), a.end(), b, 0.0);
}

void normalise(Vector& x) {
  const double length = std::sqrt(dot(x, x.data()));
  for (double& value : x) value /= length;
}

// `count` more directions, each orthogonal to all before it (Gram and Schmidt).
void add_directions(std::vector<Vector>& basis, std::size_t size, std::size_t count,
                    Generator& generator) {
  for (std::size_t i = 0; i < count; ++i) {
    Vector x = randn({static_cast<std::int64_t>(size)}, kFloat64, &generator).to_vector<double>();
    for (int pass = 0; pass < 2; ++pass)  // the second removes the rounding of the first
      for (const Vector& other : basis) {
        const double along = dot(other, x.data());
        for (std::size_t j = 0; j < size; ++j) x[j] -= along * other[j];
      }
    normalise(x);
    basis.push_back(std::move(x));
  }
}

}  // namespace

LinearTeacher::LinearTeacher(const LinearTeacherOptions& options) : options_(options) {
  const std::vector<double>& sigma = options.singular_values;
  require<ValueError>(options.classes >= 2, "LinearTeacher: needs two classes or more, not {}",
                      options.classes);
  require<ValueError>(options.features >= 1, "LinearTeacher: needs a feature or more, not {}",
                      options.features);
  require<ValueError>(
      std::ssize(sigma) <= std::min(options.classes - 1, options.features),
      "LinearTeacher: {} singular values are too many for {} classes and {} features", sigma.size(),
      options.classes, options.features);
  require<ValueError>(std::all_of(sigma.begin(), sigma.end(),
                                  [](double s) { return s >= 0 && std::isfinite(s); }) &&
                          std::is_sorted(sigma.rbegin(), sigma.rend()),
                      "LinearTeacher: singular values must not be negative, and must fall, not {}",
                      fmt::join(sigma, ", "));
  Generator generator(options.seed);
  const auto classes = static_cast<std::size_t>(options.classes);
  left_.emplace_back(classes, 1.0);
  normalise(left_[0]);
  add_directions(left_, classes, sigma.size(), generator);
  left_.erase(left_.begin());
  add_directions(right_, static_cast<std::size_t>(options.features), sigma.size(), generator);
}

TensorDataset LinearTeacher::sample(std::int64_t rows, Generator& generator) const {
  TensorDataset data = {empty({rows, options_.features}), empty({rows, options_.classes})};
  fill_normal(data.inputs, 0, 1, generator);
  const std::vector<double> points = data.inputs.to_vector<double>();
  const double* point = points.data();
  auto* logit = elements<float>(data.targets);
  const auto classes = static_cast<std::size_t>(options_.classes);
  Vector logits(classes);
  for (std::int64_t row = 0; row < rows; ++row, point += options_.features) {
    std::fill(logits.begin(), logits.end(), 0.0);
    for (std::size_t i = 0; i < left_.size(); ++i) {
      const double along = options_.singular_values[i] * dot(right_[i], point);
      for (std::size_t k = 0; k < classes; ++k) logits[k] += along * left_[i][k];
    }
    for (const double value : logits) *logit++ = static_cast<float>(value);
  }
  return data;
}

Tensor LinearTeacher::weight(std::int64_t rank) const {
  require<ValueError>(rank >= 0, "LinearTeacher: a rank of {} is below 0", rank);
  Tensor result = zeros({options_.classes, options_.features}, kFloat64);
  const auto kept = std::min(static_cast<std::size_t>(rank), left_.size());
  for (std::size_t i = 0; i < kept; ++i) {
    auto* weight = elements<double>(result);
    for (const double left : left_[i])
      for (const double right : right_[i]) *weight++ += options_.singular_values[i] * left * right;
  }
  return result;
}

double LinearTeacher::oracle_loss(const Tensor& points, std::int64_t rank) const {
  require<ValueError>(rank >= 0, "LinearTeacher: a rank of {} is below 0", rank);
  const std::vector<double> numbers = coordinates("LinearTeacher", points, options_.features);
  require<ShapeError>(!numbers.empty(), "LinearTeacher: there are no points in {}", points.sizes());
  double sum = 0;
  const double* point = numbers.data();
  for (std::int64_t row = 0; row < points.size(0); ++row, point += options_.features)
    for (auto i = static_cast<std::size_t>(rank); i < right_.size(); ++i) {
      const double lost = options_.singular_values[i] * dot(right_[i], point);
      sum += lost * lost;
    }
  return sum / static_cast<double>(2 * options_.classes * points.size(0));
}

double LinearTeacher::population_floor(std::int64_t rank) const {
  require<ValueError>(rank >= 0, "LinearTeacher: a rank of {} is below 0", rank);
  double sum = 0;
  for (auto i = static_cast<std::size_t>(rank); i < left_.size(); ++i)
    sum += options_.singular_values[i] * options_.singular_values[i];
  return sum / static_cast<double>(2 * options_.classes);
}

}  // namespace retrace::data
