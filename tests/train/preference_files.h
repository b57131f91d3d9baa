#pragma once

#include <string>
#include <vector>

namespace retrace::testing {

/// Preferences in JSONL: to repeat what is said is better than to say something else.
inline std::string echo_preferences(int rows) {
  const std::vector<std::string> words = {"cat", "dog", "sun", "sea", "owl", "fig"};
  std::string text;
  for (int i = 0; i < rows; ++i) {
    const auto at = [&](int place) {
      return words[static_cast<std::size_t>(place) % words.size()];
    };
    const std::string word = at(i * 5 + i / 6);
    text += "{\"prompt\": \"say " + word + std::to_string(i) + " \", \"chosen\": \"" + word +
            "\", \"rejected\": \"" + at(i * 5 + i / 6 + 1 + i % 5) + "\"}\n";
  }
  return text;
}

}  // namespace retrace::testing
