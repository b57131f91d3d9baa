#pragma once

// What a test measured, in one line: on its output, and at the end of the file that RETRACE_FIGURES
// names, in which ./reliability finds those of all tests.

#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>

namespace retrace::testing {

/// `row` is the number of the promise in docs/reliability.md, `what` what was done, `reached` what
/// was counted ("46 of 46 boundaries"), `holds` whether that is what was promised.
inline void figure(std::string_view row, std::string_view what, const std::string& reached,
                   bool holds) {
  const auto line = [&](std::string_view between) {
    return std::string(row) + std::string(between) + (holds ? "pass" : "SHORT") +
           std::string(between) + std::string(what) + std::string(between) + reached + "\n";
  };
  std::cout << line(" | ") << std::flush;
  if (const char* path = std::getenv("RETRACE_FIGURES")) {
    std::ofstream(path, std::ios::app) << line("\t");
  }
}

inline std::string of(std::int64_t reached, std::int64_t all) {
  return std::to_string(reached) + " of " + std::to_string(all);
}

}  // namespace retrace::testing
