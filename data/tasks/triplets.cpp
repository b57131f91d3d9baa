#include <retrace/data/tasks/triplets.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {

Triplets::Triplets(const TripletsOptions& options) : options_(options), classes_(options.classes) {
  require<ValueError>(options.margin > 0 && std::isfinite(options.margin),
                      "Triplets: the margin must be above 0, not {}", options.margin);
}

TripletViews Triplets::sample(std::int64_t rows, Generator& generator) const {
  const Views pairs = classes_.sample(rows, generator);
  const Tensor others = randint(0, options_.classes.classes, {rows}, &generator);
  Tensor collision = empty({rows}, kBool);
  std::transform(elements<std::int64_t>(others), elements<std::int64_t>(others) + rows,
                 elements<std::int64_t>(pairs.labels), elements<bool>(collision), std::equal_to());
  return {pairs.first, pairs.second, classes_.view(others, generator), collision};
}

double Triplets::largest_distance() const {
  const auto classes = static_cast<double>(options_.classes.classes);
  const double squared = 2 * classes / (classes - 1);
  return options_.squared ? squared : std::sqrt(squared);
}

double Triplets::loss(double collisions) const {
  return collisions * options_.margin +
         (1 - collisions) * std::max(0.0, options_.margin - largest_distance());
}

double Triplets::oracle_loss(const Tensor& collision) const {
  require<ShapeError>(collision.dim() == 1 && collision.numel() > 0,
                      "Triplets: collisions must be [rows] with rows > 0, not {}",
                      collision.sizes());
  return loss(collision.to(kFloat64).mean().item<double>());
}

double Triplets::population_floor() const {
  return loss(1 / static_cast<double>(options_.classes.classes));
}

}  // namespace retrace::data
