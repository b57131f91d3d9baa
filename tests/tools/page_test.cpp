// The page of a trace, before a browser opens it.
#include <doctest/doctest.h>

#include <map>
#include <set>

#include <retrace/tests/tools/traces.h>
#include <retrace/trace/numbers.h>

using namespace retrace;
using namespace retrace::testing;
using nlohmann::json;

namespace {

std::size_t count_of(const std::string& text, std::string_view word) {
  std::size_t count = 0;
  for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
    ++count;
  return count;
}

// y = y · 1.00001 again and again, and back; by hand, since to find each call takes its time.
trace::Trace long_trace(trace::Id length) {
  trace::Trace trace;
  trace.program = "long";
  trace.ops.push_back({.name = "mul", .formula = "y = a x", .gradient = "dx = g a"});
  trace::Numbers one;
  one.values = tensor({1.0}).view({});
  trace.numbers.push_back(one);
  for (trace::Id id = 0; id <= length; ++id) {
    trace::Node node;
    if (id > 0) {
      node.op = 0;
      node.inputs = {id - 1};
    }
    trace.nodes.push_back(node);
    trace.events.push_back(trace::Computed{.node = id, .value = 0});
  }
  trace.events.push_back(
      trace::Seed{.node = length, .before = trace::kNone, .gradient = 0, .after = 0});
  return trace;
}

struct Rectangle {
  explicit Rectangle(const json& data) : x(data[0]), y(data[1]), w(data[2]), h(data[3]) {}
  bool meets(const Rectangle& other) const {
    return x < other.x + other.w && other.x < x + w && y < other.y + other.h && other.y < y + h;
  }
  bool holds(const Rectangle& other) const {
    return x <= other.x && other.x + other.w <= x + w && y <= other.y && other.y + other.h <= y + h;
  }
  double x, y, w, h;
};

// Groups that hold a group, itself included.
std::set<std::size_t> around(const json& groups, json group) {
  std::set<std::size_t> all;
  for (; !group.is_null(); group = groups[group.get<std::size_t>()][1])
    all.insert(group.get<std::size_t>());
  return all;
}

// No box lies over another, a frame is around what it holds and nothing else, and every line has a
// way from a box to a box.
void check_picture(const json& page, const json& picture) {
  const json &boxes = picture["boxes"], &groups = page["groups"];
  std::map<std::size_t, json> group_of;
  for (const json& node : page["nodes"]) group_of[node[0]] = node[8];
  const double w = picture["size"][0], h = picture["size"][1];
  std::vector<Rectangle> places(boxes.begin(), boxes.end());
  for (std::size_t i = 0; i < places.size(); ++i) {
    const Rectangle& box = places[i];
    bool fits = box.x >= 0 && box.y >= 0 && box.x + box.w <= w && box.y + box.h <= h;
    for (std::size_t k = i + 1; k < boxes.size(); ++k) fits = fits && !box.meets(places[k]);
    CHECK(fits);
    const json &node = boxes[i][5], &group = boxes[i][6];
    CHECK(node.is_null() != group.is_null());
    const std::set<std::size_t> outer =
        around(groups, group.is_null() ? group_of.at(node) : groups[group.get<std::size_t>()][1]);
    for (const json& frame : picture["frames"]) {
      const Rectangle place(frame);
      CHECK((outer.contains(frame[4]) ? place.holds(box) : !place.meets(box)));
    }
  }
  for (const json& line : picture["lines"]) {
    CHECK(line[0] < boxes.size());
    CHECK(line[1] < boxes.size());
    CHECK(line[3].get<std::string>().starts_with("M"));
  }
}

}  // namespace

