#pragma once

// What is reported of language models, from negative log-likelihoods in nats. To report, not to
// train on. Errors: DTypeError, ShapeError.

#include <retrace/tensor/tensor.h>

namespace retrace::losses {

/// exp(mean negative log-likelihood), of any shape: among how many tokens the model chooses.
/// Overflows to infinity. Gradient: dx = g · y.
/// Source: Jelinek et al. 1977, Perplexity - a measure of the difficulty of speech recognition.
Tensor perplexity(const Tensor& mean_nll);

/// Perplexity of several batches together, exp(Σ nll_sum / Σ tokens), 0-d and without gradient:
/// each token weighs the same. nll_sum holds each batch's sum, tokens (int64, of its shape) how
/// many they were. ValueError unless there are tokens and no count is negative. See also
/// TokenAverage. Source: Jelinek et al. 1977, as perplexity.
Tensor perplexity_aggregate(const Tensor& nll_sum, const Tensor& tokens);

/// Nats as bits: mean_nll / ln 2; perplexity is 2 to their power. Gradient: dx = g / ln 2.
/// Source: Shannon 1948, A mathematical theory of communication, section 1.
Tensor bits_per_token(const Tensor& mean_nll);

/// Σ nll_sum / (Σ num_bytes · ln 2), 0-d and without gradient: comparable between vocabularies.
/// Shapes and errors as perplexity_aggregate.
/// Source: Gao et al. 2020, arXiv:2101.00027, section 3.1.
Tensor bits_per_byte(const Tensor& nll_sum, const Tensor& num_bytes);

/// The mean over tokens of a text that is read in batches.
class TokenAverage {
 public:
  /// ValueError for a negative number of tokens.
  void add(double nll_sum, std::int64_t tokens);
  std::int64_t tokens() const { return tokens_; }
  double mean_nll() const;    ///< NaN without tokens, as are the others
  double perplexity() const;  ///< exp(mean_nll)
  double bits_per_token() const;
  double bits_per_byte(std::int64_t bytes) const;  ///< `bytes` of the whole text

 private:
  double nll_sum_ = 0;
  std::int64_t tokens_ = 0;
};

}  // namespace retrace::losses
