// What stands in the atlas is what the engine says: every number is computed again, from the scene
// that the page itself describes.
#include <doctest/doctest.h>

#include <regex>
#include <set>

#include <retrace/catalogue/catalogue.h>
#include <retrace/retrace.h>
#include <retrace/tests/tools/atlas.h>

using namespace retrace;
using namespace retrace::testing;
using catalogue::Row;
using nlohmann::json;

namespace {

DType dtype_named(const std::string& name) {
  for (const DType dtype : {kFloat32, kInt64, kBool})
    if (name_of(dtype) == name) return dtype;
  FAIL("no dtype is called " << name);
  return kFloat32;
}

catalogue::Argument argument_of(const json& stop) {
  if (stop.is_boolean()) return stop.get<bool>();
  if (stop.is_number_integer()) return stop.get<std::int64_t>();
  if (stop.is_number()) return stop.get<double>();
  return stop.get<std::string>();
}

// A whole number in the text may stand for a fraction: 2 for 2.0.
catalogue::Argument argument_like(const json& stop, const catalogue::Argument& model) {
  if (std::holds_alternative<double>(model)) return stop.get<double>();
  return argument_of(stop);
}

// One spot of a card: its knobs at these stops, the moved number at this point of the axis.
class Spot {
 public:
  Spot(const json& card, const Row& row, const std::vector<std::size_t>& stops, double point) {
    std::vector<std::pair<std::string, Tensor>> tensors;
    for (const json& input : card["inputs"]) {
      const Tensor x = tensor(input["numbers"].get<std::vector<double>>(), kFloat64);
      tensors.emplace_back(input["name"], x.reshape(input["sizes"].get<std::vector<std::int64_t>>())
                                              .to(dtype_named(input["dtype"])));
    }
    auto arguments = row.card.scene.arguments;
    const auto set = [&](const std::string& name, const json& value, std::int64_t element) {
      for (auto& [label, x] : tensors) {
        if (label != name) continue;
        Tensor all = x.reshape({-1});
        if (element >= 0) all = all[element];
        all.fill_(value.is_boolean() ? double(value.get<bool>()) : value.get<double>());
        return true;
      }
      return false;
    };
    for (std::size_t k = 0; k < stops.size(); ++k) {
      const json& stop = card["knobs"][k]["stops"][stops[k]];
      const std::string name = card["knobs"][k]["name"];
      if (!set(name, stop, -1))
        arguments.emplace_back(name, argument_like(stop, row.card.scene.knobs[k].start));
    }
    const auto place = row.card.scene.axis.place;
    const double number = place == nullptr ? point : place(point);
    if (!set(card["moved"], number, card["element"])) arguments.emplace_back(card["moved"], number);
    call_ = catalogue::Call(std::move(tensors), std::move(arguments));
    moved_ = call_.optional(card["moved"].get<std::string>());
    if (moved_.defined() && row.differentiable) moved_.requires_grad_();
    results_ = row.card.scene.run == nullptr ? row.run(call_) : row.card.scene.run(call_);
  }

  float value(const catalogue::Shown& shown) const {
    return number(result(shown).detach(), shown.element);
  }
  float slope(const catalogue::Shown& shown, std::int64_t element) {
    Tensor y = result(shown).reshape({-1})[shown.element];
    moved_.zero_grad();
    y.backward({}, true);
    return number(moved_.grad(), element);
  }

 private:
  Tensor result(const catalogue::Shown& shown) const {
    return shown.result.empty() ? results_->tensors()[0] : (*results_)[shown.result];
  }
  static float number(const Tensor& x, std::int64_t element) {
    return x.to(kFloat32).reshape({-1})[element].item<float>();
  }

  catalogue::Call call_;
  Tensor moved_;
  std::optional<catalogue::Results> results_;
};

// Checks one curve; returns how many numbers it compared.
int check_curve(const json& card, const Row& row, const std::vector<std::size_t>& stops,
                const json& curve) {
  const catalogue::Scene& scene = row.card.scene;
  int compared = 0, wrong = 0;
  const auto compare = [&](float engine, const json& shown) {
    ++compared;
    wrong += !same(engine, number_of(shown));
  };
  for (std::size_t i = 0; i < card["x"].size(); ++i) {
    Spot spot(card, row, stops, card["x"][i]);
    for (std::size_t k = 0; k < scene.shown.size(); ++k)
      compare(spot.value(scene.shown[k]), curve["v"][k][i]);
    if (!curve.contains("g")) continue;
    for (std::size_t k = 0; k < scene.shown.size(); ++k)
      compare(spot.slope(scene.shown[k], scene.element), curve["g"][k][i]);
    for (std::size_t k = 0; k < scene.watched.size(); ++k)
      compare(spot.slope(scene.shown[0], scene.watched[k].element),
              curve["g"][scene.shown.size() + k][i]);
  }
  CHECK(wrong == 0);
  return compared;
}

}  // namespace

