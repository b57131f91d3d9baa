#pragma once

// What a test measured, in one line: on its output, and at the end of the file that RETRACE_FIGURES
// names, in which a report finds those of all tests.

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>
#include <string_view>

namespace retrace::testing {

/// `row` is the number of the promise, `reached` what was counted: "46 of 46 boundaries".
inline void figure(std::string_view row, std::string_view what, const std::string& reached) {
  const std::string line = std::string(row) + " " + std::string(what) + ": " + reached + "\n";
  std::cout << line << std::flush;
  if (const char* path = std::getenv("RETRACE_FIGURES")) {
    std::ofstream(path, std::ios::app) << line;
  }
}

inline std::string of(std::int64_t reached, std::int64_t all) {
  return std::to_string(reached) + " of " + std::to_string(all);
}

}  // namespace retrace::testing
