#include <retrace/train/canvas.h>
#include <retrace/train/figure.h>
#include <retrace/train/table.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include <retrace/trace/html.h>

namespace retrace::train {
namespace {

constexpr std::size_t kColours = 10;  // the page defines so many, as --s0, --s1, ...
constexpr double kLeft = 46, kRight = 16, kTop = 8, kBottom = 36;

std::string colour(std::size_t series) { return fmt::format("var(--s{})", series % kColours); }

// Short, and without the noise of binary fractions: 0.25, 8000, 20k, 1.5M.
std::string tick_text(double value) {
  for (const auto& [unit, name] : {std::pair(1e9, 'G'), {1e6, 'M'}, {1e3, 'k'}})
    if (std::abs(value) >= std::max(unit, 1e4) && std::abs(value) < 1e12)
      return fmt::format("{:.6g}{}", value / unit, name);
  return fmt::format("{:.6g}", value);
}

}  // namespace

std::string Figure::shapes(const Range& x, const Range& y, double width, double height) const {
  const auto px = [&](double value) { return kLeft + width * x.part(value); };
  const auto py = [&](double value) { return kTop + height * (1 - y.part(value)); };
  std::string all = "<g shape-rendering=\"crispEdges\">\n";
  for (const Raster& raster : rasters_) {
    const double wide = (px(raster.right) - px(raster.left)) / raster.columns;
    const double high = (py(raster.bottom) - py(raster.top)) / raster.rows;
    for (int row = 0; row < raster.rows; ++row) {
      // Neighbours of one colour are one rectangle; strengths are told apart in eighths.
      const auto at = [&](int column) { return cell_index(column, row, raster.columns); };
      const auto strength = [&](int column) {
        return raster.strength.empty() ? 1.0 : std::round(8 * raster.strength[at(column)]) / 8;
      };
      for (int begin = 0, end = 0; begin < raster.columns; begin = end) {
        while (end < raster.columns && raster.cells[at(end)] == raster.cells[at(begin)] &&
               strength(end) == strength(begin))
          ++end;
        all += fmt::format(
            "<rect x=\"{:.2f}\" y=\"{:.2f}\" width=\"{:.2f}\" height=\"{:.2f}\" fill=\"{}\" "
            "fill-opacity=\"{:.2f}\"/>\n",
            px(raster.left) + begin * wide, py(raster.bottom) - (row + 1) * high,
            (end - begin) * wide, high, colour(static_cast<std::size_t>(raster.cells[at(begin)])),
            0.35 * strength(begin));
      }
    }
  }
  all += "</g>\n";
  for (const Mark& mark : marks_) {
    const std::string hue = colour(mark.series);
    if (mark.kind == Kind::dots) {
      const char* const size = mark.x.size() <= 8 ? "3.5" : "1.6";  // few are to be seen at all
      all += fmt::format("<g fill=\"{}\" fill-opacity=\"0.75\">", hue);
      for (std::size_t i = 0; i < mark.x.size(); ++i)
        all += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"/>", px(mark.x[i]),
                           py(mark.y[i]), size);
      all += "</g>\n";
      continue;
    }
    std::string path;
    for (std::size_t i = 0; i < mark.x.size(); ++i)
      path += fmt::format("{}{:.1f},{:.1f}", i == 0 ? "" : " ", px(mark.x[i]), py(mark.y[i]));
    if (mark.kind == Kind::band) {
      for (std::size_t i = mark.x.size(); i-- > 0;)
        path += fmt::format(" {:.1f},{:.1f}", px(mark.x[i]), py(mark.high[i]));
      all += fmt::format("<polygon points=\"{}\" fill=\"{}\" fill-opacity=\"0.18\"/>\n", path, hue);
    } else {
      all += fmt::format(
          "<polyline points=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.5\"{}/>\n", path,
          hue, mark.stroke == dashed ? " stroke-dasharray=\"5 3\"" : "");
    }
  }
  return all;
}

std::string Figure::svg() const {
  if (empty()) return "";
  const double width = square_ ? 300 : 344, height = square_ ? 300 : 216;
  Range x = range(true), y = range(false);
  if (rasters_.empty()) {
    const double pad = (y.high - y.low) * 0.04;
    y = {y.low - pad, y.high + pad};
  }
  if (square_) {
    const double half = std::max(x.high - x.low, y.high - y.low) / 2;
    const double mid_x = (x.low + x.high) / 2, mid_y = (y.low + y.high) / 2;
    x = {mid_x - half, mid_x + half};
    y = {mid_y - half, mid_y + half};
  }
  std::string all =
      fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
                  kLeft + width + kRight, kTop + height + kBottom, trace::escape_html(title_));
  for (const double tick : ticks(x.low, x.high, 5)) {
    const double at = kLeft + width * x.part(tick);
    all += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" y1=\"{1:.1f}\" x2=\"{0:.1f}\" y2=\"{2:.1f}\"/>"
        "<text x=\"{0:.1f}\" y=\"{3:.1f}\" text-anchor=\"middle\">{4}</text>\n",
        at, kTop, kTop + height, kTop + height + 13, tick_text(tick));
  }
  for (const double tick : ticks(y.low, y.high, 5)) {
    const double at = kTop + height * (1 - y.part(tick));
    all += fmt::format(
        "<line class=\"grid\" x1=\"{1:.1f}\" y1=\"{0:.1f}\" x2=\"{2:.1f}\" y2=\"{0:.1f}\"/>"
        "<text x=\"{3:.1f}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
        at, kLeft, kLeft + width, kLeft - 5, at + 3.5, tick_text(tick));
  }
  all += shapes(x, y, width, height);
  all += fmt::format(
      "<text class=\"axis\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{}</text>\n",
      kLeft + width / 2, kTop + height + 29, trace::escape_html(x_label_));
  all += fmt::format(
      "<text class=\"axis\" transform=\"translate(10 {:.1f}) rotate(-90)\" "
      "text-anchor=\"middle\">{}</text>\n</svg>\n",
      kTop + height / 2, trace::escape_html(y_label_));
  return all;
}

std::string Figure::legend() const {
  std::string all;
  for (std::size_t s = 0; s < names_.size(); ++s)
    all += fmt::format("<span><i style=\"background:{}\"></i>{}</span>", colour(s),
                       trace::escape_html(names_[s]));
  return all.empty() ? all : "<p class=\"legend\">" + all + "</p>\n";
}

}  // namespace retrace::train
