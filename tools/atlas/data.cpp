#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include <retrace/catalogue/curves.h>
#include <retrace/tools/atlas/page.h>

namespace retrace::atlas {
namespace {

using catalogue::Argument;
using catalogue::Card;
using catalogue::Curve;
using catalogue::Row;
using catalogue::Scene;

std::string quoted(const std::string& text) { return nlohmann::json(text).dump(); }

template <class T>
std::string number(T value) {
  if (std::isfinite(value)) return fmt::format("{}", value);
  return std::isnan(value) ? "\"nan\"" : value > 0 ? "\"inf\"" : "\"-inf\"";
}

template <class Items, class F>
std::string list(const Items& items, F&& text) {
  std::string all;
  for (const auto& item : items) {
    if (!all.empty()) all += ',';
    all += text(item);
  }
  return fmt::format("[{}]", all);
}

template <class T>
std::string numbers(const std::vector<T>& values) {
  return list(values, number<T>);
}

std::string member(const char* name, const std::string& json) {
  return fmt::format(",\"{}\":{}", name, json);
}
// Left out when it is empty.
std::string words(const char* name, const std::string& text) {
  return text.empty() ? "" : member(name, quoted(text));
}

std::string stop_of(const Argument& argument) {
  if (const auto* truth = std::get_if<bool>(&argument)) return *truth ? "true" : "false";
  if (const auto* whole = std::get_if<std::int64_t>(&argument)) return fmt::format("{}", *whole);
  if (const auto* text = std::get_if<std::string>(&argument)) return quoted(*text);
  return number(std::get<double>(argument));
}

std::string given_json(const catalogue::Given& given) {
  return fmt::format("{{\"name\":{},\"sizes\":[{}],\"dtype\":\"{}\",\"numbers\":{}}}",
                     quoted(given.name), fmt::join(given.sizes.begin(), given.sizes.end(), ","),
                     name_of(given.dtype), numbers(given.numbers));
}

std::string knobs_json(const Scene& scene) {
  const std::vector<std::size_t> starts = catalogue::first_stops(scene);
  std::string all;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const catalogue::Knob& knob = scene.knobs[i];
    all +=
        fmt::format("{}{{\"name\":{},\"label\":{},\"stops\":{},\"start\":{}}}", i == 0 ? "" : ",",
                    quoted(knob.name), quoted(knob.label), list(knob.stops, stop_of), starts[i]);
  }
  return fmt::format("[{}]", all);
}

// Names of the gradient's curves: "∂L/∂z₁".
std::string slopes_json(const Scene& scene) {
  const std::string by = scene.axis.by.empty() ? scene.axis.symbol : scene.axis.by;
  std::vector<std::string> names;
  for (const auto& shown : scene.shown) names.push_back(fmt::format("∂{}/∂{}", shown.label, by));
  for (const auto& watched : scene.watched)
    names.push_back(fmt::format("∂{}/∂{}", scene.shown[0].label, watched.label));
  return list(names, quoted);
}

// v: values, g: gradient, e: error, n: compared, c: corners, f and d: formula and derivative where
// they are not those of the card.
std::string curve_json(const Curve& curve, const Curve& first) {
  if (!curve.refused.empty()) return fmt::format("{{\"refused\":{}}}", quoted(curve.refused));
  std::string json = fmt::format("{{\"v\":{}", list(curve.values, numbers<float>));
  if (!curve.slopes.empty()) {
    json += member("g", list(curve.slopes, numbers<float>));
    json += member("e", fmt::format("{:.2g}", curve.error));
    json += member("n", fmt::format("{}", curve.compared));
    json += member("c", list(curve.corners, [](const catalogue::Corner& corner) {
                     return fmt::format("[{},{:.4g},{:.4g},{}]", corner.point, corner.left + 0.0,
                                        corner.right + 0.0, corner.jump ? 1 : 0);
                   }));
  }
  if (curve.formula != first.formula) json += words("f", curve.formula);
  if (curve.gradient != first.gradient) json += words("d", curve.gradient);
  return json + "}";
}

std::string edge_json(const catalogue::Edge& edge) {
  std::string json = fmt::format("{{\"x\":{}", number(edge.at));
  if (!edge.refused.empty()) return json + words("refused", edge.refused) + "}";
  json += member("v", number(edge.value));
  if (edge.has_slope) json += member("g", number(edge.slope));
  return json + "}";
}

std::string card_json(const Row& row) {
  const Card& card = row.card;
  const Scene& scene = card.scene;
  std::vector<Curve> curves;
  for (const auto& stops : catalogue::all_stops(scene))
    curves.push_back(catalogue::curve_of(row, stops));
  const Curve first = catalogue::curve_of(row, catalogue::first_stops(scene));
  std::string json = fmt::format("{{\"name\":{}", quoted(row.name));
  json += words("family", row.family) + words("question", row.question);
  json += member("topic", fmt::format("{}", card.topic)) + words("about", card.about);
  json += words("formula", card.formula.empty() ? first.formula : card.formula);
  json += words("gradient", first.gradient) + words("range", card.range);
  json += words("slope", card.slope) + words("trap", card.trap);
  json += words("call", card.call) + words("example", card.example);
  json += words("axis", scene.axis.label) + words("symbol", scene.axis.symbol);
  json += member("x", numbers(catalogue::grid(scene.axis)));
  json += words("moved", scene.moved) + member("element", fmt::format("{}", scene.element));
  json += member("inputs", list(scene.inputs, given_json)) + member("knobs", knobs_json(scene));
  json += member("shown", list(scene.shown, [](const auto& shown) { return quoted(shown.label); }));
  json += member("slopes", first.slopes.empty() ? "[]" : slopes_json(scene));
  json += member("curves", list(curves, [&](const Curve& c) { return curve_json(c, first); }));
  return json + member("edges", list(catalogue::edges_of(row), edge_json)) + "}";
}

std::string topic_json(const catalogue::Topic& topic) {
  return fmt::format("{{\"number\":{},\"title\":{}{}{}}}", topic.number, quoted(topic.title),
                     words("words", topic.words), member("cards", list(topic.cards, quoted)));
}

}  // namespace

std::string data(int* cards) {
  std::string all;
  int count = 0;
  for (const catalogue::Topic& topic : catalogue::topics()) {
    for (const Row& row : catalogue::rows()) {
      if (row.card.topic != topic.number) continue;
      if (count++ > 0) all += ",\n";
      all += card_json(row);
    }
  }
  if (cards != nullptr) *cards = count;
  return fmt::format("{{\"topics\":{},\n\"cards\":[\n{}]}}\n",
                     list(catalogue::topics(), topic_json), all);
}

}  // namespace retrace::atlas
