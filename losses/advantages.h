#pragma once

// What reinforcement learning makes of rewards before its losses (losses/policy_gradient.h): how
// far the policy is from the reference, what each token is to be rewarded for, how much better than
// expected it was. Only kl_estimate and masked_whiten have gradients; the rest are constants.
//
// Tensors of one call have one floating dtype and the shapes given; nothing is broadcast. Errors:
// ShapeError, DTypeError; ValueError for an undefined tensor or a parameter out of range. All
// before any arithmetic.

#include <retrace/tensor/named.h>
#include <retrace/tensor/tensor.h>

#include <cstdint>
#include <string_view>

namespace retrace::losses {

/// Estimates of KL(π‖r) from samples of π, δ = log π - log r of a sample.
enum class KlEstimator : std::uint8_t {
  k1,  ///< δ: unbiased, may be negative
  k2,  ///< ½ δ²: biased, never negative
  k3,  ///< exp(-δ) - 1 + δ: unbiased, never negative
};
/// "k1", "k2" or "k3". ValueError for any other.
KlEstimator kl_estimator_from_string(std::string_view text);

/// The estimate of each element, in nats. reference_logps is a constant. Gradient: dlogps = g, g δ
/// or g (1 - exp(-δ)): as losses the three differ.
/// Source: Schulman 2020, Approximating KL Divergence, joschu.net/blog/kl-approx.html.
Tensor kl_estimate(const Tensor& logps, const Tensor& reference_logps,
                   KlEstimator estimator = KlEstimator::k1);

struct KlShapedRewardsOptions {
  double kl_coef = 0.05;
  KlEstimator estimator = KlEstimator::k1;
};

/// Rewards of tokens [B, T]: -kl_coef · kl_estimate, and the score [B] of a response added at its
/// last token, int64 [B]. No gradient. IndexError for a last token outside [0, T).
/// Source: Ziegler et al. 2019, arXiv:1909.08593, equation 2.
Tensor kl_shaped_rewards(const Tensor& logps, const Tensor& reference_logps, const Tensor& scores,
                         const Tensor& last, const KlShapedRewardsOptions& options = {});

struct AdaptiveKLOptions {
  double init = 0.2;       ///< β at first, > 0
  double target = 6.0;     ///< KL to hold, in nats a response, > 0
  double horizon = 10000;  ///< in responses, > 0
};

/// The coefficient β of a KL penalty, steered so that the KL stays near a target:
///     β ← β (1 + clip(kl / target - 1, -0.2, 0.2) · n_steps / horizon).
/// Source: Ziegler et al. 2019, arXiv:1909.08593, section 2.2.
class AdaptiveKL {
 public:
  explicit AdaptiveKL(const AdaptiveKLOptions& options = {});
  double value() const { return value_; }
  /// After n_steps ≥ 0 more responses with this mean KL; gives the new value. ValueError when kl is
  /// not finite.
  double update(double kl, std::int64_t n_steps);
  /// For checkpoints: β. load_state_dict: ValueError for one that is not above 0.
  NamedTensors state_dict() const;
  void load_state_dict(const NamedTensors& state);

 private:
  double target_, horizon_, value_;
};

struct GaeOptions {
  double gamma = 1.0;  ///< discount, in [0, 1]
  double lam = 0.95;   ///< λ in [0, 1]: 0 looks one step ahead, 1 to the end
};

struct GaeResult {
  Tensor advantages, returns;  ///< [B, T]
};

/// Generalised advantage estimation, backwards in time over rewards and values [B, T]:
///     δ(t) = r(t) + γ V(t+1) (1 - d(t)) - V(t),  A(t) = δ(t) + γ λ (1 - d(t)) A(t+1),  R = A + V.
/// d = dones [B, T], bool or of the dtype, is 1 where an episode ends: what stands behind does not
/// matter. V(T) = last_value [B]. Undefined, both are 0. No gradient.
/// Source: Schulman et al. 2016, arXiv:1506.02438, equation 16.
GaeResult gae(const Tensor& rewards, const Tensor& values, const Tensor& last_value = {},
              const Tensor& dones = {}, const GaeOptions& options = {});

struct MaskedWhitenOptions {
  bool shift_mean = true;  ///< false: the mean μ is added again
  double eps = 1e-8;
};

/// (x - μ) / sqrt(s² + eps) of the elements that the mask (bool or of the dtype; undefined, all)
/// keeps, with their mean μ and unbiased variance s²; 0 elsewhere, without a gradient. ValueError
/// when fewer than two are kept. One node. Gradient, n elements kept: dx = (g - mean g -
/// y · Σ g y / (n - 1)) / sqrt(s² + eps), plus mean g without shift_mean.
/// Source: Ziegler et al. 2019, arXiv:1909.08593, their code; as in TRL's PPO.
Tensor masked_whiten(const Tensor& values, const Tensor& mask = {},
                     const MaskedWhitenOptions& options = {});

/// What group_advantages divides by: the standard deviation in the group, in the batch, or nothing.
enum class AdvantageScale : std::uint8_t { group, batch, none };
/// "group", "batch" or "none". ValueError for any other.
AdvantageScale advantage_scale_from_string(std::string_view text);

struct GroupAdvantagesOptions {
  AdvantageScale scale = AdvantageScale::group;
  double eps = 1e-4;  ///< added to the deviation
};

/// Rewards [B] of consecutive groups of `group` responses to one prompt: (r - mean of the group) /
/// (s + eps), s with Bessel's correction, 0 of a single response. Equal rewards give exactly 0. No
/// gradient. ShapeError when B is no multiple of the group.
/// Source: Shao et al. 2024, arXiv:2402.03300, section 4.1.2; scale none Liu et al. 2025,
/// arXiv:2503.20783.
Tensor group_advantages(const Tensor& rewards, std::int64_t group,
                        const GroupAdvantagesOptions& options = {});

/// Leave-one-out: a reward minus the mean of the others of its group, G / (G - 1) · (r - mean). No
/// gradient. ShapeError when B is no multiple of the group, ValueError for a group below 2.
/// Source: Ahmadian et al. 2024, arXiv:2402.14740, section 3.
Tensor rloo_advantages(const Tensor& rewards, std::int64_t group);

}  // namespace retrace::losses
