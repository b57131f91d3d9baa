#pragma once

// Reinforcement learning of language models: PPO, GRPO, RLOO.

#include <functional>
#include <optional>
#include <string>

#include <retrace/losses/advantages.h>
#include <retrace/nn/reward_model.h>
#include <retrace/train/recipe.h>
#include <retrace/train/rollouts.h>

namespace retrace::train {

using Prompts = std::vector<std::vector<std::int64_t>>;

/// What a policy is asked, and what its responses are worth.
struct RewardedPrompts {
  /// So many prompts, `group` times the same one in a row.
  std::function<Prompts(std::int64_t count, std::int64_t group)> prompts;
  /// Of each response, float32 [responses].
  std::function<Tensor(const data::Responses&)> rewards;
  nn::GenerateOptions generate;
  std::int64_t group = 1;
};

struct PolicyGradientOptions {
  std::string algorithm = "ppo";           ///< ppo, grpo or rloo
  double beta = 1;                         ///< how dear it is to leave the reference, per nat
  std::string kl = "k1";                   ///< see losses::KlEstimator
  std::string kl_in = "reward";            ///< or "loss", see end_policy()
  std::optional<double> kl_target = {};    ///< steers β, see losses::AdaptiveKL
  std::int64_t passes = 2;                 ///< steps on the same responses
  std::optional<std::int64_t> group = {};  ///< that of the prompts
  /// What advantages are divided by: "group", "batch", "none", or "auto": of grpo the deviation in
  /// the group, of ppo that in the batch; nothing with the KL in the loss, where it would change β.
  std::string scale = "auto";
  double clip = 0.2;                     ///< of probability ratios and values
  std::optional<double> clip_high = {};  ///< of grpo: of ratios above 1; 0.28 in DAPO
  std::string loss_type = "dapo";        ///< of grpo
  double value_coef = 0.5;               ///< of ppo, as the rest
  double entropy_coef = 0;               ///< above 0 it moves the end
  double gamma = 1, lambda = 0.95;
};

/// A policy that learns from rewards of what it says. A step is one of the optimizer; every
/// `passes` steps responses are sampled anew. Where a resumed run goes on, it does with the same
/// responses. Source: Ouyang et al. 2022, arXiv:2203.02155; and those of losses/policy_gradient.h.
class PolicyGradient {
 public:
  /// Begins with a copy of the reference, without its dropout. ValueError for names that are not
  /// known, and options that do not go together.
  PolicyGradient(const PolicyGradientOptions& options, RewardedPrompts prompts,
                 const nn::Gpt& reference);

  /// Metrics of steps: reward, kl_to_reference of what was sampled, beta. The file of the final
  /// model holds the policy alone.
  /// Errors: ValueError for a reward that is not finite; those of sample_responses.
  void learn(Run& run, const Recipe& recipe, const FitOptions& how = {});

  const nn::Gpt& policy() const { return model_.policy; }
  /// At the end, of the steered one.
  double beta() const { return options_.kl_target ? steered_.value() : options_.beta; }

  /// ln π of the policy at which the expected gradient is 0, where that is known: with the KL in
  /// the reward for k1 (optimal_policy), with the KL in the loss for k2 and k3 (of whole responses
  /// for rloo, else of tokens: kl_in_loss_policy and the one after it). Tables as there, of
  /// responses of `length` tokens.
  std::optional<Tensor> end_policy(const Tensor& reference, const Tensor& rewards,
                                   std::int64_t length) const;

 private:
  // A critic says at each token how much reward is still to come.
  struct ActorCritic : nn::Module {
    explicit ActorCritic(const nn::Gpt& start);
    nn::Gpt policy;
    nn::RewardModel critic;
  };

  bool has_critic() const { return options_.algorithm == "ppo"; }
  std::int64_t group() const { return options_.group.value_or(prompts_.group); }
  std::string scale() const;
  Rollouts roll_out(std::int64_t count);
  void judge_tokens(Rollouts& r) const;
  void judge_responses(Rollouts& r) const;
  Tensor values(const Rollouts& r) const;
  Tensor policy_loss(const Tensor& logits, const Tensor& logps) const;
  BatchLoss loss() const;

  PolicyGradientOptions options_;
  RewardedPrompts prompts_;
  nn::Gpt reference_;
  ActorCritic model_;
  losses::KlEstimator kl_;
  losses::AdaptiveKL steered_;
  Rollouts rollouts_;
};

}  // namespace retrace::train
