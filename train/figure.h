#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <retrace/train/plot.h>

namespace retrace::train {

/// A picture of a result on two axes, described once and drawn twice: as SVG for the page, with
/// characters for the terminal.
///
///     Figure figure("Quantiles", "x", "y");
///     figure.dots("data", xs, ys).line("0.9, learnt", grid, learnt).line("0.9, true", grid, exact,
///                                                                        Figure::dashed);
///
/// What has one name has one colour. Points that are not finite are left out.
class Figure {
 public:
  enum Stroke : std::uint8_t { solid, dashed };
  using Numbers = std::vector<double>;

  Figure(std::string title, std::string x_label, std::string y_label);

  /// A curve through the points, in their order.
  Figure& line(const std::string& name, Numbers x, Numbers y, Stroke stroke = solid);
  /// The area between two curves over x.
  Figure& band(const std::string& name, Numbers x, Numbers low, Numbers high);
  Figure& dots(const std::string& name, Numbers x, Numbers y);
  /// Fills the rectangle with rows · columns cells, row by row from the bottom left; the cell takes
  /// the colour of the name of its number, as strongly as `strength` (0 to 1) says.
  struct Raster {
    int columns, rows;
    double left, right, bottom, top;
    std::vector<std::int64_t> cells;
    Numbers strength = {};  ///< 1 everywhere if empty
  };
  Figure& regions(const std::vector<std::string>& names, Raster raster);
  /// Both axes to one scale.
  Figure& square();

  const std::string& title() const { return title_; }
  /// The picture, without title and legend. Empty when nothing was put in.
  std::string svg() const;
  /// What the colours mean, as HTML.
  std::string legend() const;
  /// With a legend, lines ending in '\n'.
  std::string text(const PlotOptions& options = {.columns = 60, .rows = 16}) const;

 private:
  enum class Kind : std::uint8_t { line, band, dots };
  struct Mark {
    Kind kind;
    std::size_t series;
    Stroke stroke;
    Numbers x, y, high;  // `high` of a band
  };
  struct Range {
    double low, high;
    double part(double value) const { return (value - low) / (high - low); }
  };

  std::size_t series_of(const std::string& name);
  Figure& add(Kind kind, const std::string& name, Stroke stroke, Numbers x, Numbers y,
              Numbers high);
  bool empty() const { return marks_.empty() && rasters_.empty(); }
  Range range(bool of_x) const;
  char sign_of(std::size_t series) const;
  std::string shapes(const Range& x, const Range& y, double width, double height) const;

  std::string title_, x_label_, y_label_;
  std::vector<std::string> names_;
  std::vector<Mark> marks_;
  std::vector<Raster> rasters_;  // cells hold numbers of series
  bool square_ = false;
};

/// Numbers for the ends and the inside of an axis: multiples of 1, 2 or 5 · 10ⁿ.
std::vector<double> ticks(double low, double high, int about);

}  // namespace retrace::train
