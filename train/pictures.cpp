#include <retrace/autograd/autograd.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/train/pictures.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace retrace::train {

namespace {

// The middles of cells · cells places of a rectangle, row by row from the bottom left.
Tensor places_of(double left, double right, double bottom, double top, int cells) {
  Tensor places = empty({cells, cells, 2});
  const auto middles = [cells](double from, double to) {
    return (arange(cells).to(kFloat32) + 0.5) * ((to - from) / cells) + from;
  };
  places.select(2, 0).copy_(middles(left, right));
  places.select(2, 1).copy_(middles(bottom, top).unsqueeze(1));
  return places.view({static_cast<std::int64_t>(cells) * cells, 2});
}

}  // namespace

Figure::Raster decision_regions(const std::function<Tensor(const Tensor&)>& probabilities,
                                double left, double right, double bottom, double top, int cells) {
  const NoGradGuard no_grad;
  const Tensor p = probabilities(places_of(left, right, bottom, top, cells));
  const auto best = max(p, 1);
  const double chance = 1.0 / static_cast<double>(p.size(1));
  const Tensor strength = ((best.values - chance) / (1 - chance)).clamp(0, 1);
  return {cells,
          cells,
          left,
          right,
          bottom,
          top,
          best.indices.to_vector<std::int64_t>(),
          strength.to_vector<double>()};
}

void add_edge(Figure& figure, const std::string& name,
              const std::function<Tensor(const Tensor&)>& probability, double left, double right,
              double bottom, double top, int cells) {
  const NoGradGuard no_grad;
  const Tensor places = places_of(left, right, bottom, top, cells);
  const std::vector<bool> is = gt(probability(places), 0.5).to_vector<bool>();
  const Figure::Numbers x = column(places, 0), y = column(places, 1);
  Figure::Numbers xs, ys;
  const auto side = static_cast<std::size_t>(cells);
  const auto between = [&](std::size_t a, std::size_t b) {
    if (is[a] == is[b]) return;
    xs.push_back((x[a] + x[b]) / 2);
    ys.push_back((y[a] + y[b]) / 2);
  };
  for (std::size_t i = 0; i < is.size(); ++i) {
    if ((i + 1) % side != 0) between(i, i + 1);
    if (i + side < is.size()) between(i, i + side);
  }
  figure.dots(name, std::move(xs), std::move(ys));
}

void add_circle(Figure& figure, const std::string& name, double x, double y, double radius) {
  constexpr int kCorners = 96;
  Figure::Numbers xs, ys;
  for (int i = 0; i <= kCorners; ++i) {
    const double angle = 2 * std::numbers::pi * i / kCorners;
    xs.push_back(x + radius * std::cos(angle));
    ys.push_back(y + radius * std::sin(angle));
  }
  figure.line(name, std::move(xs), std::move(ys), Figure::dashed);
}

void add_points(Figure& figure, const Tensor& points, const Tensor& labels,
                const std::vector<std::string>& names, std::int64_t most) {
  require<ShapeError>(points.dim() == 2 && points.size(1) == 2 && labels.dim() == 1 &&
                          labels.size(0) == points.size(0),
                      "add_points: points must be [rows, 2] and labels [rows], not {} and {}",
                      points.sizes(), labels.sizes());
  const std::vector<std::int64_t> of = labels.to_vector<std::int64_t>();
  const Figure::Numbers x = column(points, 0), y = column(points, 1);
  const auto rows = static_cast<std::size_t>(std::min(most, points.size(0)));
  for (std::size_t k = 0; k < names.size(); ++k) {
    Figure::Numbers xs, ys;
    for (std::size_t r = 0; r < rows; ++r) {
      if (of[r] != static_cast<std::int64_t>(k)) continue;
      xs.push_back(x[r]);
      ys.push_back(y[r]);
    }
    figure.dots(names[k], xs, ys);
  }
}

void add_lines(Figure& figure, const Tensor& x, const Tensor& curves,
               const std::vector<std::string>& names, Figure::Stroke stroke) {
  require<ShapeError>(x.dim() == 1 && curves.sizes() == Shape({x.size(0), std::ssize(names)}),
                      "add_lines: x must be [points] and curves [points, {}], not {} and {}",
                      names.size(), x.sizes(), curves.sizes());
  for (std::size_t k = 0; k < names.size(); ++k)
    figure.line(names[k], x.to_vector<double>(), column(curves, static_cast<std::int64_t>(k)),
                stroke);
}

Figure::Numbers column(const Tensor& matrix, std::int64_t k) {
  return matrix.detach().select(1, k).to_vector<double>();
}

Figure class_figure(const Tensor& vectors, const Tensor& labels,
                    const std::vector<std::string>& names) {
  Figure figure("The classes, in the plane in which they vary most", "", "");
  add_points(figure.square(), principal_plane(vectors), labels, names);
  return figure;
}

Tensor principal_plane(const Tensor& points) {
  require<ShapeError>(points.dim() == 2 && points.size(1) >= 2,
                      "principal_plane: points must be [rows, dims] of two dims at least, not {}",
                      points.sizes());
  const NoGradGuard no_grad;
  const Tensor centred = points.to(kFloat64) - points.to(kFloat64).mean(0, true);
  const Tensor covariance = centred.t().matmul(centred);
  // Two directions by repeated multiplication, made orthonormal each time.
  Tensor first = ones({points.size(1), 1}, kFloat64), second = first.clone();
  for (std::int64_t d = 1; d < points.size(1); d += 2) second[d].mul_(-1.0);
  for (int round = 0; round < 200; ++round) {
    first = normalize(covariance.matmul(first), 2, 0);
    second = covariance.matmul(second);
    second = normalize(second - first * (first * second).sum(), 2, 0);
  }
  return centred.matmul(cat({first, second}, 1)).to(points.dtype());
}

}  // namespace retrace::train
