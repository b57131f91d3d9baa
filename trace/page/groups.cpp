// Modules as a tree, and pieces of the tape where they do not help.

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include <retrace/trace/page/picture.h>
#include <retrace/trace/story.h>

namespace retrace::trace::page {

namespace {

constexpr std::size_t kItems = 150;  // of a group; more are cut into pieces
constexpr std::size_t kDeep = 12;    // modules within modules

// A parameter belongs to the module that its name begins with, wherever it is used.
std::string module_of(const Node& node) {
  const std::size_t dot = node.name.rfind('.');
  std::string path =
      node.is_leaf() && dot != std::string::npos ? node.name.substr(0, dot) : node.place;
  std::size_t end = 0;
  for (std::size_t d = 0; d < kDeep && end != std::string::npos; ++d)
    end = path.find('.', d == 0 ? 0 : end + 1);
  return path.substr(0, end);
}

class Tree {
 public:
  explicit Tree(const Trace& trace) : trace_(trace) { at(""); }

  std::uint32_t at(const std::string& path) {
    const auto found = by_path_.find(path);
    if (found != by_path_.end()) return found->second;
    const auto id = static_cast<std::uint32_t>(all_.size());
    by_path_.emplace(path, id);
    all_.push_back({.label = path});
    if (path.empty()) return id;
    const std::size_t dot = path.rfind('.');
    const std::uint32_t parent = at(dot == std::string::npos ? "" : path.substr(0, dot));
    all_[id].parent = parent;
    return id;
  }

  void put(Id node) {
    const std::uint32_t group = at(module_of(trace_.nodes[node]));
    all_[group].items.push_back({node});
    for (std::uint32_t each = group; each != kNone; each = all_[each].parent) {
      Group& in = all_[each];
      if (in.tensors++ == 0 && in.parent != kNone) all_[in.parent].items.push_back({node, each});
    }
  }

  std::vector<Group> groups() {
    std::uint32_t root = 0;
    while (all_[root].items.size() == 1 && all_[root].items[0].group != kNone)
      root = all_[root].items[0].group;
    add("", std::move(all_[root].items), kNone);
    return std::move(result_);
  }

 private:
  // Puts a group behind those of the result, and returns what its parent then holds.
  Item take(Item item, std::uint32_t parent) {
    while (item.group != kNone && all_[item.group].items.size() == 1)
      item = all_[item.group].items[0];
    if (item.group == kNone) return item;
    Group& group = all_[item.group];
    return add(group.label, std::move(group.items), parent);
  }

  Item add(const std::string& label, std::vector<Item> items, std::uint32_t parent) {
    const auto id = static_cast<std::uint32_t>(result_.size());
    result_.push_back({.label = label, .parent = parent});
    const Id first = items.empty() ? kNone : items[0].first;
    std::vector<Item> held;
    if (items.size() <= kItems) {
      for (const Item& each : items) held.push_back(take(each, id));
    } else {
      const auto root = static_cast<std::size_t>(std::sqrt(static_cast<double>(items.size())));
      const std::size_t pieces = std::min(kItems, root + 1);
      for (std::size_t piece = 0; piece < pieces; ++piece) {
        const auto at = [&](std::size_t k) {
          return items.begin() + static_cast<std::ptrdiff_t>(items.size() * k / pieces);
        };
        held.push_back(
            add(fmt::format("from {}", label_of(*at(piece))), {at(piece), at(piece + 1)}, id));
      }
    }
    for (const Item& each : held)
      result_[id].tensors += each.group == kNone ? 1 : result_[each.group].tensors;
    result_[id].items = std::move(held);
    return {first, id};
  }

  std::string label_of(const Item& item) const { return trace::label(trace_, item.first); }

  const Trace& trace_;
  std::vector<Group> all_, result_;
  std::map<std::string, std::uint32_t> by_path_;
};

}  // namespace

std::vector<Group> group_nodes(const Trace& trace, const std::vector<bool>& shown) {
  Tree tree(trace);
  for (Id id = 0; id < trace.nodes.size(); ++id)
    if (shown[id]) tree.put(id);
  return tree.groups();
}

}  // namespace retrace::trace::page
