#pragma once

// The atlas: one HTML file with a card for each activation and each loss, its curves computed by
// the engine. The page looks up and draws what is in it, and computes nothing.

#include <string>

namespace retrace::atlas {

struct Page {
  std::string html;
  int cards = 0;
};

Page page();

/// The curves as JSON that can stand in a <script>: without "<", numbers as the shortest texts that
/// give the float32 again, "inf", "-inf" and "nan" as texts.
std::string data(int* cards = nullptr);

}  // namespace retrace::atlas
