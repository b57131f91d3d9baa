#pragma once

// What a page of a trace says of itself after #selftest, against the trace.

#include <algorithm>
#include <cmath>
#include <future>
#include <map>
#include <memory>
#include <set>
#include <sstream>

#include <retrace/tests/browser/browser.h>
#include <retrace/tests/tools/traces.h>
#include <retrace/trace/numbers.h>
#include <retrace/trace/page/ways.h>

namespace retrace::testing {

inline nlohmann::json id_or_null(trace::Id id) {
  return id == trace::kNone ? nlohmann::json() : nlohmann::json(id);
}

inline std::string unescaped(std::string text) {
  for (const auto& [entity, character] :
       {std::pair("&lt;", "<"), std::pair("&gt;", ">"), std::pair("&amp;", "&")})
    for (std::size_t at; (at = text.find(entity)) != std::string::npos && *character != '&';)
      text.replace(at, std::string_view(entity).size(), character);
  for (std::size_t at = 0; (at = text.find("&amp;", at)) != std::string::npos; ++at)
    text.replace(at, 5, "&");
  return text;
}

inline void check_sound(const Visit& visit) {
  CHECK(visit.attribute("data-ready") == "1");
  CHECK(visit.attribute("data-errors") == "0");
  CHECK(visit.attribute("data-overlaps") == "0");
  CHECK(visit.attribute("data-unnamed") == "0");
  CHECK(visit.attribute("data-overflow") == "0");
  CHECK(visit.console == "");
}

// Compares what the page showed with the trace itself, not with what is in the page.
inline void check_walk(const trace::Trace& trace, const std::string& walk) {
  const trace::Story story(trace);
  trace::State state(trace);
  std::istringstream lines(unescaped(walk));
  std::size_t k = 0;
  int fields = 0;
  for (std::string line; std::getline(lines, line); ++k) {
    const nlohmann::json told = nlohmann::json::parse(line);
    CAPTURE(k);
    REQUIRE(k < story.size());
    std::string text = told["card"]["title"];
    for (const nlohmann::json& each : told["card"]["text"])
      text += "\n  " + each.get<std::string>();
    CHECK(text == story.text(k));
    state.go_to(story.end(k));
    for (const nlohmann::json& node : told["state"]) {
      const trace::NodeState& expected = state.of(node[0]);
      CHECK(node[1] == id_or_null(expected.value));
      CHECK(node[2] == id_or_null(expected.upstream));
      CHECK(node[3] == id_or_null(expected.grad));
    }
    for (std::size_t i = story.begin(k); i < story.end(k); ++i) {
      const auto shows = [&](const std::string& role, trace::Id id) {
        if (id == trace::kNone) return;
        const std::string expected = trace::values_text(trace.numbers[id].values);
        // A table has so many cells at most; else the numbers are below.
        const std::string shown = trace.numbers[id].values.numel() > 4096 ? "" : expected;
        bool found = false;
        for (const nlohmann::json& field : told["card"]["fields"])
          found = found || (field[0] == role && field[1] == expected && field[2] == shown);
        CHECK_MESSAGE(found, role);
        ++fields;
      };
      if (const auto* e = std::get_if<trace::Contribution>(&trace.events[i])) {
        for (const trace::Id each : e->upstream) shows("upstream", each);
        shows("local", e->local);
        shows("unsummed", e->unsummed);
        shows("contribution", e->gradient);
      } else if (const auto* sum = std::get_if<trace::Accumulation>(&trace.events[i])) {
        shows("before", sum->before);
        shows("accumulated", sum->after);
      } else if (const auto* update = std::get_if<trace::Update>(&trace.events[i])) {
        shows("before", update->before);
        shows("value", update->after);
        for (const auto& kept : update->kept) shows("kept", kept.after);
      } else if (const auto* made = std::get_if<trace::Computed>(&trace.events[i])) {
        shows(i + 1 == story.end(k) ? "value" : "operand", made->value);
      }
    }
  }
  CHECK(k == story.size());
  CHECK(fields > 0);
}

// The cells that light up in the factors make, one by one multiplied and summed, the number of the
// cell that is looked at: but for a bias, which is left.
inline int check_products(const nlohmann::json& page, const std::string& text) {
  struct Kept {
    std::vector<double> values;
    bool is_complete;
  };
  std::map<std::size_t, Kept> numbers;
  for (const nlohmann::json& each : page["numbers"]) {
    Kept& kept = numbers[each[0]];
    kept.is_complete = each.size() == 5;
    std::istringstream words(each[3].get_ref<const std::string&>());
    for (double value; words >> value;) kept.values.push_back(value);
    kept.is_complete = kept.is_complete && kept.values.size() <= 4096;  // else there are no cells
  }
  const auto numbers_of = [&](const nlohmann::json& field) -> const std::vector<double>& {
    return numbers.at(field[2]).values;
  };
  int products = 0;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line); ++products) {
    const nlohmann::json told = nlohmann::json::parse(unescaped(line));
    CAPTURE(line);
    const nlohmann::json& step = page["steps"][told["k"].get<std::size_t>()];
    std::vector<std::vector<double>> lit;
    // Of a large factor the corner is there, and not always what made the element.
    bool is_whole = true;
    for (const nlohmann::json& field : step["fields"])
      is_whole = is_whole && (field.size() == 3 || numbers.at(field[2]).is_complete);
    double expected = 0, bias = 0;
    for (std::size_t i = 0; i < step["fields"].size(); ++i) {
      const nlohmann::json& field = step["fields"][i];
      const bool is_part = field.size() > 3;
      if (is_whole) CHECK(told["lit"][i].empty() == (!is_part || lit.size() == 2));
      if (is_part && lit.size() == 2) {
        expected = numbers_of(field).at(told["at"][0]);
      } else if (is_part) {
        lit.emplace_back();
        for (const nlohmann::json& at : told["lit"][i])
          lit.back().push_back(numbers_of(field).at(at));
      } else if (field[0] == "operand") {
        bias = numbers_of(field).at(told["at"][0].get<std::size_t>() % numbers_of(field).size());
      }
    }
    REQUIRE(lit.size() == 2);
    CHECK(says(told["told"], ", from "));
    if (!is_whole) continue;
    REQUIRE(lit[0].size() == lit[1].size());
    double sum = bias;
    for (std::size_t k = 0; k < lit[0].size(); ++k) sum += lit[0][k] * lit[1][k];
    CHECK(expected == doctest::Approx(sum).epsilon(1e-4));
  }
  return products;
}

