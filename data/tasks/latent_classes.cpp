#include <retrace/data/tasks/latent_classes.h>

#include <cmath>
#include <vector>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

// The loss of a sample that shares its class with `collisions` of `others` samples.
double loss_at(std::int64_t collisions, std::int64_t others, std::int64_t classes,
               const ContrastOptions& options) {
  const auto views = static_cast<double>(options.views), c = static_cast<double>(classes);
  // e^-∞ = 0 at temperature 0.
  const double apart = std::exp(-(1 + 1 / (c - 1)) / options.temperature);
  return std::log(1 + views * static_cast<double>(collisions) +
                  views * static_cast<double>(others - collisions) * apart);
}

// The mean of f(M), M ~ Binomial(trials, p).
template <class F>
double binomial_mean(std::int64_t trials, double p, F&& f) {
  const auto n = static_cast<double>(trials);
  double mean = 0;
  for (std::int64_t m = 0; m <= trials; ++m) {
    const auto k = static_cast<double>(m);
    const double log_choices = std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1);
    mean += std::exp(log_choices + k * std::log(p) + (n - k) * std::log1p(-p)) * f(m);
  }
  return mean;
}

void check(const ContrastOptions& options, std::int64_t batch) {
  require<ValueError>(batch >= 1, "LatentClasses: a batch needs a sample, not {}", batch);
  require<ValueError>(options.temperature >= 0,
                      "LatentClasses: the temperature must not be negative, not {}",
                      options.temperature);
  require<ValueError>(options.views == 1 || options.views == 2,
                      "LatentClasses: 1 or 2 views of a sample compete, not {}", options.views);
}

}  // namespace

LatentClasses::LatentClasses(const LatentClassesOptions& options) : options_(options) {
  require<ValueError>(options.classes >= 2, "LatentClasses: needs two classes or more, not {}",
                      options.classes);
  require<ValueError>(options.features >= 1, "LatentClasses: needs a feature or more, not {}",
                      options.features);
  require<ValueError>(options.noise > 0 && std::isfinite(options.noise),
                      "LatentClasses: the noise must be above 0, not {}", options.noise);
  Generator generator(options.seed);
  centres_ = randn({options.classes, options.features}, kFloat32, &generator);
}

Views LatentClasses::sample(std::int64_t rows, Generator& generator) const {
  const Tensor labels = randint(0, options_.classes, {rows}, &generator);
  const Tensor first = view(labels, generator);
  return {first, view(labels, generator), labels};
}

TensorDataset LatentClasses::pairs(std::int64_t rows, Generator& generator) const {
  const Views views = sample(rows, generator);
  const Tensor both = empty({rows, 2, options_.features});
  both.select(1, 0).copy_(views.first);
  both.select(1, 1).copy_(views.second);
  return {both, views.labels};
}

Tensor LatentClasses::view(const Tensor& labels, Generator& generator) const {
  Tensor result = take_rows(centres_, labels.to_vector<std::int64_t>());
  const Tensor noise = empty(result.sizes());
  fill_normal(noise, 0, options_.noise, generator);
  return result.add_(noise);
}

double LatentClasses::oracle_loss(const Tensor& labels, const ContrastOptions& options) const {
  const std::vector<std::int64_t> classes = labels.to_vector<std::int64_t>();
  const std::int64_t batch = std::ssize(classes);
  check(options, batch);
  std::vector<std::int64_t> counts(static_cast<std::size_t>(options_.classes));
  for (const std::int64_t label : classes) {
    require<IndexError>(label >= 0 && label < options_.classes,
                        "LatentClasses: label {} is not one of {} classes", label,
                        options_.classes);
    ++counts[static_cast<std::size_t>(label)];
  }
  double sum = 0;
  for (const std::int64_t count : counts) {
    if (count == 0) continue;
    sum += static_cast<double>(count) * loss_at(count - 1, batch - 1, options_.classes, options);
  }
  return sum / static_cast<double>(batch);
}

double LatentClasses::population_floor(std::int64_t batch, const ContrastOptions& options) const {
  check(options, batch);
  return binomial_mean(batch - 1, 1 / static_cast<double>(options_.classes), [&](std::int64_t m) {
    return loss_at(m, batch - 1, options_.classes, options);
  });
}

double LatentClasses::retrieval_ceiling(std::int64_t batch, std::int64_t views) const {
  check({.views = views}, batch);
  return binomial_mean(batch - 1, 1 / static_cast<double>(options_.classes),
                       [&](std::int64_t m) { return 1 / (1 + static_cast<double>(views * m)); });
}

}  // namespace retrace::data
