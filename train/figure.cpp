#include <retrace/tensor/check.h>
#include <retrace/train/canvas.h>
#include <retrace/train/figure.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace retrace::train {

Figure::Figure(std::string title, std::string x_label, std::string y_label)
    : title_(std::move(title)), x_label_(std::move(x_label)), y_label_(std::move(y_label)) {}

std::size_t Figure::series_of(const std::string& name) {
  const auto series =
      static_cast<std::size_t>(std::find(names_.begin(), names_.end(), name) - names_.begin());
  if (series == names_.size()) names_.push_back(name);
  return series;
}

Figure& Figure::add(Kind kind, const std::string& name, Stroke stroke, Numbers x, Numbers y,
                    Numbers high) {
  require<ShapeError>(x.size() == y.size() && (kind != Kind::band || high.size() == x.size()),
                      "Figure: \"{}\" has {} numbers along x and {} along y; they must be as many",
                      name, x.size(), y.size());
  Mark mark{kind, 0, stroke, {}, {}, {}};
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i]) || !std::isfinite(y[i])) continue;
    if (kind == Kind::band && !std::isfinite(high[i])) continue;
    mark.x.push_back(x[i]);
    mark.y.push_back(y[i]);
    if (kind == Kind::band) mark.high.push_back(high[i]);
  }
  if (mark.x.empty()) return *this;
  mark.series = series_of(name);
  marks_.push_back(std::move(mark));
  return *this;
}

Figure& Figure::line(const std::string& name, Numbers x, Numbers y, Stroke stroke) {
  return add(Kind::line, name, stroke, std::move(x), std::move(y), {});
}

Figure& Figure::band(const std::string& name, Numbers x, Numbers low, Numbers high) {
  return add(Kind::band, name, solid, std::move(x), std::move(low), std::move(high));
}

Figure& Figure::dots(const std::string& name, Numbers x, Numbers y) {
  return add(Kind::dots, name, solid, std::move(x), std::move(y), {});
}

Figure& Figure::regions(const std::vector<std::string>& names, Raster raster) {
  const auto cells =
      static_cast<std::size_t>(raster.columns) * static_cast<std::size_t>(raster.rows);
  require<ShapeError>(
      raster.cells.size() == cells && (raster.strength.empty() || raster.strength.size() == cells),
      "Figure: {} cells and {} strengths for {} x {} regions", raster.cells.size(),
      raster.strength.size(), raster.rows, raster.columns);
  for (std::int64_t& cell : raster.cells) {
    require<IndexError>(cell >= 0 && cell < static_cast<std::int64_t>(names.size()),
                        "Figure: region {} has no name; there are {}", cell, names.size());
    cell = static_cast<std::int64_t>(series_of(names[static_cast<std::size_t>(cell)]));
  }
  rasters_.push_back(std::move(raster));
  return *this;
}

Figure& Figure::square() {
  square_ = true;
  return *this;
}

Figure::Range Figure::range(bool of_x) const {
  double low = std::numeric_limits<double>::infinity(), high = -low;
  const auto include = [&](double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  };
  for (const Mark& mark : marks_) {
    for (const double value : of_x ? mark.x : mark.y) include(value);
    if (of_x) continue;
    for (const double value : mark.high) include(value);
  }
  for (const Raster& raster : rasters_) {
    include(of_x ? raster.left : raster.bottom);
    include(of_x ? raster.right : raster.top);
  }
  if (high > low) return {low, high};
  const double half = low == 0 ? 1 : std::abs(low) / 2;
  return {low - half, high + half};
}

std::vector<double> ticks(double low, double high, int about) {
  const double rough = (high - low) / std::max(about, 1);
  if (!(rough > 0) || !std::isfinite(rough)) return {low};
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  const double digit = rough / power;
  const double step = power * (digit < 1.5 ? 1 : digit < 3.5 ? 2 : digit < 7.5 ? 5 : 10);
  std::vector<double> all;
  for (double k = std::ceil(low / step - 1e-9); k * step <= high + step * 1e-9; ++k)
    all.push_back(k * step + 0.0);
  return all;
}

// On a terminal ---------------------------------------------------------------------------------

char Figure::sign_of(std::size_t series) const {
  // The last letter or digit of a name tells "class 1" from "class 2"; twice the same, a letter.
  const std::string& name = names_[series];
  const char last = name.empty() ? '\0' : name.back();
  const bool alone = std::count_if(names_.begin(), names_.end(), [last](const std::string& n) {
                       return !n.empty() && n.back() == last;
                     }) == 1;
  const bool plain = (last >= '0' && last <= '9') || (last >= 'a' && last <= 'z');
  return alone && plain ? last : static_cast<char>('A' + series % 26);
}

std::string Figure::text(const PlotOptions& options) const {
  if (empty() || options.columns < 1 || options.rows < 2) return "";
  const Range x = range(true), y = range(false);
  Canvas canvas(square_ ? std::min(options.columns, 2 * options.rows) : options.columns,
                options.rows, options.utf8);
  const auto column = [&](double value) {
    return static_cast<int>(std::lround(x.part(value) * (canvas.width() - 1)));
  };
  const auto height = [&](double value) {
    return static_cast<int>(std::lround(y.part(value) * (canvas.height() - 1)));
  };
  std::vector<bool> signs(names_.size());
  const auto write = [&](double at_x, double at_y, std::size_t series) {
    canvas.write(column(at_x), height(at_y), sign_of(series));
    signs[series] = true;
  };

  for (const Raster& raster : rasters_) {
    for (int row = 0; row < canvas.rows(); ++row) {
      for (int c = 0; c < canvas.columns(); ++c) {
        const double at_x = x.low + (x.high - x.low) * (c + 0.5) / canvas.columns();
        const double at_y = y.low + (y.high - y.low) * (row + 0.5) / canvas.rows();
        const double right = (at_x - raster.left) / (raster.right - raster.left);
        const double up = (at_y - raster.bottom) / (raster.top - raster.bottom);
        if (right < 0 || right >= 1 || up < 0 || up >= 1) continue;
        const std::size_t cell = cell_index(static_cast<int>(right * raster.columns),
                                            static_cast<int>(up * raster.rows), raster.columns);
        write(at_x, at_y, static_cast<std::size_t>(raster.cells[cell]));
      }
    }
  }
  for (const Mark& mark : marks_) {
    if (mark.kind == Kind::dots && rasters_.empty()) {
      for (std::size_t i = 0; i < mark.x.size(); ++i) write(mark.x[i], mark.y[i], mark.series);
    }
  }
  for (const Mark& mark : marks_) {
    if (mark.kind == Kind::dots) continue;
    for (const Numbers* of : {&mark.y, &mark.high}) {
      for (std::size_t i = 1; i < of->size(); ++i)
        canvas.draw(column(mark.x[i - 1]), height((*of)[i - 1]), column(mark.x[i]),
                    height((*of)[i]));
    }
  }
  std::string all =
      framed(canvas, options.utf8, fmt::format("{:.4g}", y.high), fmt::format("{:.4g}", y.low),
             fmt::format("{:.4g}", x.low), fmt::format("{:.4g}", x.high));
  std::string legend;
  for (std::size_t s = 0; s < names_.size(); ++s) {
    if (!signs[s]) continue;
    legend += fmt::format("{}{} {}", legend.empty() ? "" : ", ", sign_of(s), names_[s]);
  }
  return legend.empty() ? all : all + legend + '\n';
}

}  // namespace retrace::train
