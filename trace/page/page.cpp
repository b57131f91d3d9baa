#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include <fmt/format.h>

#include <retrace/tensor/check.h>
#include <retrace/tensor/file.h>
#include <retrace/trace/html.h>
#include <retrace/trace/numbers.h>
#include <retrace/trace/page/data.h>
#include <retrace/trace/page/files.h>
#include <retrace/trace/page/picture.h>
#include <retrace/trace/page/ways.h>
#include <retrace/trace/story.h>

namespace retrace::trace::page {

using nlohmann::json;
namespace {

constexpr std::int64_t kCorner = 8;  // of a tensor that is too much for the page

std::string plural(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

json shape_data(const Shape& sizes) {
  json list = json::array();
  for (const std::int64_t size : sizes) list.push_back(size);
  return list;
}

json picture_data(const Picture& picture) {
  const auto rounded = [](double value) { return std::round(value * 10) / 10; };
  json boxes = json::array(), lines = json::array(), frames = json::array();
  for (const Box& box : picture.boxes)
    boxes.push_back({rounded(box.x), rounded(box.y), rounded(box.w), rounded(box.h), box.label,
                     box.item.group == kNone ? json(box.item.first) : json(),
                     id_or_null(box.item.group)});
  for (const Line& line : picture.lines)
    lines.push_back({line.from, line.to, line.input, line.path});
  for (const Frame& frame : picture.frames)
    frames.push_back(
        {rounded(frame.x), rounded(frame.y), rounded(frame.w), rounded(frame.h), frame.group});
  return {{"opened", id_or_null(picture.opened)},
          {"size", {rounded(picture.w), rounded(picture.h)}},
          {"boxes", std::move(boxes)},
          {"lines", std::move(lines)},
          {"frames", std::move(frames)}};
}

// The first steps of a trace, all that they show, and what had to be left out.
class Data {
 public:
  explicit Data(const Trace& trace)
      : trace_(trace),
        story_(trace),
        steps_(std::min(story_.size(), kPageSteps)),
        events_(steps_ == 0 ? 0 : story_.end(steps_ - 1)),
        shown_(trace.nodes.size()),
        used_(trace.numbers.size()) {}

  std::size_t steps() const { return steps_; }
  std::size_t tensors() const {
    return static_cast<std::size_t>(std::count(shown_.begin(), shown_.end(), true));
  }
  const std::vector<std::string>& left_out() const { return left_out_; }

  json all() {
    if (!trace_.complete)
      left_out_.push_back(
          "The recorder was told to keep no more events: what came later is not here.");
    if (steps_ < story_.size())
      left_out_.push_back(
          fmt::format("The page holds the first {} of {} steps.", steps_, story_.size()));
    json data;
    data["program"] = trace_.program;
    data["steps"] = step_list();
    data["events"] = event_list();
    data["nodes"] = node_list();
    data["passes"] = pass_list();
    data["numbers"] = number_list();
    add_pictures(data);
    data["notes"] = left_out_;
    return data;
  }

 private:
  void see(Id node) {
    if (node == kNone || shown_[node]) return;
    shown_[node] = true;
    for (const Id input : trace_.nodes[node].inputs)
      if (input != kNone) shown_[input] = true;
  }

  json step(std::size_t k) {
    state_.go_to(story_.end(k));
    const std::size_t main = story_.main_event(k);
    const Event& event = trace_.events[main];
    const bool has_sum = main + 1 < story_.end(k) && std::holds_alternative<Contribution>(event) &&
                         std::holds_alternative<Accumulation>(trace_.events[main + 1]);
    json step;
    std::istringstream text(story_.text(k));
    std::string line;
    std::getline(text, line);
    step["title"] = line;
    json& lines = step["text"] = json::array();
    while (std::getline(text, line)) lines.push_back(line.substr(2));  // indented
    step["end"] = story_.end(k);
    step["node"] = id_or_null(story_.node(k));
    step["phase"] = phase_of(event);
    if (const std::string rule = formula(trace_, event); !rule.empty()) step["formula"] = rule;
    json& list = step["fields"] = json::array();
    for (const Field& field :
         fields(trace_, event, has_sum ? &trace_.events[main + 1] : nullptr, state_)) {
      list.push_back({field.role, field.label, field.numbers});
      if (!field.dims.empty()) list.back().insert(list.back().end(), {field.letter, field.dims});
      used_[field.numbers] = true;
    }
    if (story_.is_non_finite(k)) step["bad"] = true;
    if (const auto* mark = std::get_if<TrainingStep>(&event)) step["mark"] = mark->number;
    return step;
  }

  json step_list() {
    json list = json::array();
    for (std::size_t k = 0; k < steps_; ++k) list.push_back(step(k));
    return list;
  }

  json event_list() {
    json list = json::array();
    PassCounter passes;
    for (std::size_t i = 0; i < events_; ++i) {
      list.push_back(event_data(trace_.events[i]));
      const std::uint32_t pass = passes.of(trace_.events[i]);
      std::visit(
          [&]<class E>(const E& e) {
            if constexpr (requires { e.node; }) see(e.node);
            if constexpr (requires { e.nodes; })
              for (const Id node : e.nodes) see(node);
            if constexpr (std::is_same_v<E, Clip>)
              for (const Clip::Clipped& clipped : e.gradients) see(clipped.node);
            // Boxes show what is known of a node, the numbers of which no step shows otherwise.
            if constexpr (requires { e.after; }) use(e.after);
            if constexpr (std::is_same_v<E, Computed>) use(e.value);
            if constexpr (std::is_same_v<E, Contribution>) {
              const std::vector<Id> from = sources_.of(e);
              for (const Id node : from) see(node);
              list.back().push_back(from);
              list.back().push_back(pass);
            }
            if constexpr (std::is_same_v<E, Clip>)
              for (const Clip::Clipped& clipped : e.gradients) use(clipped.after);
          },
          trace_.events[i]);
    }
    return list;
  }
  void use(Id numbers) {
    if (numbers != kNone) used_[numbers] = true;
  }

  json node_list() const {
    json list = json::array();
    for (Id id = 0; id < trace_.nodes.size(); ++id) {
      if (!shown_[id]) continue;
      const Node& node = trace_.nodes[id];
      json inputs = json::array();
      for (const Id input : node.inputs) inputs.push_back(id_or_null(input));
      list.push_back({id, label(trace_, id), fmt::format("{}", node.sizes), node.is_leaf(),
                      node.requires_grad, inputs, node.place, node.site});
    }
    return list;
  }

  // Of each tensor [id, number of ways, gradient] and, of single numbers, the products and their
  // sum.
  json pass_list() {
    json list = json::array();
    for (const Pass& pass : passes(trace_, events_)) {
      json tensors = json::array();
      for (const Ways& ways : pass.tensors) {
        use(ways.gradient);
        tensors.push_back({ways.node, ways.count, id_or_null(ways.gradient)});
        if (!ways.products.empty())
          tensors.back().insert(tensors.back().end(), {ways.products, ways.sum});
      }
      list.push_back({{"number", pass.number},
                      {"event", pass.event},
                      {"roots", pass.roots},
                      {"tensors", std::move(tensors)}});
    }
    return list;
  }

  // [id, dtype, shape, exact texts, how many are not finite] and of a corner its shape and a line.
  json number_list() {
    json list = json::array();
    std::size_t bytes = 0, cut = 0;
    for (Id id = 0; id < trace_.numbers.size(); ++id) {
      if (!used_[id]) continue;
      const Numbers* numbers = &trace_.numbers[id];
      std::string text = values_text(numbers->values);
      Numbers corner;
      if (bytes + text.size() > kPageBytes && numbers->complete &&
          numbers->values.numel() > kCorner * kCorner) {
        corner = keep_numbers(numbers->values, /*complete=*/false, kCorner);
        numbers = &corner;
        text = values_text(corner.values);
        ++cut;
      }
      bytes += text.size();
      json entry = {id, std::string(name_of(numbers->dtype)), shape_data(numbers->sizes), text,
                    numbers->non_finite};
      if (!numbers->complete) {
        entry.push_back(shape_data(numbers->values.sizes()));
        entry.push_back(fmt::format("from {:.6g} to {:.6g}, mean {:.6g}, norm {:.6g}", numbers->min,
                                    numbers->max, numbers->mean, numbers->norm));
      }
      list.push_back(std::move(entry));
    }
    if (cut > 0)
      left_out_.push_back(
          fmt::format("Of {} only a corner is here: all numbers would be too much for a page.",
                      plural(cut, "tensor")));
    return list;
  }

  void add_pictures(json& data) {
    Pictures all = pictures(trace_, shown_);
    std::set<std::string> why_lists;
    for (Picture& picture : all.all) {
      if (std::string why = lay_out(picture); !why.empty()) why_lists.insert(std::move(why));
      data["pictures"].push_back(picture_data(picture));
    }
    json& groups = data["groups"] = json::array();
    for (const Group& group : all.groups)
      groups.push_back({group.label, id_or_null(group.parent), group.tensors});
    for (json& node : data["nodes"]) node.push_back(all.group_of[node[0].get<Id>()]);
    if (tensors() > kBoxes)
      left_out_.push_back(
          fmt::format("{} are too many for a picture: a box stands for several, by their module or "
                      "their place on the tape, until it is opened.",
                      plural(tensors(), "tensor")));
    if (all.closed > 0)
      left_out_.push_back(
          fmt::format("{} of the boxes cannot be opened: a page has {} pictures at "
                      "most, of {} boxes.",
                      all.closed, kPictures, kBoxes));
    left_out_.insert(left_out_.end(), why_lists.begin(), why_lists.end());
  }

  const Trace& trace_;
  const Story story_;
  const Sources sources_{trace_};
  State state_{trace_};
  const std::size_t steps_, events_;
  std::vector<bool> shown_, used_;
  std::vector<std::string> left_out_;
};

std::string origin(const Trace& trace) {
  std::string text = fmt::format("Seed {}", trace.seed);
  if (!trace.compiler.empty()) text += ", " + trace.compiler;
  if (!trace.blas.empty()) text += ", " + trace.blas;
  return text;
}

}  // namespace
}  // namespace retrace::trace::page

namespace retrace::trace {

HtmlPage html_page(const Trace& trace) {
  page::Data data(trace);
  const std::string data_text =
      data.all().dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const std::string name = trace.program.empty() ? "a run" : trace.program;
  HtmlPage result;
  result.html = html_program(
      name + ", step by step", page::kStyle,
      fmt::format("<main id=\"page\">\n<header>\n<h1>{}, step by step</h1>\n"
                  "<p>{}, {}. {}.</p>\n</header>\n"
                  "<noscript><p>The page walks through its trace with the script in this file: "
                  "allow it to run.</p></noscript>\n</main>",
                  escape_html(name), page::plural(data.steps(), "step"),
                  page::plural(data.tensors(), "tensor"), escape_html(page::origin(trace))),
      data_text, page::kScript);
  result.about = fmt::format("{}, {}, {:.1f} MB", page::plural(data.steps(), "step"),
                             page::plural(data.tensors(), "tensor"),
                             static_cast<double>(result.html.size()) / 1e6);
  for (const std::string& note : data.left_out()) result.about += "\n" + note;
  return result;
}

void Trace::save_html(const std::string& path) const { write_file(path, html_page(*this).html); }

}  // namespace retrace::trace