TEST_CASE("a page holds every step of its trace with the words of the story and exact numbers") {
  for (const trace::Trace& trace :
       {xor_trace(), mlp_trace(), dpo_trace(), odd_trace(), blocks_trace(), scalar_trace()}) {
    CAPTURE(trace.program);
    const TracePage page(trace);
    const trace::Story story(trace);
    const json& steps = page.data["steps"];
    REQUIRE(steps.size() == story.size());
    REQUIRE(page.data["events"].size() == trace.events.size());
    for (std::size_t k = 0; k < story.size(); ++k) {
      std::string text = steps[k]["title"];
      for (const json& line : steps[k]["text"]) text += "\n  " + line.get<std::string>();
      CHECK(text == story.text(k));
      CHECK(steps[k]["end"] == story.end(k));
      CHECK(steps[k].contains("bad") == story.is_non_finite(k));
    }
    std::map<trace::Id, std::string> texts;
    for (const json& numbers : page.data["numbers"]) texts[numbers[0]] = numbers[3];
    for (const auto& [id, text] : texts)
      CHECK(text == trace::values_text(trace.numbers[id].values));
    for (const json& step : steps)
      for (const json& field : step["fields"]) CHECK(texts.contains(field[2]));
    for (const json& picture : page.data["pictures"]) check_picture(page.data, picture);
    CHECK(page.data["nodes"].size() == trace.nodes.size());
  }
}

TEST_CASE("what arrives at a sum by several ways is a step each, with the sum before and after") {
  const TracePage page(mlp_trace());
  int added = 0;
  for (const json& step : page.data["steps"]) {
    std::string before, given, now;
    for (const json& field : step["fields"]) {
      if (field[0] == "before") before = field[1];
      if (field[0] == "contribution") given = field[1];
      if (field[0] == "accumulated") now = field[1];
    }
    added += !before.empty() && !given.empty() && !now.empty() ? 1 : 0;
  }
  CHECK(added >= 2);  // h goes three ways, in each of two steps
}

TEST_CASE("names cannot leave their place, and nothing is asked of a network") {
  const TracePage page(odd_trace());
  CHECK(count_of(page.html, "</script>") == 2);
  CHECK(count_of(page.html, "<script") == 2);
  CHECK(!says(page.html, "alert(1)</"));
  CHECK(!says(page.html, "<b>odd"));
  CHECK(!says(page.html, "http://www.w3.org/1999/xlink"));
  for (const char* word :
       {"src=", "url(http", "@import", "fetch(", "XMLHttpRequest", "innerHTML", "eval("})
    CHECK_MESSAGE(!says(page.html, word), word);
  bool found = false;
  for (const json& node : page.data["nodes"]) found = found || node[1] == kOddName;
  CHECK(found);
}

TEST_CASE(
    "line breaks in names, sites and formulas break no line: not of the story, not of a page") {
  trace::Trace trace;
  {
    trace::Recorder recorder({.program = "two\nlines"});
    const Tensor w = tensor({1.0, 2.0}).requires_grad_();
    recorder.name(w, "0.weight\n\n<b>x");
    (w * w).sum().backward();
    trace = recorder.trace();
  }
  for (trace::Op& op : trace.ops)
    op.formula += "\n \r\x01z", op.gradient += "\n\n\x7f", op.name += "\n";
  for (trace::Node& node : trace.nodes) node.site = "a\n\nfile", node.place = "m\n\n.n";
  const trace::Story story(trace);
  std::size_t named = 0;
  for (std::size_t k = 0; k < story.size(); ++k) {
    CHECK(!says(story.title(k), "\n"));
    for (std::size_t at = 0; (at = story.text(k).find('\n', at)) != std::string::npos; ++at)
      CHECK(story.text(k).substr(at, 3) == "\n  ");
    named += says(story.text(k),
                  "0.weight?"
                  "?<b>x")
                 ? 1
                 : 0;
    for (const auto& [what, id] : story.tensors(k)) CHECK(!says(what, "\n"));
  }
  CHECK(named > 0);
  const TracePage page(trace);
  REQUIRE(page.data["steps"].size() == story.size());
  for (const json& step : page.data["steps"]) {
    CHECK(!says(step.dump(), "\\n"));
    CHECK(!says(step.dump(), "\\u"));
  }
  const std::string file = page.folder / "trace.json";
  CHECK(count_of(run_tool({"step", "--plain", file}).out, "\n\n") == story.size());
  CHECK(count_of(run_tool({"diff", file, file}).out, "\n\n") == 1);
}

