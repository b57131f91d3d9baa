#pragma once

// Pictures of the graph of a trace: boxes and lines with their places.

#include <cstdint>
#include <string>
#include <vector>

#include <retrace/trace/trace.h>

namespace retrace::trace::page {

inline constexpr std::size_t kBoxes = 300;     ///< of a picture that a person can still read
inline constexpr std::size_t kLines = 2000;    ///< of one that is more than a list
inline constexpr std::size_t kPictures = 200;  ///< of a page

/// A tensor, or a group that begins with it.
struct Item {
  Id first;
  std::uint32_t group = kNone;
};
/// A module, or a piece of the tape where there would be too much in one.
struct Group {
  std::string label;
  std::uint32_t parent = kNone;  ///< none: of the first, which holds everything
  std::vector<Item> items = {};  ///< in the order of the tape
  std::size_t tensors = 0;       ///< all of them, those of inner groups included
};
/// Of the nodes for which `shown` says so. Parents come before what they hold; none holds one item
/// alone.
std::vector<Group> group_nodes(const Trace& trace, const std::vector<bool>& shown);

struct Box {
  std::string label;
  std::size_t tensors = 1;  ///< that it stands for
  Item item = {kNone};
  std::size_t depth = 0;               ///< how many of the picture's frames it lies in
  double x = 0, y = 0, w = 0, h = 50;  ///< x and y of the upper left corner
};
struct Line {
  std::size_t from, to;
  std::int64_t input = -1;  ///< which of `to`'s; none where the box stands for several tensors
  std::string path = "";    ///< of SVG
};
/// Around what an open group holds; of no size in a list.
struct Frame {
  std::uint32_t group;
  double x = 0, y = 0, w = 0, h = 0;
};
struct Picture {
  std::uint32_t opened = kNone;  ///< this group and those it lies in; none: a box is a tensor
  std::vector<Box> boxes;
  std::vector<Line> lines;
  std::vector<Frame> frames;  ///< each within the one before
  double w = 0, h = 0;
};

/// A picture of every tensor if they are few, then one for each group that can be opened: those
/// that hold it are open as well, and all else is closed.
struct Pictures {
  std::vector<Group> groups;
  std::vector<std::uint32_t> group_of;  ///< of each node, the one whose item it is; else kNone
  std::vector<Picture> all;
  std::size_t closed = 0;  ///< groups without a picture: there would be too many, or too large ones
};
Pictures pictures(const Trace& trace, const std::vector<bool>& shown);

/// Gives everything its place, from left to right; or as a list with arcs, where Graphviz is not
/// there or would take too long: then it returns why, for the reader of the page.
std::string lay_out(Picture& picture);
void lay_out_as_list(Picture& picture);

}  // namespace retrace::trace::page
