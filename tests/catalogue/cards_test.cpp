// No activation and no loss without a card, and no card that says less than it should.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>
#include <string>

#include <retrace/catalogue/curves.h>
#include <retrace/catalogue/declarations.h>

using namespace retrace;
using catalogue::Card;
using catalogue::Row;

namespace {

// Losses are what losses/ declares, whatever its family is called.
bool needs_card(const Row& row) {
  static const std::set<std::string> losses = [] {
    std::set<std::string> names;
    for (const auto& declaration : catalogue::declarations(RETRACE_SOURCE_DIR))
      if (declaration.header.starts_with("losses/")) names.insert(declaration.name);
    return names;
  }();
  return losses.contains(std::string(row.called())) || row.family == "activation" ||
         row.family == "softmax" || row.family == "gated";
}

std::vector<const Row*> with_cards() {
  std::vector<const Row*> rows;
  for (const Row& row : catalogue::rows())
    if (row.card.topic != 0) rows.push_back(&row);
  return rows;
}

bool is_topic(int number) {
  const auto& topics = catalogue::topics();
  return std::any_of(topics.begin(), topics.end(),
                     [number](const auto& topic) { return topic.number == number; });
}

// A factor that they hold constant has no slope of its own: their gradient is another one than that
// of their value, on purpose.
const std::set<std::string> kStraightThrough = {"gumbel_softmax", "sft_loss", "grpo_loss"};

}  // namespace

TEST_CASE("every activation and every loss has a card") {
  int cards = 0;
  for (const Row& row : catalogue::rows()) {
    if (!needs_card(row)) continue;
    CHECK_MESSAGE(row.card.topic != 0, row.name << " has no card");
    ++cards;
  }
  CHECK(cards > 100);
}

TEST_CASE("every topic has a card or says which to look at") {
  CHECK(catalogue::topics().size() == 38);
  for (const auto& topic : catalogue::topics()) {
    const auto cards = with_cards();
    const bool used = std::any_of(cards.begin(), cards.end(),
                                  [&](const Row* row) { return row->card.topic == topic.number; });
    CAPTURE(topic.title);
    CHECK((used || !topic.cards.empty() || topic.number == 39));  // the table of all losses
    for (const std::string& name : topic.cards) {
      REQUIRE(catalogue::find(name) != nullptr);
      CHECK(catalogue::find(name)->card.topic != 0);
    }
  }
}

TEST_CASE("a card says what it should") {
  for (const Row* row : with_cards()) {
    const Card& card = row->card;
    CAPTURE(row->name);
    CHECK(is_topic(card.topic));
    for (const std::string& words : {card.about, card.range, card.slope}) CHECK(!words.empty());
    CHECK(card.call.find(std::string(row->called()) + "(") != std::string::npos);
    const std::string program = card.example.substr(0, card.example.find(' '));
    if (!program.empty())
      CHECK(std::filesystem::exists(RETRACE_SOURCE_DIR "/examples/" + program + ".cpp"));
    CHECK(!card.scene.axis.label.empty());
    const catalogue::Curve curve =
        catalogue::curve_of(*row, catalogue::first_stops(card.scene));  // the start is a stop
    CHECK(curve.refused == "");
    CHECK(curve.formula.empty() != card.formula.empty());  // the node says it, or the card does
    CHECK(curve.slopes.empty() == !row->differentiable);
  }
}

TEST_CASE("every gradient of a curve is what finite differences say, but at corners") {
  for (const Row* row : with_cards()) {
    CAPTURE(row->name);
    double error = 0;
    for (const auto& stops : catalogue::all_stops(row->card.scene)) {
      const catalogue::Curve curve = catalogue::curve_of(*row, stops);
      error = std::max(error, curve.error);
    }
    if (kStraightThrough.contains(row->name)) {
      CHECK(error > 0.01);
    } else {
      CHECK(error < 1e-4);
    }
  }
}

TEST_CASE("corners are found, with the slopes beside them") {
  const Row& relu = *catalogue::find("relu");
  const catalogue::Curve curve = catalogue::curve_of(relu, {});
  REQUIRE(curve.corners.size() == 1);
  CHECK(catalogue::grid(relu.card.scene.axis)[static_cast<std::size_t>(curve.corners[0].point)] ==
        0);
  CHECK(curve.corners[0].left == doctest::Approx(0));
  CHECK(curve.corners[0].right == doctest::Approx(1));
  CHECK(!curve.corners[0].jump);
  CHECK(curve.compared == 120);

  const Row& shrink = *catalogue::find("hardshrink");
  for (const auto& corner :
       catalogue::curve_of(shrink, catalogue::first_stops(shrink.card.scene)).corners)
    CHECK(corner.jump);
}

TEST_CASE("far out there is a result or a reason") {
  const auto edges = catalogue::edges_of(*catalogue::find("bce_loss"));
  REQUIRE(edges.size() == 5);
  CHECK(edges[0].refused.find("bce_loss: ") == 0);
  CHECK(edges[1].value == 100);
  CHECK(edges[2].value == 0);
  CHECK(edges[2].has_slope);
  const auto gelu = catalogue::edges_of(*catalogue::find("gelu"));
  CHECK(gelu[1].value == 1e4f);
  CHECK(gelu[1].slope == 1);
  CHECK(std::isnan(gelu[4].value));
}

TEST_CASE("a knob that starts at none of its stops is refused") {
  catalogue::Scene scene;
  scene.knobs = {{"k", "k", {1.0, 2.0}, 3.0}};
  CHECK_THROWS_WITH_AS(catalogue::first_stops(scene), "scene: \"k\" starts at none of its stops",
                       ValueError);
  scene.knobs = {{"k", "k", {1.0, 2.0}, 2.0}, {"l", "l", {false, true}, false}};
  CHECK(catalogue::first_stops(scene) == std::vector<std::size_t>{1, 0});
  CHECK(catalogue::all_stops(scene) ==
        std::vector<std::vector<std::size_t>>{{0, 0}, {0, 1}, {1, 0}, {1, 1}});
}
