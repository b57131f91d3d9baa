#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace retrace::train {

/// Where a cell stands among cells that are kept row by row.
constexpr std::size_t cell_index(int column, int row, int columns) {
  return static_cast<std::size_t>(row) * static_cast<std::size_t>(columns) +
         static_cast<std::size_t>(column);
}

/// A raster of dots made of characters: two dots wide and four high each as braille, one wide and
/// two high as ASCII. A character can be put in place of its dots. (0, 0) is at the bottom left.
class Canvas {
 public:
  Canvas(int columns, int rows, bool utf8);

  int columns() const { return columns_; }
  int rows() const { return rows_; }
  int width() const { return columns_ * dots_wide(); }  ///< in dots
  int height() const { return rows_ * dots_high(); }

  void set(int x, int y) { dots_[cell_index(x, y, width())] = true; }
  /// Dots from one place to another.
  void draw(int x0, int y0, int x1, int y1);
  /// Puts a character where the dot (x, y) is.
  void write(int x, int y, char mark);

  /// Line `row` from above, without spaces at its end.
  std::string line(int row) const;

 private:
  int dots_wide() const { return utf8_ ? 2 : 1; }
  int dots_high() const { return utf8_ ? 4 : 2; }
  unsigned cell(int column, int row) const;

  bool utf8_;
  int columns_, rows_;
  std::vector<bool> dots_;
  std::vector<char> marks_;  // of each character, '\0' for none
};

/// The canvas with axes: `top` and `bottom` beside the first and the last line, `left` and `right`
/// under the ends. Lines end in '\n'.
std::string framed(const Canvas& canvas, bool utf8, const std::string& top,
                   const std::string& bottom, const std::string& left, const std::string& right);

}  // namespace retrace::train
