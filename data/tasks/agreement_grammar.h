#pragma once

#include <retrace/data/dataset.h>
#include <retrace/data/tasks/grammar.h>

namespace retrace::data {

/// Sentences as a language model reads them, and what they cost at best.
struct Sentences {
  /// Inputs int64 [rows, T], the end token and the words: EOS w1 .. wn; targets int64 [rows, T]:
  /// w1 .. wn EOS. T is that of the longest; behind the others stand EOS, and -100 as target.
  TensorDataset rows;
  Tensor log_probabilities;  ///< float64 [rows], in nats
};

/// English sentences in which a verb agrees with a subject that may stand far before it: a task for
/// language models whose best possible loss is known.
///
///     the dog that some cats like sleeps
///
/// A noun may be followed by a relative clause, whose noun may be so once more. Most clauses are
/// of the kind above (object relatives), where a second noun stands between subject and verb, and
/// every other time has another number. 21 words and EOS; every sentence has one derivation.
class AgreementGrammar {
 public:
  AgreementGrammar();

  const Grammar& grammar() const { return grammar_; }
  std::int64_t eos_id() const { return vocab_size() - 1; }
  std::int64_t vocab_size() const { return std::ssize(words_); }

  /// Fresh sentences.
  Sentences sample(std::int64_t rows, Generator& generator = default_generator()) const;

  /// Mean of -ln p(token | all before it) over tokens, ends counted, of these very rows.
  double oracle_loss(const Sentences& sentences) const;
  /// Its mean over all data, the entropy of a sentence over its mean number of tokens: 1.227435250.
  double population_floor() const { return grammar_.entropy_per_token(); }
  /// What the best model of the order - 1 tokens before loses: 2.731346808 for order 1, 1.631864951
  /// for 2, 1.553843552 for 3.
  double ngram_loss(std::int64_t order) const { return grammar_.ngram_loss(order); }
  /// What a model loses that knows everything but the number of a verb whose subject has an object
  /// relative: 1.258859.
  double agreement_blind_loss() const;
  /// Such verbs a sentence, in the mean: 0.345. Each costs ln 2.
  double separated_verbs() const;

  /// Of each token; the last is "<eos>".
  const std::vector<std::string>& words() const { return words_; }
  /// The words of tokens, EOS left out. IndexError for a token outside the vocabulary.
  std::string text(std::span<const std::int64_t> tokens) const;
  /// The tokens of a text, words apart by blanks. ValueError naming a word that is not known.
  std::vector<std::int64_t> tokens(std::string_view text) const;
  /// Whether the words up to the first EOS, an EOS at the very start left out, are a sentence.
  bool is_grammatical(std::span<const std::int64_t> tokens) const;

 private:
  Grammar grammar_;
  std::vector<std::string> words_;
};

}  // namespace retrace::data
