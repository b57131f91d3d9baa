#pragma once

// Losses of reinforcement learning on sampled text. logps are log-probabilities, in nats, of the
// tokens that were sampled: new ones of the policy that learns, old ones of the policy that
// sampled; ρ = exp(new - old). What else these losses need is in losses/advantages.h.
//
// Shapes: tokens [B, T] (or any other), all alike; nothing is broadcast. One floating dtype. mask,
// bool or of that dtype, is 0 at padded tokens: whatever stands there, NaN included, reaches
// neither loss nor gradient. Undefined, it is 1 everywhere. A mean divides by the number of tokens
// that count; with none the loss is 0 and so are the gradients. g is the gradient of the loss of
// one token. Old log-probabilities, advantages, returns, reference values and masks are constants:
// they get no gradient.
//
// Errors: ShapeError, DTypeError; ValueError for an undefined tensor or a parameter out of range.
// All before any arithmetic.

#include <retrace/tensor/tensor.h>

#include <optional>
#include <string_view>

namespace retrace::losses {

struct PpoPolicyOptions {
  double clip = 0.2;  ///< ε ≥ 0
};

/// Clipped surrogate: the mean of max(-A ρ, -A clip(ρ, 1 - ε, 1 + ε)). A bound on what one step
/// gains, not on what it loses.
/// Gradient: dnew = -g A ρ, 0 where the clipped term is the larger one.
/// Source: Schulman et al. 2017, arXiv:1707.06347, equation 7.
Tensor ppo_policy_loss(const Tensor& new_logps, const Tensor& old_logps, const Tensor& advantages,
                       const Tensor& mask = {}, const PpoPolicyOptions& options = {});

struct PpoValueOptions {
  double clip = 0.2;  ///< ε ≥ 0, in units of the value
};

/// Half the mean of max((v - R)², (clip(v, old - ε, old + ε) - R)²).
/// Gradient: dv = g (v - R), 0 where the clipped term is the larger one.
/// Source: Engstrom et al. 2020, arXiv:2005.12729, section 3; half of it as in TRL.
Tensor ppo_value_loss(const Tensor& values, const Tensor& old_values, const Tensor& returns,
                      const Tensor& mask = {}, const PpoValueOptions& options = {});

/// What ppo_loss compares with: how things were when the tokens were sampled.
struct PpoBatch {
  Tensor old_logps, advantages;  ///< [B, T]
  Tensor old_values, returns;    ///< [B, T]
  Tensor mask = {};              ///< [B, T]
};

struct PpoOptions {
  double clip = 0.2;
  double clip_value = 0.2;
  double value_coef = 0.1;     ///< cv; 0.5 is classic
  double entropy_coef = 0.01;  ///< ce; with 0 the logits may be undefined
};

/// ppo_policy_loss + cv · ppo_value_loss - ce · the mean entropy of softmax(logits), logits being
/// [B, T, V]. One node. Gradient: those of its terms, times their coefficients;
/// dlogits = g ce p (log p + H).
/// Source: Schulman et al. 2017, arXiv:1707.06347, equation 9.
Tensor ppo_loss(const Tensor& new_logps, const Tensor& values, const Tensor& logits,
                const PpoBatch& batch, const PpoOptions& options = {});

/// What grpo_loss divides the sum over tokens by, B being the number of sequences.
enum class GrpoLossType : std::uint8_t {
  grpo,     ///< mean over sequences of their means over tokens; arXiv:2402.03300 equation 3
  bnpo,     ///< mean over the tokens of this batch
  dapo,     ///< Σ / tokens of the whole accumulated batch; arXiv:2503.14476
  dr_grpo,  ///< Σ / (B · max_len); arXiv:2503.20783
  cispo,    ///< as dapo, but a token is -min(ρ, ε_high) A · new, its factor a constant;
            ///< arXiv:2506.13585
};
/// Of a name as above. ValueError, with the names that there are, for any other.
GrpoLossType grpo_loss_type_from_string(std::string_view text);

/// Whose probability ratio ρ is: each token's own, or one of the whole sequence, exp(mean over its
/// tokens of new - old) (GSPO, arXiv:2507.18071).
enum class RatioLevel : std::uint8_t { token, sequence };
/// "token" or "sequence". ValueError for any other.
RatioLevel ratio_level_from_string(std::string_view text);

struct GrpoOptions {
  double eps_low = 0.2;                      ///< ρ is clipped to [1 - eps_low, ...
  double eps_high = 0.2;                     ///< ... 1 + eps_high]; 0.28 in DAPO
  double beta = 0.0;                         ///< β ≥ 0 of the KL to the reference; 0.04
  std::optional<double> delta = {};          ///< bound of ρ where it is not clipped
  std::optional<std::int64_t> max_len = {};  ///< for dr_grpo, which needs it
  std::optional<double> num_tokens = {};     ///< of the whole batch, for dapo and cispo; Σ mask
  GrpoLossType loss_type = GrpoLossType::dapo;
  RatioLevel level = RatioLevel::token;
};

/// Group-relative policy optimisation: Σ over tokens of
///     weight · (-min(min(ρ, delta) A, clip(ρ) A) + β k3),  k3 = exp(r - new) - 1 + new - r
/// with the weight m / divisor of the loss type. Tokens are [B, T], advantages [B]; reference_logps
/// may be undefined when β is 0.
///
/// One node. Gradient of a token: dnew = g weight (-A ρ + β (1 - exp(r - new))), its first term 0
/// where ρ is clipped away.
/// Source: Shao et al. 2024, arXiv:2402.03300, equation 3, and those of the types; as in TRL.
Tensor grpo_loss(const Tensor& new_logps, const Tensor& old_logps, const Tensor& advantages,
                 const Tensor& mask = {}, const Tensor& reference_logps = {},
                 const GrpoOptions& options = {});

struct RlooOptions {
  double clip_low = 0.2;
  double clip_high = 0.2;
};

/// -mean(min(ρ A, clip(ρ, 1 - clip_low, 1 + clip_high) A)) over whole responses, [B]: logps are
/// sums over their tokens, advantages come from rloo_advantages. Gradient: dnew = -g A ρ, 0 where
/// the clipped term is the smaller one. Source: Ahmadian et al. 2024, arXiv:2402.14740, section 3;
/// clipped as in TRL.
Tensor rloo_loss(const Tensor& new_logps, const Tensor& old_logps, const Tensor& advantages,
                 const RlooOptions& options = {});

}  // namespace retrace::losses