// Each way that the page lists goes from the tensor through contributions to where a pass began, no
// two are the same, they are as many as there are up to twenty, and what arrives is what arrived.
inline int check_ways(const trace::Trace& trace, const std::string& text) {
  const trace::Story story(trace);
  const std::vector<trace::page::Pass> passes = trace::page::passes(trace, trace.events.size());
  const trace::page::Sources sources(trace);
  const auto is_root = [](const trace::page::Pass& pass, trace::Id node) {
    return std::count(pass.roots.begin(), pass.roots.end(), node) > 0;
  };
  const auto contribution = [&](std::size_t k) -> const trace::Contribution& {
    for (std::size_t i = story.begin(k); i < story.end(k); ++i)
      if (const auto* e = std::get_if<trace::Contribution>(&trace.events[i])) return *e;
    FAIL("a way goes through a step without a contribution");
    throw 0;
  };
  int listed = 0, found = 0;
  std::istringstream lines(unescaped(text));
  for (std::string line; std::getline(lines, line);) {
    const nlohmann::json told = nlohmann::json::parse(line);
    CAPTURE(line);
    const trace::Id node = told["node"];
    const std::set<nlohmann::json> different(told["ways"].begin(), told["ways"].end());
    CHECK(different.size() == told["ways"].size());
    // At its first step the page shows the first pass that reaches the tensor.
    const trace::page::Pass* pass = nullptr;
    const trace::page::Ways* ways = nullptr;
    for (const auto& each : passes)
      for (const auto& of : each.tensors)
        if (of.node == node && pass == nullptr) {
          pass = &each;
          ways = &of;
        }
    CHECK((ways == nullptr) == told["ways"].empty());
    if (ways == nullptr) {
      const bool begins = std::any_of(passes.begin(), passes.end(),
                                      [&](const auto& each) { return is_root(each, node); });
      CHECK(says(told["told"], begins ? "begins here" : "no gradient comes to it"));
      continue;
    }
    ++found;
    CHECK(says(told["told"], ways->count == "1" ? "there is one way" : "there are " + ways->count));
    if (ways->count.size() < 3)
      CHECK(told["ways"].size() == std::min<std::size_t>(20, std::stoul(ways->count)));
    std::set<trace::Id> on_ways = {node};
    for (std::size_t w = 0; w < told["ways"].size(); ++w) {
      trace::Id at = node;
      for (const nlohmann::json& k : told["ways"][w]) {
        const trace::Contribution& hop = contribution(k);
        CHECK(trace.nodes[hop.node].inputs[hop.input] == at);
        at = sources.of(hop).at(0);
        on_ways.insert(at);
      }
      CHECK(is_root(*pass, at));
      // What stands beside a way is the product along that way, and not along another.
      std::string product;
      if (!ways->products.empty()) {
        float brought = 1;
        for (auto k = told["ways"][w].rbegin(); k != told["ways"][w].rend(); ++k)
          brought *= trace.numbers[contribution(*k).local].values.to_vector<float>().at(0);
        product = trace::number_text(tensor({brought}), 0);
      }
      CHECK(told["products"][w] == product);
      ++listed;
    }
    if (!told["lit"].empty() && !told["lit"][0].is_null() && told["ways"].size() < 20)
      CHECK(std::set<trace::Id>(told["lit"].begin(), told["lit"].end()) == on_ways);
    if (!ways->products.empty()) {
      CHECK(told["sum"] == ways->sum);
      // A cause is named only where it can be one.
      const std::string gradient =
          ways->gradient == trace::kNone ? ways->sum : told["gradient"].get<std::string>();
      const double apart = std::abs(std::stod(gradient) - std::stod(ways->sum));
      CHECK(says(told["told"], "differ by rounding") == (gradient != ways->sum && apart < 1e-3));
      CHECK(says(told["told"], "by more than rounding") == (apart > 1e-3));
    }
    if (ways->gradient != trace::kNone)
      CHECK(told["total"] ==
            nlohmann::json({trace::values_text(trace.numbers[ways->gradient].values)}));
    CHECK(!told["arrivals"].empty());
  }
  CHECK(found > 0);
  return listed;
}

