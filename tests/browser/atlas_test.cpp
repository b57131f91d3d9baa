// The atlas in a real browser: what its readouts say, at every stop of every control, is what its
// data say.
#include <doctest/doctest.h>

#include <cstdlib>
#include <sstream>

#include <retrace/tests/browser/browser.h>
#include <retrace/tests/tools/atlas.h>

using namespace retrace::testing;
using nlohmann::json;

namespace {

// "∞" as the page writes it, else a number.
float number_in(const std::string& text) {
  if (text == "∞") return number_of("inf");
  if (text == "-∞") return number_of("-inf");
  if (text == "NaN") return number_of("nan");
  char* end = nullptr;
  const float value = std::strtof(text.c_str(), &end);
  CHECK_MESSAGE((!text.empty() && *end == '\0'), "no number: \"" << text << "\"");
  return value;
}

const json& curve_at(const json& card, const json& stops) {
  std::size_t index = 0;
  for (std::size_t k = 0; k < stops.size(); ++k)
    index = index * card["knobs"][k]["stops"].size() + stops[k].get<std::size_t>();
  return card["curves"][index];
}

// What one line of the walk says of a card against the card's data; how many numbers that are.
int check_reading(const json& card, const json& reading) {
  const json& curve = curve_at(card, reading[1]);
  const std::size_t point = reading[2];
  CHECK(reading[6] == call_at(card, reading[1]));
  CHECK(same(number_in(reading[3]), number_of(card["x"][point])));
  int compared = 0;
  for (const auto& [key, texts] : {std::pair("v", reading[4]), std::pair("g", reading[5])}) {
    CHECK(texts.size() == card[key[0] == 'v' ? "shown" : "slopes"].size());
    for (std::size_t k = 0; k < texts.size(); ++k) {
      if (curve.contains("refused")) {
        CHECK(texts[k] == "-");
      } else {
        CHECK(same(number_in(texts[k]), number_of(curve[key][k][point])));
        ++compared;
      }
    }
  }
  return compared;
}

}  // namespace

TEST_CASE("every control shows the engine's numbers at every stop") {
  if (!has_browser()) return;
  const Visit visit = open_in_browser("file://" + atlas().path + "#walk", 1280, 800);
  CHECK(visit.attribute("data-ready") == "1");
  CHECK(visit.attribute("data-errors") == "0");
  CHECK(visit.attribute("data-cards") == std::to_string(atlas().data["cards"].size()));
  CHECK(visit.console == "");
  std::istringstream lines(visit.text_of("walk"));
  std::size_t readings = 0, expected = 0;
  int numbers = 0;
  std::map<std::string, const json*> cards;
  for (const json& card : atlas().data["cards"]) {
    cards[card["name"]] = &card;
    expected += card["x"].size() + (card["knobs"].empty() ? 0 : 3 * card["curves"].size());
  }
  for (std::string line; std::getline(lines, line); ++readings) {
    const json reading = json::parse(line);
    CAPTURE(line);
    numbers += check_reading(*cards.at(reading[0]), reading);
  }
  CHECK(readings == expected);
  CHECK(numbers > 20'000);
}

TEST_CASE("the atlas fits on a desk and in a hand, and every control has a name") {
  if (!has_browser()) return;
  for (const auto& size : {std::pair(1280, 800), std::pair(390, 844)}) {
    CAPTURE(size.first);
    const Visit visit = open_in_browser("file://" + atlas().path, size.first, size.second);
    CHECK(visit.attribute("data-ready") == "1");
    CHECK(visit.attribute("data-errors") == "0");
    CHECK(visit.attribute("data-overflow") == "0");
    CHECK(visit.attribute("data-unnamed") == "0");
    CHECK(visit.console == "");
    for (const char* word : {">undefined<", ">null<", "[object"}) CHECK(!says(visit.dom, word));
    MESSAGE("opened in " << visit.attribute("data-milliseconds") << " ms");
  }
}
