#pragma once

// Byte-pair encoding below the tokenizer: merges, how they are applied to a word, how they are
// learnt. Source: Sennrich et al. 2016, arXiv:1508.07909, section 3.2; on bytes, Radford et al.
// 2019, section 2.2.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace retrace::data {

/// Keyed by text; found by views of it, too.
struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const {
    return std::hash<std::string_view>()(text);
  }
};
template <class Value>
using TextMap = std::unordered_map<std::string, Value, TextHash, std::equal_to<>>;

/// `left` with `right` behind it becomes `result`.
struct Merge {
  std::int32_t left, right, result;
};

/// A pair of tokens as one number.
inline std::uint64_t pair_key(std::int32_t left, std::int32_t right) {
  return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
}

/// Merges in the order of preference.
class Merges {
 public:
  /// False, and nothing is changed, when the pair has a merge already.
  bool add(const Merge& merge);
  /// The place of a pair's merge, the preferred one lower; -1 without one.
  std::int32_t find(std::int32_t left, std::int32_t right) const;

  const Merge& operator[](std::int32_t place) const {
    return list_[static_cast<std::size_t>(place)];
  }
  bool empty() const { return list_.empty(); }
  auto begin() const { return list_.begin(); }
  auto end() const { return list_.end(); }

 private:
  std::vector<Merge> list_;
  std::unordered_map<std::uint64_t, std::int32_t> places_;
};

/// Applies merges to words, one after the other.
class WordMerger {
 public:
  explicit WordMerger(const Merges& merges) : merges_(merges) {}

  /// Of all pairs side by side in `word` the most preferred is merged, wherever it stands, from
  /// left to right; and so on, until none is left. In n log n for a word of n tokens.
  void apply(std::vector<std::int32_t>& word);

 private:
  struct Symbol {
    std::int32_t token;  // -1: merged into another
    std::int32_t previous, next;
  };
  struct Candidate {
    std::int32_t merge, place;
    // The heap's largest is the most preferred, the leftmost of them.
    bool operator<(const Candidate& other) const {
      return merge != other.merge ? merge > other.merge : place > other.place;
    }
  };
  void consider(std::int32_t place, std::vector<Candidate>& list);
  void merge(const Candidate& candidate);

  const Merges& merges_;
  std::vector<Symbol> symbols_;
  std::vector<Candidate> heap_, fresh_;
};

/// How often each word comes.
using WordCounts = TextMap<std::int64_t>;

/// What BPE has learnt from a text.
struct LearntMerges {
  std::vector<std::string> tokens;  ///< their bytes; the first 256 are the bytes themselves
  Merges merges;
};

/// Time and again merges the pair that comes most often within words (of those that come as often,
/// the one with the lowest numbers), until `merges` are learnt or no pair comes twice. Two merges
/// may lead to the same bytes, which are one token.
LearntMerges learn_merges(const WordCounts& words, std::int64_t merges);

}  // namespace retrace::data
