// The page of a trace, before a browser opens it.
#include <doctest/doctest.h>

#include <map>

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

// No box lies over another, and every line has a way from a box to a box.
void check_picture(const json& picture) {
  const json& boxes = picture["boxes"];
  const double w = picture["size"][0], h = picture["size"][1];
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    const double x = boxes[i][0], y = boxes[i][1], bw = boxes[i][2], bh = boxes[i][3];
    CHECK(x >= 0);
    CHECK(y >= 0);
    CHECK(x + bw <= w);
    CHECK(y + bh <= h);
    for (std::size_t k = i + 1; k < boxes.size(); ++k) {
      const double ox = boxes[k][0], oy = boxes[k][1], ow = boxes[k][2], oh = boxes[k][3];
      CHECK_FALSE((x < ox + ow && ox < x + bw && y < oy + oh && oy < y + bh));
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
  for (const trace::Trace& trace : {xor_trace(), mlp_trace(), dpo_trace(), odd_trace()}) {
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
    for (const json& picture : page.data["pictures"]) check_picture(picture);
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
    check_picture(picture);
  }
}
