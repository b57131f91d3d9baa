#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <retrace/train/plot.h>

using namespace retrace::train;

namespace {

Curve straight(int points) {
  Curve curve;
  for (int i = 0; i < points; ++i) curve.add(i);
  return curve;
}

}  // namespace

TEST_CASE("a curve of any length keeps means over equal stretches") {
  Curve curve;
  for (int i = 1; i <= 100'000; ++i) curve.add(i);
  const auto points = curve.points();
  CHECK(points.size() >= 500);
  CHECK(points.size() < 1024);
  // The mean of the numbers is the middle of the steps: each point must lie on the line.
  for (const auto& point : points) CHECK(point.value == point.step);
  CHECK(points.front().step > 1);
  CHECK(points.back().step > 99'000);
}

TEST_CASE("a resumed curve starts at its step") {
  Curve curve(101);
  curve.add(3);
  curve.add(4);
  CHECK(curve.points()[1].step == 102);
  CHECK(curve.points()[1].value == 4);
}

TEST_CASE("a rising line in ASCII") {
  CHECK(plot(straight(8), {.columns = 8, .rows = 4, .utf8 = false}) ==
        "7 |      .'\n"
        "  |    .'\n"
        "  |  .'\n"
        "0 |.'\n"
        "  +--------\n"
        "   1      8\n");
}

TEST_CASE("a rising line in braille") {
  CHECK(plot(straight(8), {.columns = 4, .rows = 2, .utf8 = true}) ==
        "7 │  ⡠⠊\n"
        "0 │⡠⠊\n"
        "  └────\n"
        "   1  8\n");
}

TEST_CASE("jumps are drawn through, and what is not finite is left out") {
  Curve curve;
  for (const double value : {0.0, 3.0, std::nan(""), std::numeric_limits<double>::infinity(), 0.0})
    curve.add(value);
  CHECK(plot(curve, {.columns = 5, .rows = 2, .utf8 = false}) ==
        "3 | :  .\n"
        "0 |.'  :\n"
        "  +-----\n"
        "   1   5\n");
}

TEST_CASE("curves that hardly are any") {
  CHECK(plot(Curve()).empty());
  CHECK(plot(straight(1)).empty());
  Curve flat;
  flat.add(2);
  flat.add(2);
  CHECK(plot(flat, {.columns = 2, .rows = 2, .utf8 = false}) == "2 |\n2 |..\n  +--\n   12\n");
}
