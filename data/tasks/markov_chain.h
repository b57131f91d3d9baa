#pragma once

#include <vector>

#include <retrace/data/dataset.h>
#include <retrace/tensor/random.h>

namespace retrace::data {

struct MarkovChainOptions {
  std::int64_t states = 8;  ///< V
  double contrast = 2.5;  ///< κ: at 0 all tokens are alike, the higher the more one tells the next
};

/// How tokens were hidden that were chosen at random, each by itself: what losses::mlm_corrupt was
/// told, with the chain's states as its vocab_size.
struct Corruption {
  double mask_prob = 0.15;  ///< of each token to be chosen
  double p_mask = 1;        ///< of a chosen one to become the mask,
  double p_random = 0;      ///< or a random token; else it stays
};

/// Tokens each of which depends on the one before: a task for masked language models whose best
/// possible loss is known, both for tokens hidden one by one and for random ones.
///
/// P(i, j), the probability of token j after i, is proportional to
/// exp(κ cos(1.3 i + 2.1 j² + 0.7 i j)), with tokens from 0. Rows start from the stationary
/// distribution π, so that every position is distributed alike. The mask is token V. Below, h(n) is
/// the entropy of a token given the one n before, H(π) that of a token by itself, in nats.
///
/// Given all that is shown, a hidden token with a known one at a places before and b after it,
/// nothing known between, has probability P^a(left, x) P^b(x, right) / P^(a+b)(left, right).
class MarkovChain {
 public:
  /// ValueError for fewer than two states, a contrast outside [0, 20].
  explicit MarkovChain(const MarkovChainOptions& options = {});

  const MarkovChainOptions& options() const { return options_; }
  std::int64_t mask_id() const { return options_.states; }
  std::int64_t vocab_size() const { return options_.states + 1; }
  Tensor transitions() const;  ///< P, float64 [V, V]
  Tensor stationary() const;   ///< π, float64 [V]

  /// Fresh rows, int64 [rows, length].
  Tensor sample(std::int64_t rows, std::int64_t length,
                Generator& generator = default_generator()) const;
  /// Hides positions o, o + every, ..., from 0, with o drawn from 1 .. every for each row; never
  /// the first or last, so that both neighbours of each are shown. Inputs: `tokens` [rows, length]
  /// with masks; targets: the hidden tokens, -100 elsewhere. ValueError unless every >= 2 and
  /// length >= every + 2.
  TensorDataset mask_every(const Tensor& tokens, std::int64_t every = 4,
                           Generator& generator = default_generator()) const;

  /// h(n). ValueError for n below 1.
  double entropy(std::int64_t steps) const;
  double stationary_entropy() const;  ///< H(π) = h(∞)

  /// Mean over positions with a target of -ln p(target | inputs), on these very rows: the forward
  /// and backward passes of a hidden Markov chain. Inputs int64 [rows, length] with masks, targets
  /// alike, -100 where there is none. Masks may stand anywhere as long as their places say nothing
  /// of the tokens. With p_mask < 1, as BERT's 0.8 and p_random 0.1, tokens that are shown may be
  /// wrong, and are weighed as such; the model is taken to know that it is asked where it is asked.
  /// ShapeError; IndexError for a token that does not exist; ValueError for no target, one that the
  /// inputs rule out, or probabilities that are none.
  double oracle_loss(const TensorDataset& rows, const Corruption& corruption = {}) const;

  /// The mean of oracle_loss over all data with every hidden token between two shown ones,
  /// 2 h(1) - h(2): 0.955984809 by default.
  double isolated_floor() const;
  /// The same for rows of `length` in which each token is hidden with probability q, all by the
  /// mask: 1.107133552 for 32 and 0.15. A hidden token with l places before it and r after it has
  ///     Σ (1-q)² q^(a+b-2) (h(a) + h(b) - h(a+b)) over a <= l, b <= r
  ///     + q^r Σ (1-q) q^(a-1) h(a) + q^l Σ (1-q) q^(b-1) h(b) + q^(l+r) H(π),
  /// and this is the mean over places. With tokens that are shown wrong there is no such form.
  /// ValueError unless length >= 1 and 0 < q < 1.
  double random_floor(std::int64_t length, double q) const;

 private:
  // h(1) .. h(steps), at index n - 1.
  std::vector<double> entropies(std::int64_t steps) const;

  MarkovChainOptions options_;
  std::vector<double> p_, pi_;  // P row by row, π
};

}  // namespace retrace::data
