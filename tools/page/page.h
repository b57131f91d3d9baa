#pragma once

// The page of a trace: one HTML file that steps through it, forwards and backwards. All numbers and
// all words in it are those of the trace and its story: the page replays events and computes
// nothing.

#include <cstddef>
#include <string>

#include <retrace/trace/trace.h>

namespace retrace::page {

/// What a page holds at most; of more it says so.
inline constexpr std::size_t kSteps = 20'000;
inline constexpr std::size_t kBytesOfNumbers = 24ull << 20;  ///< then corners are kept

struct Page {
  std::string html;
  std::string about;  ///< "58 steps, 21 tensors, 0.1 MB"
};

Page page(const trace::Trace& trace);

}  // namespace retrace::page
