#pragma once

#include <functional>
#include <string_view>

namespace retrace::data {

/// Cuts a text into the words within which byte pairs are merged, and calls f with each, in order;
/// put together they are the text. They are what GPT-2's pattern matches,
///     's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// with Unicode's White_Space for \s; a byte that is not UTF-8 is a word of its own. No word goes
/// on from another character to a white space: a text that is cut there has the same words.
///
/// Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.2,
/// and encoder.py of its code.
void for_each_pretoken(std::string_view text, const std::function<void(std::string_view)>& f);

}  // namespace retrace::data
