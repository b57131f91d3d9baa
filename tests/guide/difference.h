#pragma once

// Where what a program printed is not what its page says.

#include <algorithm>
#include <cmath>
#include <optional>
#include <regex>
#include <string>
#include <vector>

namespace retrace::guide {

using Lines = std::vector<std::string>;

/// Equal, or with numbers that differ by a fiftieth at most.
inline bool is_same(const std::string& expected, const std::string& actual, bool about) {
  if (expected == actual) return true;
  if (!about) return false;
  static const std::regex kNumber(R"(-?\d+(\.\d+)?(e[+-]?\d+)?)");
  static const std::regex kBlanks(" +");  // numbers of other widths are moved about
  const auto words = [&](const std::string& line) {
    return std::regex_replace(std::regex_replace(line, kNumber, "#"), kBlanks, " ");
  };
  if (words(expected) != words(actual)) return false;
  std::sregex_iterator a(expected.begin(), expected.end(), kNumber),
      b(actual.begin(), actual.end(), kNumber), end;
  for (; a != end; ++a, ++b) {
    const double x = std::stod(a->str()), y = std::stod(b->str());
    if (std::abs(x - y) > 0.02 * std::max(std::abs(x), std::abs(y))) return false;
  }
  return true;
}

/// The first line that differs, from 0, and what stands there instead.
struct Difference {
  std::size_t line;
  std::string expected, actual;
};

inline std::optional<Difference> difference(const Lines& expected, const Lines& actual,
                                            bool about) {
  const std::string kNone = "(nothing)";
  std::size_t at = 0;  // in actual
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (expected[i] != "...") {
      if (at >= actual.size()) return Difference{i, expected[i], kNone};
      if (!is_same(expected[i], actual[at], about)) return Difference{i, expected[i], actual[at]};
      ++at;
      continue;
    }
    // On to where the lines up to the next such line stand one behind the other.
    std::size_t end = i + 1;
    while (end < expected.size() && expected[end] != "...") ++end;
    const std::size_t count = end - i - 1;
    if (end == expected.size()) {
      if (actual.size() < at + count) return Difference{i, expected[end - 1], kNone};
      at = actual.size() - count;
      continue;
    }
    const auto stands_at = [&](std::size_t place) {
      for (std::size_t k = 0; k < count; ++k)
        if (!is_same(expected[i + 1 + k], actual[place + k], about)) return false;
      return true;
    };
    while (at + count <= actual.size() && !stands_at(at)) ++at;
    if (at + count > actual.size()) return Difference{i + 1, expected[i + 1], kNone};
  }
  if (at < actual.size()) return Difference{expected.size(), kNone, actual[at]};
  return {};
}

}  // namespace retrace::guide
