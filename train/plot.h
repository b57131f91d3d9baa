#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace retrace::train {

/// The course of a number over a run of any length, in bounded memory: means over stretches of
/// equally many steps.
class Curve {
 public:
  explicit Curve(std::int64_t first_step = 1) : first_(first_step), last_(first_step - 1) {}

  void add(double value);

  std::int64_t first_step() const { return first_; }
  std::int64_t last_step() const { return last_; }
  /// Of a stretch of steps.
  struct Point {
    double step, value;  ///< middle of the stretch, mean over it
  };
  std::vector<Point> points() const;

 private:
  static constexpr std::size_t kMost = 1024;

  std::int64_t first_, last_;
  std::int64_t stretch_ = 1;   // steps to a mean
  std::vector<double> means_;  // of full stretches; at most kMost
  double sum_ = 0;             // of the stretch that is not full yet
  std::int64_t in_sum_ = 0;
};

struct PlotOptions {
  int columns = 60, rows = 10;  ///< characters, axes left out
  bool utf8 = true;             ///< braille dots, else ASCII
};

/// A curve drawn with characters, lines ending in '\n': the value upwards, the step to the right.
/// Empty for fewer than two points.
std::string plot(const Curve& curve, const PlotOptions& options = {});

}  // namespace retrace::train