struct Walked {
  trace::Trace trace;
  std::unique_ptr<TracePage> page;
};

/// Opens the pages side by side, walks through each and checks all that it shows; how many elements
/// of products were lit up.
inline int check_pages(const std::vector<Walked>& all) {
  std::vector<std::future<Visit>> visits;
  for (const Walked& each : all)
    visits.push_back(std::async(std::launch::async, [&each] {
      return open_in_browser("file://" + each.page->path + "#selftest", 1280, 800);
    }));
  int products = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const trace::Trace& trace = all[i].trace;
    const nlohmann::json& data = all[i].page->data;
    CAPTURE(trace.program);
    const Visit visit = visits[i].get();
    check_sound(visit);
    CHECK(visit.attribute("data-selftest") ==
          "ok " + std::to_string(trace::Story(trace).size()) + " steps");
    std::size_t inner = 0;
    for (const nlohmann::json& picture : data["pictures"])
      inner += !picture["opened"].is_null() && picture["opened"] != 0 ? 1 : 0;
    CHECK(visit.attribute("data-opened") == "ok " + std::to_string(inner));
    check_walk(trace, visit.text_of("walk"));
    check_ways(trace, visit.text_of("ways-told"));
    products += check_products(data, visit.text_of("products"));
  }
  return products;
}

}  // namespace retrace::testing
