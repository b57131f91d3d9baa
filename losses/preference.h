#pragma once

// Losses that learn from preferences: a person liked one response, chosen (w), better than another,
// rejected (l). Arguments called policy and reference are log-probabilities of whole responses in
// nats, the sums over their tokens (0 for an empty response); scores and log-probabilities of any
// size (±1e4) give finite losses and gradients unless said otherwise.
//
// Shapes: one number a pair or response, [N], all alike; nothing is broadcast. One floating dtype.
// `loss` is the mean over N, of nothing NaN. Reference values, margins, lengths, labels are
// constants: they get no gradient. σ is the sigmoid, g the gradient of the loss of one pair.
//
// Errors: ShapeError, DTypeError; ValueError for an undefined tensor or a parameter out of range.
// All before any arithmetic.

#include <retrace/losses/reduction.h>
#include <retrace/tensor/tensor.h>

#include <string_view>

namespace retrace::losses {

struct RewardLossOptions {
  Tensor margin = {};                       ///< m, by how much the scores should differ; 0
  double center_rewards_coefficient = 0.0;  ///< κ ≥ 0: keeps w + l near 0; 0.01 is usual
  Reduction reduction = Reduction::mean;
};

/// Bradley-Terry loss of a reward model's scores: -log σ(w - l - m) + κ (w + l)². Equal scores cost
/// ln 2; a constant added to both changes nothing unless κ does.
/// Gradient: dw = g (-σ(m - w + l) + 2 κ (w + l)), dl = g (σ(m - w + l) + 2 κ (w + l)).
/// Source: Ouyang et al. 2022, arXiv:2203.02155, equation 1; margin Touvron et al. 2023,
/// arXiv:2307.09288, equation 2; centring Eisenstein et al. 2023, arXiv:2312.09244, equation 2.
Tensor reward_loss(const Tensor& chosen, const Tensor& rejected,
                   const RewardLossOptions& options = {});

/// What dpo_loss makes of c = policy - reference of the chosen response, l that of the rejected,
/// x = β (c - l) and the smoothing ε.
enum class DpoLossType : std::uint8_t {
  sigmoid,       ///< -(1 - ε) log σ(x) - ε log σ(-x); arXiv:2305.18290 equation 7
  robust,        ///< (-(1 - ε) log σ(x) + ε log σ(-x)) / (1 - 2 ε), ε < ½; arXiv:2403.00409
  hinge,         ///< max(0, 1 - x); SLiC, arXiv:2305.10425
  ipo,           ///< (c - l - 1 / (2 β))²; arXiv:2310.12036 equation 17
  ipo_mean,      ///< ipo of c and l per token
  sigmoid_norm,  ///< -log σ(x) of c and l per token
  exo_pair,      ///< σ(x) (log σ(x) - log(1 - ε)) + σ(-x) (log σ(-x) - log ε), 0 < ε < 1;
                 ///< arXiv:2402.00856 equation 16
  nca_pair,      ///< -log σ(β c) - ½ log σ(-β c) - ½ log σ(-β l); arXiv:2402.05369
  bco_pair,      ///< -log σ(β c) - log σ(-β l); arXiv:2404.04656
  sppo_hard,     ///< (c - 1 / (2 β))² + (l + 1 / (2 β))²; arXiv:2405.00675
  apo_zero,      ///< σ(-β c) + σ(β l); arXiv:2408.06266 equation 7
  apo_down,      ///< σ(β c) + σ(-x); arXiv:2408.06266 equation 8
  discopop,      ///< -log σ(x) σ(-x / τ) + exp(-x) σ(x / τ); arXiv:2406.08414 equation 5
};
/// Of a name as above. ValueError, with the names that there are, for any other.
DpoLossType dpo_loss_type_from_string(std::string_view text);

struct DpoOptions {
  DpoLossType loss_type = DpoLossType::sigmoid;
  double beta = 0.1;             ///< β > 0: how dear it is to leave the reference
  double label_smoothing = 0.0;  ///< ε: share of wrong labels, where the type has it, else 0
  bool reference_free = false;   ///< reference 0 everywhere; its tensors may then be undefined
  double discopop_tau = 0.05;    ///< τ > 0
  Tensor chosen_lengths = {};    ///< [N] tokens of each response, for the types per token; int64
  Tensor rejected_lengths = {};  ///< or the dtype of the rest. 0 counts as 1
};

struct DpoResult {
  Tensor loss;                              ///< mean of `losses`
  Tensor losses;                            ///< [N]
  Tensor chosen_rewards, rejected_rewards;  ///< [N], β c and β l; these and the rest: no gradient
  Tensor accuracy;                          ///< share of pairs with the larger chosen reward
  Tensor margin;                            ///< mean of chosen_rewards - rejected_rewards
};

/// Direct preference optimisation: a language model as its own reward model β c. At policy =
/// reference the sigmoid type costs ln 2, the accuracy is 0 (ties count as wrong).
///
/// Several nodes: `losses` is one, `loss`, its mean, another; either may be used. Gradient: of the
/// sigmoid type, dπw = -g β ((1 - ε) σ(-x) - ε σ(x)), dπl = -dπw.
/// Source: Rafailov et al. 2023, arXiv:2305.18290, equation 7, and those of the types; types and
/// names as in TRL's DPOTrainer, with its `ipo` called ipo_mean here.
DpoResult dpo_loss(const Tensor& policy_chosen, const Tensor& policy_rejected,
                   const Tensor& reference_chosen, const Tensor& reference_rejected,
                   const DpoOptions& options = {});

struct KtoOptions {
  double beta = 0.1;
  double desirable_weight = 1.0;    ///< wD ≥ 0
  double undesirable_weight = 1.0;  ///< wU ≥ 0; keep wD · nD and wU · nU within 4 : 3
};

struct KtoResult {
  Tensor loss;    ///< mean of `losses`
  Tensor losses;  ///< [N]
};

/// Kahneman-Tversky optimisation, from responses that are each good or bad. With h = policy -
/// reference and z = kl: wD σ(β (z - h)) of a good response (label 1), wU σ(β (h - z)) of a bad one
/// (label 0). ½ at h = z. label is bool, int64 or of the dtype of the rest; kl is one number, 0-d.
///
/// Several nodes: `losses` is one, `loss`, its mean, another. Gradient: dπ = -g wD β σ(x) σ(-x) of
/// a good response, g wU β σ(x) σ(-x) of a bad one, x = β (h - z). Source: Ethayarajh et al. 2024,
/// arXiv:2402.01306, equations 7 and 8.
KtoResult kto_loss(const Tensor& policy, const Tensor& reference, const Tensor& label,
                   const Tensor& kl, const KtoOptions& options = {});

/// The reference point z of kto_loss: max(0, mean(policy - reference)) over prompts paired with the
/// responses to others (so N ≥ 2 responses are needed). 0-d, no gradient.
/// Source: Ethayarajh et al. 2024, arXiv:2402.01306, section 4.1.
Tensor kto_kl(const Tensor& policy, const Tensor& reference);

struct OrpoOptions {
  double beta = 0.1;  ///< weight of the odds ratio, the paper's λ
  Reduction reduction = Reduction::mean;
};

struct OrpoResult {
  Tensor loss;      ///< 0-d, or [N] without a reduction
  Tensor log_odds;  ///< [N], log of the odds ratio of chosen and rejected
};

/// Odds-ratio preference optimisation, without a reference: nll - β · mean log σ(log_odds), with
///     log_odds = logit(w) - logit(l),  logit(a) = a - log(1 - exp(a)).
/// chosen and rejected are *mean* log-probabilities per token; one closer to 0 than 1e-12 counts as
/// -1e-12. nll, 0-d, is the negative log-likelihood of the chosen text; [N], that of each pair,
/// without a reduction.
///
/// Several nodes: each member is one, of the inputs. Gradient: of the loss, before the mean, dw =
/// -g β σ(-log_odds) / (1 - exp(w)), dl = g β σ(-log_odds) / (1 - exp(l)), dnll = g. Source: Hong,
/// Lee, Thorne 2024, arXiv:2403.07691, equations 4 to 7.
OrpoResult orpo_loss(const Tensor& chosen, const Tensor& rejected, const Tensor& nll,
                     const OrpoOptions& options = {});

struct SimpoOptions {
  double beta = 2.0;
  double gamma = 1.0;  ///< γ: target margin; 0.3 to 0.5 of beta is usual
  double label_smoothing = 0.0;
  Reduction reduction = Reduction::mean;
};

/// Simple preference optimisation, without a reference: -(1 - ε) log σ(x) - ε log σ(-x), x =
/// β (w - l) - γ, of *mean* log-probabilities per token.
/// Gradient: dw = -g β ((1 - ε) σ(-x) - ε σ(x)), dl = -dw.
/// Source: Meng, Xia, Chen 2024, arXiv:2405.14734, equation 6. In TRL, beta is 0.1 and gamma 0.5.
Tensor simpo_loss(const Tensor& chosen, const Tensor& rejected, const SimpoOptions& options = {});

struct CpoOptions {
  double beta = 0.1;
  double nll_coef = 1.0;  ///< α
  double label_smoothing = 0.0;
  Reduction reduction = Reduction::mean;
};

/// Contrastive preference optimisation, without a reference: the mean of -(1 - ε) log σ(x) -
/// ε log σ(-x), x = β (w - l), plus α · nll, that of the chosen responses: 0-d, or [N] without a
/// reduction.
/// Gradient: before the mean dw = -g β ((1 - ε) σ(-x) - ε σ(x)), dl = -dw; dnll = g α.
/// Source: Xu et al. 2024, arXiv:2401.08417, equation 3.
Tensor cpo_loss(const Tensor& chosen, const Tensor& rejected, const Tensor& nll,
                const CpoOptions& options = {});

}  // namespace retrace::losses
