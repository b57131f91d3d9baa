#pragma once

// Scenes that many cards share: what stands on the axis, and where the rest stands.

#include <cmath>

#include <retrace/autograd/ops/joining.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/catalogue/samples.h>

namespace retrace::catalogue {

using Knobs = std::vector<Knob>;
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Stops of a slider, short numbers.
inline std::vector<Argument> spaced(double low, double high, int count) {
  std::vector<Argument> stops;
  for (int i = 0; i < count; ++i)
    stops.emplace_back(std::round((low + (high - low) * i / (count - 1)) * 1e6) / 1e6);
  return stops;
}
/// One number, 0 at first.
inline Given number(std::string name, double value = 0) { return {std::move(name), {1}, {value}}; }
inline Given classes(std::string name, std::vector<double> numbers) {
  const auto count = static_cast<std::int64_t>(numbers.size());
  return {std::move(name), {count}, std::move(numbers), kInt64};
}

/// An elementwise op of "x".
inline Scene along_x(Knobs knobs = {}) {
  return {.inputs = {number("x")},
          .moved = "x",
          .axis = {.symbol = "x", .label = "x", .low = -6, .high = 6, .points = 121},
          .knobs = std::move(knobs)};
}

/// Three logits "x", of which the first moves, and what an op along dim 0 makes of them.
inline Scene along_first_logit(std::vector<Shown> shown, Knobs knobs = {}) {
  return {.inputs = {{"x", {3}, {0, 1, -1}}},
          .moved = "x",
          .axis = {.symbol = "z₁", .label = "first of three logits"},
          .shown = std::move(shown),
          .knobs = std::move(knobs),
          .arguments = {{"dim", std::int64_t{0}}}};
}

/// A prediction "input" that passes its target.
inline Scene along_error(Knobs knobs = {}) {
  return {.inputs = {number("input"), number("target")},
          .moved = "input",
          .axis = {.symbol = "x",
                   .label = "error: prediction - target",
                   .low = -4,
                   .high = 4,
                   .points = 81},
          .shown = {{"L"}},
          .knobs = std::move(knobs)};
}

/// A score "input" whose target is `target`.
inline Scene along_score(double target, Knobs knobs = {}) {
  return {.inputs = {number("input"), number("target", target)},
          .moved = "input",
          .axis = {.symbol = "x", .label = "score, a logit"},
          .shown = {{"L"}},
          .knobs = std::move(knobs)};
}

/// Scores "input" of three classes, of which the first is right and moves.
inline Scene along_right_score(Knobs knobs = {}) {
  return {.inputs = {{"input", {1, 3}, {0, 0.5, -1}}, classes("target", {0})},
          .moved = "input",
          .axis = {.symbol = "z₁", .label = "score of the right class, of three"},
          .shown = {{"L"}},
          .knobs = std::move(knobs),
          .watched = {{"z₂", 1}, {"z₃", 2}}};
}

/// Where a token's logit has to be, the three others being 0, for it to have this probability.
inline double logit_among_four(double p) { return std::log(3 * p / (1 - p)); }
/// The probability of the right one of four tokens; its logit moves.
inline Axis token_probability() {
  return {.symbol = "p",
          .label = "probability of the right token",
          .low = 0.02,
          .high = 0.98,
          .points = 49,
          .place = logit_among_four,
          .by = "z",
          .edges = {0, 1e-6, 0.999999}};
}

inline double logarithm(double x) { return std::log(x); }
/// The ratio of a token's new probability to its old one; its new log-probability moves.
inline Axis probability_ratio() {
  return {.symbol = "ρ",
          .label = "probability ratio new / old",
          .low = 0.05,
          .high = 2.5,
          .points = 50,
          .place = logarithm,
          .by = "log π",
          .edges = {0, 1e4, kInfinity}};
}

/// The direction of a vector of length 1 in the plane, in radians.
inline Axis direction() {
  return {.symbol = "θ",
          .label = "angle between two vectors, in radians",
          .low = -3,
          .high = 3,
          .points = 61,
          .edges = {}};
}
/// [2], of a 0-d angle.
inline Tensor unit_vector(const Tensor& angle) { return stack({cos(angle), sin(angle)}); }
/// [1 + rows, 2]: the vector of this angle above the others.
inline Tensor above(const Tensor& angle, const Tensor& others) {
  return cat({unit_vector(angle).unsqueeze(0), others});
}

}  // namespace retrace::catalogue
