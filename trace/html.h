#pragma once

// HTML files of this project: each is whole, asks the network for nothing, and fits light and dark,
// wide and narrow screens.

#include <string>
#include <string_view>

#include <retrace/trace/trace.h>

namespace retrace::trace {

/// The page of a trace, which steps through it, forwards and backwards. All numbers and all words
/// in it are those of the trace and its Story: the page replays events and computes nothing.
struct HtmlPage {
  std::string html;
  std::string about;  ///< "58 steps, 21 tensors, 0.1 MB", and a line for each thing left out
};
HtmlPage html_page(const Trace& trace);

/// What a page holds at most; of more it says so.
inline constexpr std::size_t kPageSteps = 20'000;
inline constexpr std::size_t kPageBytes = 24ull << 20;  ///< of numbers; then corners are kept

/// A whole file: `body` below the house's style sheet, which `style` goes on.
std::string html_file(const std::string& title, const std::string& style, const std::string& body);
/// Such a file with a program: `script`, which finds `json` as the text of the element "data".
std::string html_program(const std::string& title, const std::string& style,
                         const std::string& body, const std::string& json,
                         const std::string& script);
/// With &, <, > and quotes written so that HTML and SVG show them.
std::string escape_html(std::string_view text);

}  // namespace retrace::trace
