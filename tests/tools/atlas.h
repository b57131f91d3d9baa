#pragma once

// The atlas as the tool writes it, and the data in it.

#include <cmath>
#include <limits>
#include <string>

#include <retrace/tests/tools/tool.h>

namespace retrace::testing {

struct Atlas {
  TemporaryFolder folder;
  std::string path = folder / "atlas.html", said, html;
  nlohmann::json data;

  Atlas() {
    const Outcome outcome = run_tool({"atlas", "-o", path});
    REQUIRE(outcome.code == 0);
    said = outcome.err;
    html = contents_of(path);
    data = data_of(html);
  }
};

inline const Atlas& atlas() {
  static const Atlas atlas;
  return atlas;
}

/// A number of the data.
inline float number_of(const nlohmann::json& json) {
  if (json.is_number()) return static_cast<float>(json.get<double>());
  if (json == "nan") return std::numeric_limits<float>::quiet_NaN();
  return json == "inf" ? std::numeric_limits<float>::infinity()
                       : -std::numeric_limits<float>::infinity();
}

/// The call in C++ that a card shows at these stops.
inline std::string call_at(const nlohmann::json& card, const std::vector<std::size_t>& stops) {
  std::string call = card["call"];
  for (std::size_t k = 0; k < stops.size(); ++k) {
    const nlohmann::json& stop = card["knobs"][k]["stops"][stops[k]];
    const std::string placeholder = "$(" + card["knobs"][k]["name"].get<std::string>() + ")";
    for (std::size_t at; (at = call.find(placeholder)) != std::string::npos;)
      call.replace(at, placeholder.size(),
                   stop.is_string() ? stop.get<std::string>() : stop.dump());
  }
  return call;
}

/// The stops of the combination with this number, the last knob counting fastest.
inline std::vector<std::size_t> stops_at(const nlohmann::json& card, std::size_t index) {
  std::vector<std::size_t> stops(card["knobs"].size());
  for (std::size_t k = stops.size(); k-- > 0;) {
    stops[k] = index % card["knobs"][k]["stops"].size();
    index /= card["knobs"][k]["stops"].size();
  }
  return stops;
}

/// Equal, NaN included.
inline bool same(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }

}  // namespace retrace::testing
