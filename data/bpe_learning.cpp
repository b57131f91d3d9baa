#include <algorithm>
#include <queue>

#include <retrace/data/bpe.h>

namespace retrace::data {
namespace {

class Learner {
 public:
  explicit Learner(const WordCounts& words);
  LearntMerges learn(std::int64_t merges);

 private:
  using Token = std::int32_t;
  struct Word {
    std::vector<Token> tokens;
    std::int64_t count;
  };
  struct Pair {
    std::int64_t count = 0;           // over all words
    std::vector<std::int32_t> words;  // those that have it, and some that had it
  };
  // Of pairs with equal counts the lowest comes first.
  struct Candidate {
    std::int64_t count;
    std::uint64_t pair;
    bool operator<(const Candidate& other) const {
      return count != other.count ? count < other.count : pair > other.pair;
    }
  };

  void add(Token left, Token right, std::int32_t word);
  void remove(Token left, Token right, std::int32_t word);
  // The pair that comes most often, if it comes twice.
  bool find_best(std::uint64_t& best);
  Token token_of(const std::string& bytes);
  void merge_all(const Merge& merge);
  void merge_in(std::int32_t word, const Merge& merge);

  std::vector<Word> words_;
  std::unordered_map<std::uint64_t, Pair> pairs_;
  std::priority_queue<Candidate> queue_;  // counts may be outdated, but are never too low
  std::vector<std::uint64_t> grown_;
  TextMap<Token> tokens_;
  LearntMerges learnt_;
};

Learner::Learner(const WordCounts& words) {
  for (int byte = 0; byte < 256; ++byte) token_of(std::string(1, static_cast<char>(byte)));
  for (const auto& [text, count] : words) {
    const auto word = static_cast<std::int32_t>(words_.size());
    words_.push_back({{}, count});
    for (const char byte : text) {
      words_.back().tokens.push_back(static_cast<unsigned char>(byte));
    }
    const std::vector<Token>& tokens = words_.back().tokens;
    for (std::size_t i = 0; i + 1 < tokens.size(); ++i) add(tokens[i], tokens[i + 1], word);
  }
  for (const auto& [key, pair] : pairs_) queue_.push({pair.count, key});
}

LearntMerges Learner::learn(std::int64_t merges) {
  std::uint64_t best = 0;
  for (std::int64_t i = 0; i < merges && find_best(best); ++i) {
    const auto left = static_cast<Token>(best >> 32), right = static_cast<Token>(best);
    const auto bytes = [this](Token token) -> const std::string& {
      return learnt_.tokens[static_cast<std::size_t>(token)];
    };
    const Merge merge = {left, right, token_of(bytes(left) + bytes(right))};
    learnt_.merges.add(merge);
    merge_all(merge);
  }
  return std::move(learnt_);
}

Learner::Token Learner::token_of(const std::string& bytes) {
  const auto next = static_cast<Token>(learnt_.tokens.size());
  const auto [known, is_new] = tokens_.try_emplace(bytes, next);
  if (is_new) learnt_.tokens.push_back(bytes);
  return known->second;
}

void Learner::add(Token left, Token right, std::int32_t word) {
  const std::uint64_t key = pair_key(left, right);
  Pair& pair = pairs_[key];
  pair.count += words_[static_cast<std::size_t>(word)].count;
  if (pair.words.empty() || pair.words.back() != word) pair.words.push_back(word);
  grown_.push_back(key);
}

void Learner::remove(Token left, Token right, std::int32_t word) {
  pairs_[pair_key(left, right)].count -= words_[static_cast<std::size_t>(word)].count;
}

bool Learner::find_best(std::uint64_t& best) {
  while (!queue_.empty()) {
    const Candidate candidate = queue_.top();
    const std::int64_t count = pairs_[candidate.pair].count;
    best = candidate.pair;
    if (candidate.count == count) return count >= 2;
    queue_.pop();
    if (count > 0) queue_.push({count, candidate.pair});
  }
  return false;
}

void Learner::merge_all(const Merge& merge) {
  const std::vector<std::int32_t> words =
      std::move(pairs_[pair_key(merge.left, merge.right)].words);
  grown_.clear();
  for (const std::int32_t word : words) merge_in(word, merge);
  // Only pairs with the result can come more often than before.
  std::sort(grown_.begin(), grown_.end());
  grown_.erase(std::unique(grown_.begin(), grown_.end()), grown_.end());
  for (const std::uint64_t key : grown_) queue_.push({pairs_[key].count, key});
}

// Each merge is counted as if it were the only one: the token to the left has been merged already.
void Learner::merge_in(std::int32_t word, const Merge& merge) {
  std::vector<Token>& tokens = words_[static_cast<std::size_t>(word)].tokens;
  std::size_t size = 0;  // of what is merged
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i + 1 == tokens.size() || tokens[i] != merge.left || tokens[i + 1] != merge.right) {
      tokens[size++] = tokens[i];
      continue;
    }
    if (size > 0) {
      remove(tokens[size - 1], merge.left, word);
      add(tokens[size - 1], merge.result, word);
    }
    remove(merge.left, merge.right, word);
    ++i;
    if (i + 1 < tokens.size()) {
      remove(merge.right, tokens[i + 1], word);
      add(merge.result, tokens[i + 1], word);
    }
    tokens[size++] = merge.result;
  }
  tokens.resize(size);
}

}  // namespace

LearntMerges learn_merges(const WordCounts& words, std::int64_t merges) {
  return Learner(words).learn(merges);
}

}  // namespace retrace::data
