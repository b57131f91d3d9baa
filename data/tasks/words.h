#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace retrace::data {

/// The words of these tokens with blanks between them. IndexError, in the name of `task`, for a
/// token without a word.
std::string join_words(std::string_view task, const std::vector<std::string>& words,
                       std::span<const std::int64_t> tokens);

/// The tokens of words with blanks between them. ValueError naming one that is not known.
std::vector<std::int64_t> split_words(std::string_view task, const std::vector<std::string>& words,
                                      std::string_view text);

}  // namespace retrace::data