TEST_CASE("100,000 tensors stand together in boxes, and the page says what it leaves out") {
  const TracePage page(long_trace(100'000));
  CHECK(page.html.size() < 32'000'000);
  CHECK(page.data["steps"].size() == 20'000);
  CHECK(says(page.said, "The page holds the first 20000 of 100001 steps."));
  CHECK(says(page.said, "are too many for a picture"));
  CHECK(page.data["notes"].size() >= 2);
  REQUIRE(page.data["pictures"].size() >= 1);
  for (const json& picture : page.data["pictures"]) {
    CHECK(picture["boxes"].size() <= 300);
    check_picture(page.data, picture);
  }
  CHECK(page.data["pictures"].size() == page.data["groups"].size());
  CHECK(!says(page.said, "cannot be opened"));
}

TEST_CASE("no piece of a tape holds one tensor alone") {
  for (const trace::Id count : {151, 157, 170, 400, 1000}) {
    const TracePage page(long_trace(count - 1));
    const json& groups = page.data["groups"];
    REQUIRE(groups.size() > 1);
    std::size_t tensors = 0;
    for (std::size_t g = 1; g < groups.size(); ++g) {
      CHECK(groups[g][2] > 1);
      tensors += groups[g][1] == 0 ? groups[g][2].get<std::size_t>() : 0;
    }
    CHECK(tensors == count);
  }
}

TEST_CASE("ops with thousands of inputs: a list, which the page says") {
  trace::Trace trace = long_trace(50);
  for (trace::Id id = 1; id < trace.nodes.size(); ++id) trace.nodes[id].inputs.resize(3000, 0);
  const TracePage page(trace);
  CHECK(says(page.said, "A picture of more than 2000 lines is the tape as a list."));
  CHECK(page.data["pictures"][0]["lines"].size() == 50 * 3000);
}

TEST_CASE("a module opens in place: those around it are open, and all else is a box") {
  const TracePage page(blocks_trace());
  const json& groups = page.data["groups"];
  std::map<std::string, std::size_t> by_name;
  for (std::size_t g = 0; g < groups.size(); ++g) by_name[groups[g][0]] = g;
  REQUIRE(by_name.contains("blocks"));
  CHECK(groups[by_name.at("blocks.7.up")][1] == by_name.at("blocks.7"));
  CHECK(groups[by_name.at("blocks.7.up")][2] == 3);  // weight, bias, their product
  CHECK(groups[0][2] == page.data["nodes"].size());

  std::map<json, json> picture_of;
  for (const json& picture : page.data["pictures"]) picture_of[picture["opened"]] = picture;
  CHECK(!picture_of.contains(json()));  // too many tensors
  CHECK(picture_of.size() == groups.size());
  const json& outline = picture_of.at(0);
  CHECK(outline["frames"].empty());
  CHECK(outline["boxes"].size() == 4);  // x, the blocks, the target, the loss

  const json& up = picture_of.at(by_name.at("blocks.7.up"));
  REQUIRE(up["frames"].size() == 3);
  std::set<std::string> names;
  for (const json& box : up["boxes"]) names.insert(box[4]);
  for (const char* name : {"weight", "bias", "down", "0", "39"}) CHECK(names.contains(name));
  CHECK(!names.contains("7"));
  CHECK(up["boxes"].size() == 3 + 39 + 3 + 3);
}

TEST_CASE("a page has so many pictures at most, and says how many boxes stay closed") {
  trace::Trace trace;
  trace.ops.push_back({.name = "op", .formula = "y = x", .gradient = ""});
  for (int i = 0; i < 1000; ++i) {
    for (trace::Id k = 0; k < 2; ++k) {
      trace::Node node;
      node.op = 0;
      node.place = "m" + std::to_string(i);
      node.sizes = {1};
      trace.nodes.push_back(node);
      trace.numbers.resize(1);
      trace.numbers[0].values = tensor({1.0});
      trace.events.push_back(
          trace::Computed{.node = static_cast<trace::Id>(trace.nodes.size() - 1), .value = 0});
    }
  }
  trace.numbers[0].sizes = {1};
  const TracePage page(trace);
  CHECK(page.data["pictures"].size() == 200);
  CHECK(says(page.said,
             std::to_string(page.data["groups"].size() - 200) + " of the boxes cannot be opened"));
  for (const json& picture : page.data["pictures"]) CHECK(picture["boxes"].size() <= 300);
}
