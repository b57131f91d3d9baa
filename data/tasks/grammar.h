#pragma once

#include <span>
#include <string>
#include <vector>

#include <retrace/tensor/random.h>

namespace retrace::data {

/// One way to write a symbol, and how often it is taken.
struct GrammarRule {
  double probability = 0;
  std::string left;
  std::vector<std::string> right;
};

/// A sentence that a grammar has made.
struct Sentence {
  std::vector<std::int64_t> words;
  double log_probability = 0;  ///< of its derivation, in nats
};

/// A probabilistic context-free grammar without recursion, and what is known exactly about its
/// sentences.
///
/// The left side of the first rule is the start. A name without rules is a word; words are numbered
/// in the order in which rules first name them, and the end of a sentence has the number after the
/// last. Each sum below is over rules r and u(r), how often a sentence uses r in the mean; where
/// sentences have one derivation each, what is said of derivations holds for them.
class Grammar {
 public:
  /// ValueError for no rules, a probability outside (0, 1], a symbol whose probabilities do not add
  /// up to 1, an empty right side, or a rule that names a symbol whose own rules begin earlier.
  explicit Grammar(std::vector<GrammarRule> rules);

  const std::vector<std::string>& words() const { return words_; }
  const std::vector<GrammarRule>& rules() const { return rules_; }
  const std::vector<double>& uses() const { return uses_; }  ///< u, of each rule

  Sentence sample(Generator& generator = default_generator()) const;

  double entropy() const;            ///< of a derivation, Σ -u ln p, in nats
  double mean_length() const;        ///< Σ u · words of the right side
  std::int64_t longest() const;      ///< most words of a sentence
  double entropy_per_token() const;  ///< entropy / (mean_length + 1): a sentence has an end, too
  /// What the best model loses that sees no more than the order - 1 tokens before, in nats a token:
  /// Σ -c ln(c / c of its context) / (mean_length + 1), c being the mean number of times that an
  /// n-gram stands in a sentence with order - 1 marks before it and its end. ValueError for an
  /// order below 1.
  double ngram_loss(std::int64_t order) const;

  /// Of this sentence, over all its derivations; 0 if it has none. Numbers that are no words are
  /// allowed, and have none. (The inside algorithm: Baker 1979, doi 10.1121/1.2017061.)
  double probability(std::span<const std::int64_t> sentence) const;
  /// Of all sentences that begin so.
  double prefix_probability(std::span<const std::int64_t> prefix) const;
  /// The distribution of what follows: of each word, and last the end. ValueError if no sentence
  /// begins so.
  std::vector<double> next_word(std::span<const std::int64_t> prefix) const;

 private:
  struct Part {
    std::size_t id;
    bool is_word;
  };

  void number_parts();
  void check_probabilities() const;
  double span_probability(std::span<const std::int64_t> words, bool open) const;
  std::size_t draw_rule(std::size_t symbol, Generator& generator) const;

  std::vector<GrammarRule> rules_;
  std::vector<std::vector<Part>> parts_;            // the right side of each rule
  std::vector<std::vector<std::size_t>> rules_of_;  // of each symbol; parts are later symbols
  std::vector<double> uses_;
  std::vector<std::string> words_;
};

}  // namespace retrace::data
