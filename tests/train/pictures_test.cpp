#include <doctest/doctest.h>

#include <cmath>

#include <retrace/retrace.h>

using namespace retrace;

TEST_CASE("decision regions lie where the model says") {
  // Class 1 to the right of 0, and surer above than below.
  const auto raster = train::decision_regions(
      [](const Tensor& x) {
        const Tensor right = gt(x.select(1, 0), 0.0).to(kFloat32);
        const Tensor sure =
            where(gt(x.select(1, 1), 0.0), ones({x.size(0)}), full({x.size(0)}, 0.75));
        const Tensor p = right * sure + (1 - right) * (1 - sure);
        return stack({1 - p, p}, 1);
      },
      -1, 1, -2, 2, 4);
  CHECK(raster.cells == std::vector<std::int64_t>{0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1});
  CHECK(raster.strength[0] == doctest::Approx(0.5));
  CHECK(raster.strength[15] == doctest::Approx(1.0));
}

TEST_CASE("each column of a matrix becomes a line") {
  train::Figure figure("t", "x", "y");
  const Tensor x = tensor({0.0, 1.0, 2.0});
  const Tensor curves = tensor({{0.0, 1.0}, {2.0, 3.0}, {4.0, 5.0}});
  train::add_lines(figure, x, curves, {"a", "b"}, train::Figure::dashed);
  train::Figure same("t", "x", "y");
  same.line("a", {0, 1, 2}, {0, 2, 4}, train::Figure::dashed);
  same.line("b", {0, 1, 2}, {1, 3, 5}, train::Figure::dashed);
  CHECK(figure.svg() == same.svg());
  CHECK_THROWS_AS(train::add_lines(figure, x, curves, {"a"}), ShapeError);
  CHECK_THROWS_AS(train::add_lines(figure, x.unsqueeze(1), curves, {"a", "b"}), ShapeError);
}

TEST_CASE("the principal plane shows the two widest directions") {
  manual_seed(5);
  // Widths 5 and 2 along two directions that are no axes, 0.1 along the third.
  const double s = 1 / std::sqrt(2.0);
  const Tensor axes = tensor({{s, s, 0.0}, {0.0, 0.0, 1.0}, {s, -s, 0.0}});
  const Tensor widths = tensor({{5.0, 2.0, 0.1}});
  const Tensor flat = train::principal_plane((randn({4000, 3}) * widths).matmul(axes) + 7.0);
  CHECK(flat.sizes() == Shape{4000, 2});
  CHECK(std::abs(flat.mean().item<double>()) < 1e-4);
  const Tensor deviation = flat.square().mean(0).sqrt();
  CHECK(deviation[0].item<double>() == doctest::Approx(5).epsilon(0.05));
  CHECK(deviation[1].item<double>() == doctest::Approx(2).epsilon(0.05));
  const double product = (flat.select(1, 0) * flat.select(1, 1)).mean().item<double>();
  CHECK(std::abs(product) < 0.02);
  CHECK_THROWS_AS(train::principal_plane(zeros({5, 1})), ShapeError);
}

TEST_CASE("points are coloured by their labels, and no more than wanted") {
  train::Figure figure("points", "x", "y");
  train::add_points(figure, zeros({10, 2}), tensor({0, 1, 0, 1, 0, 1, 0, 1, 0, 1}), {"a", "b"}, 3);
  const std::string svg = figure.svg();
  std::size_t circles = 0;
  for (std::size_t at = svg.find("<circle"); at != std::string::npos;
       at = svg.find("<circle", at + 1))
    ++circles;
  CHECK(circles == 3);
  CHECK_THROWS_AS(train::add_points(figure, zeros({3, 3}), zeros({3}, kInt64), {"a"}), ShapeError);
}
