#include <retrace/train/plot.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace retrace::train {
namespace {

// A raster of dots, two to a character and four dots high as braille, one and two as ASCII.
class Canvas {
 public:
  Canvas(int columns, int rows, bool utf8)
      : utf8_(utf8),
        width_(columns * (utf8 ? 2 : 1)),
        height_(rows * (utf8 ? 4 : 2)),
        dots_(static_cast<std::size_t>(width_ * height_)) {}

  int width() const { return width_; }
  int height() const { return height_; }
  void set(int x, int y) { dots_[static_cast<std::size_t>(y * width_ + x)] = true; }

  // Line `row` from above, without spaces at its end.
  std::string line(int row) const {
    std::string text;
    std::size_t end = 0;
    for (int column = 0; column < width_ / cell_width(); ++column) {
      const unsigned pattern = cell(column, row);
      text += utf8_ ? braille(pattern) : std::string(1, " '.:"[pattern]);
      if (pattern != 0) end = text.size();
    }
    return text.substr(0, end);
  }

 private:
  int cell_width() const { return utf8_ ? 2 : 1; }

  unsigned cell(int column, int row) const {
    // Bits of Unicode's braille patterns: the left column downwards, the right one, the last row.
    static constexpr unsigned kBraille[4][2] = {{1, 8}, {2, 16}, {4, 32}, {64, 128}};
    unsigned pattern = 0;
    const int high = utf8_ ? 4 : 2;
    for (int y = 0; y < high; ++y) {
      for (int x = 0; x < cell_width(); ++x) {
        const int from_top = row * high + y;
        const bool on = dots_[static_cast<std::size_t>((height_ - 1 - from_top) * width_ +
                                                       column * cell_width() + x)];
        if (on) pattern |= utf8_ ? kBraille[y][x] : 1u << y;
      }
    }
    return pattern;
  }

  static std::string braille(unsigned pattern) {
    if (pattern == 0) return " ";
    const unsigned code = 0x2800 + pattern;  // three bytes of UTF-8
    return {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3F)),
            static_cast<char>(0x80 | (code & 0x3F))};
  }

  bool utf8_;
  int width_, height_;
  std::vector<bool> dots_;
};

}  // namespace

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
    result.push_back({first + stretch * static_cast<double>(result.size()) + (stretch - 1) / 2, mean});
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
    const auto x = static_cast<std::size_t>((point.step - first) / (last - first) *
                                            (canvas.width() - 1));
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

  const std::string top = fmt::format("{:.4g}", high), bottom = fmt::format("{:.4g}", low);
  const std::size_t margin = std::max(top.size(), bottom.size());
  const std::string_view axis = options.utf8 ? "│" : "|";
  std::string text;
  for (int row = 0; row < options.rows; ++row) {
    const std::string label = row == 0 ? top : row == options.rows - 1 ? bottom : "";
    text += fmt::format("{:>{}} {}{}\n", label, margin, axis, canvas.line(row));
  }
  text += fmt::format("{:>{}} {}", "", margin, options.utf8 ? "└" : "+");
  for (int i = 0; i < options.columns; ++i) text += options.utf8 ? "─" : "-";
  const std::string from = std::to_string(curve.first_step());
  const std::string to = std::to_string(curve.last_step());
  text += fmt::format("\n{:>{}}  {}{:>{}}\n", "", margin, from, to,
                      std::max(options.columns - static_cast<int>(from.size()), 1));
  return text;
}

}  // namespace retrace::train
