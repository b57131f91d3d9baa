#include <retrace/train/canvas.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>

namespace retrace::train {
namespace {

std::string braille(unsigned pattern) {
  if (pattern == 0) return " ";
  const unsigned code = 0x2800 + pattern;  // three bytes of UTF-8
  return {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 0x3F)),
          static_cast<char>(0x80 | (code & 0x3F))};
}

}  // namespace

Canvas::Canvas(int columns, int rows, bool utf8)
    : utf8_(utf8),
      columns_(columns),
      rows_(rows),
      dots_(cell_index(0, height(), width())),
      marks_(cell_index(0, rows, columns)) {}

void Canvas::draw(int x0, int y0, int x1, int y1) {
  const int steps = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1});
  for (int i = 0; i <= steps; ++i) set(x0 + (x1 - x0) * i / steps, y0 + (y1 - y0) * i / steps);
}

void Canvas::write(int x, int y, char mark) {
  const int row = rows_ - 1 - y / dots_high(), column = x / dots_wide();
  marks_[cell_index(column, row, columns_)] = mark;
}

std::string Canvas::line(int row) const {
  std::string text;
  std::size_t end = 0;
  for (int column = 0; column < columns_; ++column) {
    const char mark = marks_[cell_index(column, row, columns_)];
    const unsigned pattern = mark == '\0' ? cell(column, row) : 0;
    if (mark != '\0') {
      text += mark;
    } else {
      text += utf8_ ? braille(pattern) : std::string(1, " '.:"[pattern]);
    }
    if (pattern != 0 || (mark != '\0' && mark != ' ')) end = text.size();
  }
  return text.substr(0, end);
}

unsigned Canvas::cell(int column, int row) const {
  // Bits of Unicode's braille patterns: the left column downwards, the right one, the last row.
  static constexpr unsigned kBraille[4][2] = {{1, 8}, {2, 16}, {4, 32}, {64, 128}};
  unsigned pattern = 0;
  for (int y = 0; y < dots_high(); ++y) {
    for (int x = 0; x < dots_wide(); ++x) {
      const int from_top = row * dots_high() + y;
      const bool on = dots_[cell_index(column * dots_wide() + x, height() - 1 - from_top, width())];
      if (on) pattern |= utf8_ ? kBraille[y][x] : 1u << y;
    }
  }
  return pattern;
}

std::string framed(const Canvas& canvas, bool utf8, const std::string& top,
                   const std::string& bottom, const std::string& left, const std::string& right) {
  const std::size_t margin = std::max(top.size(), bottom.size());
  std::string text;
  for (int row = 0; row < canvas.rows(); ++row) {
    const std::string label = row == 0 ? top : row == canvas.rows() - 1 ? bottom : "";
    text += fmt::format("{:>{}} {}{}\n", label, margin, utf8 ? "│" : "|", canvas.line(row));
  }
  text += fmt::format("{:>{}} {}", "", margin, utf8 ? "└" : "+");
  for (int i = 0; i < canvas.columns(); ++i) text += utf8 ? "─" : "-";
  const int room = std::max(canvas.columns() - static_cast<int>(left.size()), 1);
  return text + fmt::format("\n{:>{}}  {}{:>{}}\n", "", margin, left, right, room);
}

}  // namespace retrace::train
