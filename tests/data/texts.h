#pragma once

// Random texts, and the words that a tokenizer sees in them.

#include <string>
#include <string_view>
#include <vector>

#include <retrace/data/pretokens.h>
#include <retrace/tensor/random.h>

namespace retrace::testing {

using Words = std::vector<std::string>;

inline Words words_of(std::string_view text) {
  Words words;
  data::for_each_pretoken(text, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

inline std::string random_bytes(std::int64_t size, Generator& generator) {
  std::string text;
  for (std::int64_t i = 0; i < size; ++i) text += static_cast<char>(generator.next_below(256));
  return text;
}

// Characters that mean something to the pattern, of one to four bytes.
inline std::string random_text(std::int64_t size, Generator& generator) {
  const Words characters = {"a",  "b",    "E",      "'s",     "'",      "1",     "٣",
                            " ",  " ",    "\n",     "\t",     "!",      "-",     "é",
                            "語", "🙂", "\u00a0", "\u3000", "\u2003", "\u180e"};
  std::string text;
  for (std::int64_t i = 0; i < size; ++i) {
    text += characters[static_cast<std::size_t>(generator.next_below(std::ssize(characters)))];
  }
  return text;
}

}  // namespace retrace::testing
