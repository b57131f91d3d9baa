#include <retrace/data/tasks/discs.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <retrace/data/tasks/points.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

double entropy(double p) { return -p * std::log(p) - (1 - p) * std::log(1 - p); }

double to_centre(const Disc& disc, double x, double y) {
  return std::hypot(x - disc.x, y - disc.y);
}

struct Interval {
  double begin = 0, end = 0;
};

// Where a line of this height crosses a circle; empty when it does not.
Interval chord(const Disc& disc, double radius, double y) {
  const double height = y - disc.y;
  const double half = std::sqrt(std::max(radius * radius - height * height, 0.0));
  return {disc.x - half, disc.x + half};
}

// The length of what `parts`, sorted and disjoint, have within one interval.
double length_within(const std::vector<Interval>& parts, const Interval& whole) {
  double length = 0;
  for (const Interval& part : parts) {
    length += std::max(std::min(part.end, whole.end) - std::max(part.begin, whole.begin), 0.0);
  }
  return length;
}

// A line from -1 to 1 at this height, without the rings around the circles.
std::vector<Interval> kept_of_line(const DiscsOptions& options, double y) {
  std::vector<Interval> holes;
  for (const Disc& disc : options.discs) {
    const Interval outer = chord(disc, disc.radius + options.margin, y);
    const Interval inner = chord(disc, std::max(disc.radius - options.margin, 0.0), y);
    holes.push_back({outer.begin, inner.begin});
    holes.push_back({inner.end, outer.end});
  }
  std::sort(holes.begin(), holes.end(),
            [](const Interval& a, const Interval& b) { return a.begin < b.begin; });
  std::vector<Interval> kept;
  double begin = -1;
  for (const Interval& hole : holes) {
    if (hole.begin > begin) kept.push_back({begin, std::min(hole.begin, 1.0)});
    begin = std::max(begin, hole.end);
  }
  if (begin < 1) kept.push_back({begin, 1});
  return kept;
}

}  // namespace

Discs::Discs(const DiscsOptions& options) : options_(options), shares_(options.discs.size()) {
  require<ValueError>(!options.discs.empty(), "Discs: needs a disc or more");
  require<ValueError>(options.margin >= 0 && std::isfinite(options.margin),
                      "Discs: the margin must not be negative, not {}", options.margin);
  for (const Disc& disc : options.discs) {
    require<ValueError>(disc.radius > 0 && std::abs(disc.x) + disc.radius <= 1 &&
                            std::abs(disc.y) + disc.radius <= 1,
                        "Discs: a disc of radius {} around ({}, {}) must lie within -1 .. 1",
                        disc.radius, disc.x, disc.y);
    require<ValueError>(disc.noise > 0 && disc.noise < 0.5,
                        "Discs: noise must lie between 0 and 1/2, not {}", disc.noise);
  }
  constexpr int kLines = 1 << 15;
  double length = 0;
  for (int line = 0; line < kLines; ++line) {
    const double y = (2 * line + 1.0) / kLines - 1;
    const std::vector<Interval> kept = kept_of_line(options_, y);
    length += length_within(kept, {-1, 1});
    for (std::size_t k = 0; k < shares_.size(); ++k) {
      shares_[k] += length_within(kept, chord(options_.discs[k], options_.discs[k].radius, y));
    }
  }
  kept_ = length / (2.0 * kLines);
  require<ValueError>(kept_ > 1e-3, "Discs: a margin of {} leaves no points", options.margin);
  for (double& share : shares_) share /= length;
}

