#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include <retrace/trace/page/picture.h>
#include <retrace/trace/story.h>

namespace retrace::trace::page {

namespace {

constexpr std::size_t kPieces = 60;   // of a tape that is cut, where modules do not help
constexpr std::size_t kModules = 30;  // tensors from which on modules are worth a picture

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

// Room for the label and for a number, as the page writes them.
double width_for(std::string_view label) {
  return 18 + 6.7 * static_cast<double>(std::clamp<std::size_t>(characters(label), 14, 26));
}

// A parameter belongs to the module that its name begins with, wherever it is used.
std::string module_of(const Node& node) {
  const std::size_t dot = node.name.rfind('.');
  return node.is_leaf() && dot != std::string::npos ? node.name.substr(0, dot) : node.place;
}

std::string cut(const std::string& path, std::size_t depth) {
  std::size_t end = 0;
  for (std::size_t d = 0; d < depth && end != std::string::npos; ++d)
    end = path.find('.', d == 0 ? 0 : end + 1);
  return path.substr(0, end);
}

std::size_t depth_of(const std::string& path) {
  return path.empty() ? 0 : 1 + static_cast<std::size_t>(std::count(path.begin(), path.end(), '.'));
}

// Puts boxes around nodes by a name that `key_of` gives, in the order in which they come.
template <class Key>
Picture grouped(const Trace& trace, const std::vector<bool>& shown, std::string title, Key key_of) {
  Picture picture;
  picture.title = std::move(title);
  picture.box_of.assign(trace.nodes.size(), kNone);
  std::map<std::string, std::uint32_t> boxes;
  for (Id id = 0; id < trace.nodes.size(); ++id) {
    if (!shown[id]) continue;
    const std::string key = key_of(id);
    const auto [at, is_new] = boxes.try_emplace(key, static_cast<std::uint32_t>(boxes.size()));
    if (is_new) {
      Box box;
      box.label = key.empty() ? "outside of modules" : key;
      box.tensors = 0;
      box.w = width_for(box.label);
      picture.boxes.push_back(box);
    }
    ++picture.boxes[at->second].tensors;
    picture.box_of[id] = at->second;
  }
  return picture;
}

void join(Picture& picture, const Trace& trace) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> joined;
  for (Id id = 0; id < trace.nodes.size(); ++id) {
    const std::uint32_t to = picture.box_of[id];
    if (to == kNone) continue;
    const std::vector<Id>& inputs = trace.nodes[id].inputs;
    const bool is_one = picture.boxes[to].tensors == 1;
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const std::uint32_t from = inputs[k] == kNone ? kNone : picture.box_of[inputs[k]];
      if (from == kNone || from == to) continue;
      if (!is_one && !joined.emplace(from, to).second) continue;
      Line line{.from = from, .to = to};
      if (is_one) line.input = static_cast<std::int64_t>(k);
      picture.lines.push_back(line);
    }
  }
}

std::string plural(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

std::vector<Picture> pictures(const Trace& trace, const std::vector<bool>& shown) {
  const auto count = static_cast<std::size_t>(std::count(shown.begin(), shown.end(), true));
  std::vector<Picture> all;
  std::size_t last = count;
  if (count <= kBoxes) {
    std::map<std::string, int> same;
    for (Id id = 0; id < trace.nodes.size(); ++id)
      if (shown[id]) ++same[label(trace, id)];
    all.push_back(grouped(trace, shown, "every tensor", [&](Id id) {
      const std::string name = label(trace, id);
      return same[name] > 1 ? fmt::format("{} #{}", name, id) : name;
    }));
  }
  std::size_t deepest = 0;
  for (Id id = 0; id < trace.nodes.size(); ++id)
    if (shown[id]) deepest = std::max(deepest, depth_of(module_of(trace.nodes[id])));
  for (std::size_t depth = std::min<std::size_t>(deepest, 12); depth > 0 && count > kModules;
       --depth) {
    Picture picture = grouped(trace, shown, fmt::format("modules, {} deep", depth),
                              [&](Id id) { return cut(module_of(trace.nodes[id]), depth); });
    if (picture.boxes.size() < 3 || picture.boxes.size() > kBoxes ||
        picture.boxes.size() * 5 > last * 4)
      continue;
    last = picture.boxes.size();
    all.push_back(std::move(picture));
  }
  if (count > kBoxes) {
    const std::size_t each = (count + kPieces - 1) / kPieces;
    std::size_t position = 0;
    std::vector<Id> first;
    const auto piece_of = [&](Id id) {
      if (position++ % each == 0) first.push_back(id);
      return fmt::format("from {}", label(trace, first.back()));
    };
    all.push_back(
        grouped(trace, shown, "pieces of " + plural(each, "tensor") + " of the tape", piece_of));
  }
  for (Picture& picture : all) join(picture, trace);
  return all;
}

}  // namespace retrace::trace::page
