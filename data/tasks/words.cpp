#include <retrace/data/tasks/words.h>

#include <algorithm>
#include <sstream>

#include <retrace/tensor/check.h>

namespace retrace::data {

std::string join_words(std::string_view task, const std::vector<std::string>& words,
                       std::span<const std::int64_t> tokens) {
  std::string text;
  for (const std::int64_t token : tokens) {
    require<IndexError>(token >= 0 && token < std::ssize(words), "{}: token {} is not one of {}",
                        task, token, words.size());
    if (!text.empty()) text += ' ';
    text += words[static_cast<std::size_t>(token)];
  }
  return text;
}

std::vector<std::int64_t> split_words(std::string_view task, const std::vector<std::string>& words,
                                      std::string_view text) {
  std::istringstream stream{std::string(text)};
  std::vector<std::int64_t> tokens;
  for (std::string word; stream >> word;) {
    const auto found = std::find(words.begin(), words.end(), word);
    require<ValueError>(found != words.end(), "{}: unknown word \"{}\"; the words are {}", task,
                        word, fmt::join(words, " "));
    tokens.push_back(found - words.begin());
  }
  return tokens;
}

}  // namespace retrace::data
