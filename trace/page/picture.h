#pragma once

// Pictures of the graph of a trace: boxes and lines with their places.

#include <cstdint>
#include <string>
#include <vector>

#include <retrace/trace/trace.h>

namespace retrace::trace::page {

inline constexpr std::size_t kBoxes = 300;  ///< of a picture that a person can still read

struct Box {
  std::string label;
  std::size_t tensors = 1;             ///< that it stands for
  double x = 0, y = 0, w = 0, h = 50;  ///< x and y of the upper left corner
};
struct Line {
  std::size_t from, to;
  std::int64_t input = -1;  ///< which of `to`'s; none where the box stands for several tensors
  std::string path = "";    ///< of SVG
};
struct Picture {
  std::string title;
  std::vector<Box> boxes;
  std::vector<Line> lines;
  std::vector<std::uint32_t> box_of;  ///< of each node; kNone: it is not shown
  double w = 0, h = 0;
};

/// Of the nodes for which `shown` says so: the one with most boxes first.
std::vector<Picture> pictures(const Trace& trace, const std::vector<bool>& shown);

/// Gives everything its place, from left to right; false: as a list with arcs, since Graphviz is
/// not there or cannot.
bool lay_out(Picture& picture);
void lay_out_as_list(Picture& picture);

}  // namespace retrace::trace::page
