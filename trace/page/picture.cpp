#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include <retrace/trace/page/picture.h>
#include <retrace/trace/story.h>

#include <fmt/format.h>

namespace retrace::trace::page {

namespace {

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

// Room for the label and for a number, as the page writes them.
double width_for(std::string_view label) {
  return 18 + 6.7 * static_cast<double>(std::clamp<std::size_t>(characters(label), 14, 26));
}

class Drawing {
 public:
  Drawing(const Trace& trace, const std::vector<bool>& shown, const Pictures& pictures)
      : trace_(trace), shown_(shown), groups_(pictures.groups), group_of_(pictures.group_of) {
    for (Id id = 0; id < trace.nodes.size(); ++id)
      if (shown[id]) ++same_[label(trace, id)];
  }

  Picture every_tensor() const {
    Picture picture;
    for (Id id = 0; id < trace_.nodes.size(); ++id)
      if (shown_[id]) picture.boxes.push_back(box_of({id}, 0));
    join(picture);
    return picture;
  }

  Picture opened(std::uint32_t group) const {
    Picture picture;
    picture.opened = group;
    const std::vector<std::uint32_t> way = way_to(group);
    for (std::size_t depth = 0; depth < way.size(); ++depth) {
      if (depth > 0) picture.frames.push_back({.group = way[depth]});
      for (const Item& item : groups_[way[depth]].items)
        if (item.group == kNone || depth + 1 == way.size() || item.group != way[depth + 1])
          picture.boxes.push_back(box_of(item, depth, groups_[way[depth]].label));
    }
    std::stable_sort(picture.boxes.begin(), picture.boxes.end(),
                     [](const Box& a, const Box& b) { return a.item.first < b.item.first; });
    join(picture);
    return picture;
  }

  std::size_t boxes(std::uint32_t group) const {
    const std::vector<std::uint32_t> way = way_to(group);
    std::size_t count = 0;
    for (const std::uint32_t each : way) count += groups_[each].items.size();
    return count - (way.size() - 1);
  }

 private:
  std::vector<std::uint32_t> way_to(std::uint32_t group) const {
    std::vector<std::uint32_t> way;
    for (; group != kNone; group = groups_[group].parent) way.push_back(group);
    std::reverse(way.begin(), way.end());
    return way;
  }

  // `within`: the module whose frame already says how the name begins.
  Box box_of(const Item& item, std::size_t depth, const std::string& within = "") const {
    Box box;
    box.item = item;
    box.depth = depth;
    if (item.group != kNone) {
      box.label = groups_[item.group].label;
      box.tensors = groups_[item.group].tensors;
    } else {
      box.label = label(trace_, item.first);
      if (same_.at(box.label) > 1) box.label += fmt::format(" #{}", item.first);
    }
    if (!within.empty() && box.label.starts_with(within + "."))
      box.label.erase(0, within.size() + 1);
    box.w = width_for(box.label);
    return box;
  }

  // The box of each node: its own, or that of the closed group that it lies in.
  std::vector<std::uint32_t> places(const Picture& picture) const {
    std::vector<std::uint32_t> of_group(groups_.size(), kNone), of(trace_.nodes.size(), kNone);
    for (std::uint32_t i = 0; i < picture.boxes.size(); ++i) {
      const Item& item = picture.boxes[i].item;
      (item.group == kNone ? of[item.first] : of_group[item.group]) = i;
    }
    for (std::uint32_t g = 1; g < groups_.size(); ++g)
      if (of_group[g] == kNone) of_group[g] = of_group[groups_[g].parent];
    for (Id id = 0; id < of.size(); ++id)
      if (shown_[id] && of[id] == kNone) of[id] = of_group[group_of_[id]];
    return of;
  }

  void join(Picture& picture) const {
    const std::vector<std::uint32_t> places = this->places(picture);
    std::set<std::pair<std::uint32_t, std::uint32_t>> joined;
    for (Id id = 0; id < trace_.nodes.size(); ++id) {
      const std::uint32_t to = places[id];
      if (to == kNone) continue;
      const std::vector<Id>& inputs = trace_.nodes[id].inputs;
      const bool is_one = picture.boxes[to].item.group == kNone;
      for (std::size_t k = 0; k < inputs.size(); ++k) {
        const std::uint32_t from = inputs[k] == kNone ? kNone : places[inputs[k]];
        if (from == kNone || from == to) continue;
        if (!is_one && !joined.emplace(from, to).second) continue;
        Line line{.from = from, .to = to};
        if (is_one) line.input = static_cast<std::int64_t>(k);
        picture.lines.push_back(line);
      }
    }
  }

  const Trace& trace_;
  const std::vector<bool>& shown_;
  const std::vector<Group>& groups_;
  const std::vector<std::uint32_t>& group_of_;
  std::map<std::string, int> same_;  // labels, and how many nodes have them
};

}  // namespace

Pictures pictures(const Trace& trace, const std::vector<bool>& shown) {
  Pictures result;
  result.groups = group_nodes(trace, shown);
  result.group_of.assign(trace.nodes.size(), kNone);
  for (std::uint32_t g = 0; g < result.groups.size(); ++g)
    for (const Item& item : result.groups[g].items)
      if (item.group == kNone) result.group_of[item.first] = g;
  const Drawing drawing(trace, shown, result);
  const std::size_t count = result.groups[0].tensors;
  if (count <= kBoxes) result.all.push_back(drawing.every_tensor());
  if (result.groups.size() == 1 && count <= kBoxes) return result;
  // The outer ones first: they are the way to the inner ones.
  std::vector<std::pair<std::size_t, std::uint32_t>> order;
  for (std::uint32_t g = 0; g < result.groups.size(); ++g) {
    const std::uint32_t parent = result.groups[g].parent;
    order.emplace_back(parent == kNone ? 0 : order[parent].first + 1, g);
  }
  std::sort(order.begin(), order.end());
  for (const auto& [depth, group] : order) {
    if (result.all.size() < kPictures && drawing.boxes(group) <= kBoxes) {
      result.all.push_back(drawing.opened(group));
    } else {
      ++result.closed;
    }
  }
  return result;
}

}  // namespace retrace::trace::page
