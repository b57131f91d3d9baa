#pragma once

#include <retrace/data/responses.h>
#include <retrace/tensor/random.h>

namespace retrace::data {

struct RewardedResponsesOptions {
  std::int64_t prompts = 4;  ///< P
  std::int64_t symbols = 4;  ///< V ≥ P, that prompts and responses are written with
  std::int64_t length = 3;   ///< L, of every response
};

/// Responses so short that all R = V^L of them can be listed, and a true reward of each: a task for
/// alignment in which every distribution is a table [P, R], and every optimum can be computed.
///
/// Tokens are 0 .. V-1. A prompt x is one of the first P, a response y = y_0 .. y_L-1 any L of
/// them: whatever a model of V tokens can say is a response. People's demonstrations follow
///     ln π(y | x) = Σ_t 0.8 cos(1.7 y_t + 0.9 x + 2.3 t) - normaliser,
/// and what they like is
///     r(x, y) ∝ Σ_t cos(2.1 y_t + 1.3 x + 0.7 t) + Σ_t<L-1 cos(1.1 y_t y_t+1 + 0.5 x),
/// with mean 0 and variance 1 under π for every prompt. Of two responses y is preferred to y' with
/// probability σ(r(y) - r(y')) (Bradley-Terry).
///
/// A response has the number x R + y_0 V^(L-1) + ... + y_L-1, so that the
/// numbers of all are those of a table read row by row.
class RewardedResponses {
 public:
  /// ValueError unless there is a prompt, are two symbols and as many as prompts, a length, and at
  /// most 2^20 responses.
  explicit RewardedResponses(const RewardedResponsesOptions& options = {});

  const RewardedResponsesOptions& options() const { return options_; }
  std::int64_t vocab_size() const { return options_.symbols; }
  /// All P R, in order of their numbers.
  const Responses& responses() const { return responses_; }
  /// ln π(y | x), float64 [P, R].
  const Tensor& demonstration_logps() const { return demonstration_logps_; }
  /// r(x, y), float64 [P, R].
  const Tensor& rewards() const { return rewards_; }

  /// The numbers of rows of tokens, int64 [rows, 1 + L]: int64 [rows]. ShapeError; IndexError for a
  /// token that there is not.
  Tensor numbers(const Tensor& tokens) const;

  /// Numbers of responses, int64 [count], to prompts drawn alike, from exp(logps), float64 [P, R].
  Tensor sample(std::int64_t count, const Tensor& logps,
                Generator& generator = default_generator()) const;

 private:
  RewardedResponsesOptions options_;
  Responses responses_;
  Tensor demonstration_logps_, rewards_;
};

/// Preferences among responses of which there is a table: two of one prompt are drawn from a
/// policy until they differ, and one is preferred by Bradley-Terry on rewards.
class TablePreferences {
 public:
  /// logps and rewards float64 [P, R]; a label is wrong with probability `flips`.
  /// ShapeError, DTypeError; ValueError for a reward that is not finite, flips outside [0, 1], and
  /// a prompt with fewer than two responses that can be drawn.
  TablePreferences(const Tensor& logps, const Tensor& rewards, double flips = 0);

  const Tensor& logps() const { return logps_; }      ///< of the policy, [P, R]
  const Tensor& rewards() const { return rewards_; }  ///< [P, R]
  double flips() const { return flips_; }

  /// Numbers of the preferred response and the other, int64 [count, 2]; prompts are drawn alike.
  Tensor sample(std::int64_t count, Generator& generator = default_generator()) const;
  /// How often the pair (i, j), i preferred, is drawn: float64 [P, R, R]. Its sum is 1.
  const Tensor& distribution() const { return distribution_; }

  /// The least cross-entropy of any prediction of the preferred one, in nats: the mean of h(p), p
  /// the probability of the label. Reached by the true rewards if no label is wrong.
  double floor() const;
  /// How often the better of two is the preferred one.
  double accuracy_ceiling() const;

 private:
  Tensor logps_, cumulative_, rewards_, distribution_;
  double flips_;
};

}  // namespace retrace::data