TEST_CASE("the atlas has every card in the order of topics, and says how many") {
  std::vector<std::string> names, expected;
  for (const json& card : atlas().data["cards"]) names.push_back(card["name"]);
  for (const auto& topic : catalogue::topics())
    for (const Row& row : catalogue::rows())
      if (row.card.topic == topic.number) expected.push_back(row.name);
  CHECK(names == expected);
  CHECK(says(atlas().said, "atlas.html: " + std::to_string(names.size()) + " cards, "));
}

TEST_CASE("every number of every curve is the engine's") {
  int curves = 0, numbers = 0;
  for (const json& card : atlas().data["cards"]) {
    const Row& row = *catalogue::find(card["name"].get<std::string>());
    CAPTURE(row.name);
    std::size_t combinations = 1;
    for (const json& knob : card["knobs"]) combinations *= knob["stops"].size();
    REQUIRE(card["curves"].size() == combinations);
    for (std::size_t index = 0; index < combinations; ++index) {
      const std::vector<std::size_t> stops = stops_at(card, index);
      const json& curve = card["curves"][index];
      CAPTURE(stops);
      ++curves;
      if (curve.contains("refused")) {
        const std::string reason = curve["refused"];
        CHECK_THROWS_WITH_AS(Spot(card, row, stops, card["x"][0]), reason.c_str(), Error);
      } else {
        numbers += check_curve(card, row, stops, curve);
      }
    }
  }
  CHECK(curves > 1000);
  CHECK(numbers > 100'000);
}

TEST_CASE("the calls that cards show compile, at every stop") {
  const TemporaryFolder folder;
  std::set<std::string> calls, names;
  for (const json& card : atlas().data["cards"]) {
    for (std::size_t i = 0; i < card["curves"].size(); ++i)
      calls.insert(call_at(card, stops_at(card, i)));
  }
  // Every word of a call that the library does not know is a tensor.
  static const std::regex word(R"((^|[ (])([a-z]\w*)(?=[,)}]))");
  std::string body;
  for (const std::string& call : calls) {
    for (std::sregex_iterator it(call.begin(), call.end(), word), end; it != end; ++it)
      names.insert((*it)[2]);
    body += "  " + call + ";\n";
  }
  std::erase_if(names, [](const std::string& name) {
    return name == "true" || name == "false" || name == "batch" || name.ends_with("_distance");
  });
  std::string program =
      "#include <retrace/retrace.h>\nusing namespace retrace;\n"
      "void calls(const losses::PpoBatch& batch";
  for (const std::string& name : names) program += ", const Tensor& " + name;
  const std::string source = folder.put("calls.cpp", program + ") {\n" + body + "}\n");
  const std::string include = "-I" + build_folder() + "/include";
  Process compiler(RETRACE_CXX, {"-std=c++20", "-fsyntax-only", "-fopenmp-simd", include, source},
                   folder / "out", folder / "err");
  CHECK(compiler.wait() == 0);
  CHECK(contents_of(folder / "err") == "");
  CHECK(calls.size() > 500);
}

TEST_CASE("the page is small, asks the network for nothing, and its data cannot end its script") {
  const std::string& html = atlas().html;
  CHECK(html.size() < 3'000'000);
  CHECK(says(html, "default-src 'none'"));
  for (const char* asking : {" src=", "@import", "url(h", "fetch(", "XMLHttpRequest", "innerHTML",
                             "document.write", "eval("})
    CHECK_MESSAGE(!says(html, asking), asking);
  // Nothing but the name of SVG is an address.
  for (std::size_t at = html.find("http"); at != std::string::npos;
       at = html.find("http", at + 1)) {
    const std::string found = html.substr(at, 26);
    CHECK((found == "http://www.w3.org/2000/svg" || found.starts_with("http-equiv")));
  }
  const std::size_t data = html.find("id=\"data\">") + 10;
  const std::size_t end = html.find('<', data);
  CHECK(html.compare(end, 9, "</script>") == 0);
  CHECK(says(html.substr(data, end - data), "\\u003c"));  // formulas have it
}

TEST_CASE("the tool says what it was not told") {
  CHECK(run_tool({"atlas"}).code == 2);
  const Outcome nowhere = run_tool({"atlas", "-o", "/nowhere/atlas.html"});
  CHECK(nowhere.code != 0);
  CHECK(says(nowhere.err, "/nowhere/atlas.html"));
  const Outcome printed = run_tool({"atlas", "-o", "-"});
  CHECK(printed.code == 0);
  CHECK(printed.out == atlas().html);
}
