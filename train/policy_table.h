#pragma once

// What theory says of policies whose responses can all be listed. A policy is a table of ln π(y |
// x) float64 [P, R], a row for each prompt x; rewards r are alike, and means are over prompts.
// π_ref is the reference, which is dear to leave: β > 0 is the price of a nat.
//
// Errors: ShapeError, DTypeError; ValueError for β ≤ 0 and for what is not finite.

#include <retrace/losses/advantages.h>
#include <retrace/tensor/tensor.h>

namespace retrace::train {

/// The policy with the largest J = E_π[r] - β KL(π‖π_ref):
///     π*(y | x) = π_ref(y | x) exp(r(x, y) / β) / Z(x).
/// Source: Rafailov et al. 2023, arXiv:2305.18290, equation 4.
Tensor optimal_policy(const Tensor& reference, const Tensor& rewards, double beta);

/// What IPO ends at: π ∝ π_ref exp(g(y) / (2 τ)), g(y) the mean over y' ~ π_ref of
/// 2 σ(r(y) - r(y')) - 1, the best fit of a potential to its antisymmetric goals.
/// Source: Azar et al. 2023, arXiv:2310.12036, section 5.
Tensor ipo_optimal_policy(const Tensor& reference, const Tensor& rewards, double tau);

/// Where policy gradient ends when an estimate of the KL (losses::kl_estimate) is a term of the
/// loss, which therefore sees its gradient at what was sampled, and not how sampling changes:
///   k2  as the gradient of KL(π‖π_ref):  π ∝ π_ref exp(r / β), optimal_policy()
///   k3  as that of KL(π_ref‖π):          π = β π_ref / (λ - r), λ > max r such that π sums to 1
///   k1  0 in the mean: the reward alone counts, and there is no such policy; ValueError.
Tensor kl_in_loss_policy(const Tensor& reference, const Tensor& rewards, double beta,
                         losses::KlEstimator estimator);

/// The same when the estimate is one of each token. Then π at each place, from the last to the
/// first, is as above with the reward that is to be expected behind each token; what the rest of
/// the response costs does not count. Responses have `length` tokens of V = R^(1/length) symbols.
Tensor kl_of_tokens_in_loss_policy(const Tensor& reference, const Tensor& rewards, double beta,
                                   losses::KlEstimator estimator, std::int64_t length);

/// How a policy compares. Rewards count from their mean under the reference, which changes no
/// optimum.
struct PolicyScore {
  double kl = 0;               ///< KL(π‖optimum), nats
  double total_variation = 0;  ///< ½ Σ |π - optimum|
  double expected_reward = 0;  ///< E_π[r]
  double kl_to_reference = 0;  ///< KL(π‖π_ref), nats
  double objective = 0;        ///< J = E_π[r] - β KL(π‖π_ref)
};
PolicyScore score_policy(const Tensor& policy, const Tensor& optimum, const Tensor& reference,
                         const Tensor& rewards, double beta);

}  // namespace retrace::train