TensorDataset Discs::sample(std::int64_t rows, Generator& generator) const {
  const auto& discs = options_.discs;
  TensorDataset data{empty({rows, 2}), empty({rows, labels()})};
  auto* point = elements<float>(data.inputs);
  auto* label = elements<float>(data.targets);
  for (std::int64_t row = 0; row < rows; ++row, point += 2) {
    double x = 0, y = 0;
    const auto is_near = [&](const Disc& disc) {
      return std::abs(to_centre(disc, x, y) - disc.radius) <= options_.margin;
    };
    do {
      x = 2 * generator.next_uniform() - 1;
      y = 2 * generator.next_uniform() - 1;
    } while (std::any_of(discs.begin(), discs.end(), is_near));
    point[0] = static_cast<float>(x);
    point[1] = static_cast<float>(y);
    for (const Disc& disc : discs) {
      const bool truth = to_centre(disc, x, y) < disc.radius;
      const bool wrong = generator.next_uniform() < disc.noise;
      *label++ = truth != wrong ? 1.0f : 0.0f;
    }
  }
  return data;
}

Tensor Discs::inside(const Tensor& points) const {
  const std::vector<double> xy = coordinates("Discs", points, 2);
  Tensor result = empty({points.size(0), labels()});
  auto* truth = elements<float>(result);
  for (std::size_t i = 0; i < xy.size(); i += 2) {
    for (const Disc& disc : options_.discs) {
      *truth++ = to_centre(disc, xy[i], xy[i + 1]) < disc.radius ? 1.0f : 0.0f;
    }
  }
  return result;
}

Tensor Discs::probabilities(const Tensor& points) const {
  Tensor result = inside(points);
  auto* p = elements<float>(result);
  for (std::int64_t i = 0; i < result.numel(); ++i) {
    const auto noise =
        static_cast<float>(options_.discs[static_cast<std::size_t>(i % labels())].noise);
    p[i] = p[i] == 1 ? 1 - noise : noise;
  }
  return result;
}

double Discs::oracle_loss(const TensorDataset& rows) const {
  check_dataset("Discs", rows);
  const std::vector<float> truth = inside(rows.inputs).to_vector<float>();
  const std::vector<float> given = rows.targets.to_vector<float>();
  require<ShapeError>(rows.targets.dim() == 2 && given.size() == truth.size() && !given.empty(),
                      "Discs: labels must be [rows, {}] with rows > 0, not {}", labels(),
                      rows.targets.sizes());
  double sum = 0;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const double noise = options_.discs[i % options_.discs.size()].noise;
    sum -= std::log(given[i] == truth[i] ? 1 - noise : noise);
  }
  return sum / static_cast<double>(rows.size());
}

double Discs::population_floor() const {
  double floor = 0;
  for (const Disc& disc : options_.discs) floor += entropy(disc.noise);
  return floor;
}

double Discs::constant_loss() const {
  double loss = 0;
  for (std::size_t k = 0; k < shares_.size(); ++k) {
    const double noise = options_.discs[k].noise;
    loss += entropy(shares_[k] * (1 - noise) + (1 - shares_[k]) * noise);
  }
  return loss;
}

double Discs::exact_match_ceiling() const {
  double product = 1;
  for (const Disc& disc : options_.discs) product *= 1 - disc.noise;
  return product;
}

double Discs::f1_ceiling(std::int64_t label) const {
  require<IndexError>(label >= 0 && label < labels(), "Discs: label {} is not one of {}", label,
                      labels());
  const auto k = static_cast<std::size_t>(label);
  const double noise = options_.discs[k].noise, hits = 2 * shares_[k] * (1 - noise);
  return hits / (hits + noise);
}

double Discs::micro_f1_ceiling() const {
  double hits = 0, errors = 0;
  for (std::size_t k = 0; k < shares_.size(); ++k) {
    hits += 2 * shares_[k] * (1 - options_.discs[k].noise);
    errors += options_.discs[k].noise;
  }
  return hits / (hits + errors);
}

double Discs::macro_f1_ceiling() const {
  double sum = 0;
  for (std::int64_t label = 0; label < labels(); ++label) sum += f1_ceiling(label);
  return sum / static_cast<double>(labels());
}

}  // namespace retrace::data
