#include <retrace/train/canvas.h>
#include <retrace/train/plot.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace retrace::train {
void Curve::add(double value) {
  ++last_;
  sum_ += value;
  if (++in_sum_ < stretch_) return;
  means_.push_back(sum_ / static_cast<double>(stretch_));
  sum_ = 0;
  in_sum_ = 0;
  if (means_.size() < kMost) return;
  for (std::size_t i = 0; i < kMost / 2; ++i) means_[i] = (means_[2 * i] + means_[2 * i + 1]) / 2;
  means_.resize(kMost / 2);
  stretch_ *= 2;
}

std::vector<Curve::Point> Curve::points() const {
  std::vector<Point> result;
  const double first = static_cast<double>(first_), stretch = static_cast<double>(stretch_);
  for (const double mean : means_) {
    result.push_back(
        {first + stretch * static_cast<double>(result.size()) + (stretch - 1) / 2, mean});
  }
  return result;
}

std::string plot(const Curve& curve, const PlotOptions& options) {
  std::vector<Curve::Point> points = curve.points();
  std::erase_if(points, [](const Curve::Point& point) { return !std::isfinite(point.value); });
  if (points.size() < 2 || options.columns < 1 || options.rows < 2) return "";

  // The mean of what falls into each column of dots.
  Canvas canvas(options.columns, options.rows, options.utf8);
  const double first = points.front().step, last = points.back().step;
  std::vector<double> sums(static_cast<std::size_t>(canvas.width())), counts(sums);
  for (const Curve::Point& point : points) {
    const auto x =
        static_cast<std::size_t>((point.step - first) / (last - first) * (canvas.width() - 1));
    sums[x] += point.value;
    counts[x] += 1;
  }
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (std::size_t x = 0; x < sums.size(); ++x) {
    if (counts[x] == 0) continue;
    sums[x] /= counts[x];
    low = std::min(low, sums[x]);
    high = std::max(high, sums[x]);
  }
  const double span = high > low ? high - low : 1;
  const auto height_of = [&](double value) {
    return static_cast<int>(std::lround((value - low) / span * (canvas.height() - 1)));
  };
  int before = -1;
  for (int x = 0; x < canvas.width(); ++x) {
    const auto i = static_cast<std::size_t>(x);
    if (counts[i] == 0) continue;
    const int y = height_of(sums[i]);
    canvas.set(x, y);
    // Dots between two that are far apart, so that the eye sees one line.
    for (int between = std::min(y, before) + 1; before >= 0 && between < std::max(y, before);
         ++between) {
      canvas.set(x, between);
    }
    before = y;
  }

  return framed(canvas, options.utf8, fmt::format("{:.4g}", high), fmt::format("{:.4g}", low),
                std::to_string(curve.first_step()), std::to_string(curve.last_step()));
}

}  // namespace retrace::train
