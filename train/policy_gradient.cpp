#include <retrace/train/policy_gradient.h>

#include <retrace/autograd/autograd.h>
#include <retrace/losses/policy_gradient.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/train/policy_table.h>
#include <retrace/train/predict.h>

namespace retrace::train {
namespace {

double mean_of(const Tensor& x) { return x.mean().item<double>(); }

}  // namespace

PolicyGradient::ActorCritic::ActorCritic(const nn::Gpt& start)
    : policy(nn::without_dropout(start)), critic(policy) {
  register_module("policy", policy);
  register_module("critic", critic);
}

PolicyGradient::PolicyGradient(const PolicyGradientOptions& options, RewardedPrompts prompts,
                               const nn::Gpt& reference)
    : options_(options),
      prompts_(std::move(prompts)),
      reference_(reference),
      model_(reference),
      kl_(losses::kl_estimator_from_string(options.kl)),
      steered_({.init = options.beta, .target = options.kl_target.value_or(1)}) {
  const std::string &algorithm = options.algorithm, &scale = options.scale;
  require<ValueError>(algorithm == "ppo" || algorithm == "grpo" || algorithm == "rloo",
                      "PolicyGradient: there is no algorithm {}; there are ppo, grpo and rloo",
                      algorithm);
  require<ValueError>(options.kl_in == "reward" || options.kl_in == "loss",
                      "PolicyGradient: kl_in is {}; give reward or loss", options.kl_in);
  require<ValueError>(options.passes >= 1 && group() >= 1,
                      "PolicyGradient: passes ({}) and group ({}) must be at least 1",
                      options.passes, group());
  require<ValueError>(algorithm == "ppo" || group() >= 2,
                      "PolicyGradient: {} compares the responses to one prompt; group must be at "
                      "least 2, not {}",
                      algorithm, group());
  require<ValueError>(algorithm != "grpo" || options.kl_in == "reward" || options.kl == "k3",
                      "PolicyGradient: the loss of grpo has k3, not {}; with another estimate put "
                      "the KL in the reward",
                      options.kl);
  if (scale != "auto") losses::advantage_scale_from_string(scale);
  require<ValueError>(scale == "auto" || scale == "none" || algorithm == "grpo" ||
                          (algorithm == "ppo" && scale == "batch"),
                      "PolicyGradient: {} does not divide advantages by a deviation in the {}",
                      algorithm, scale);
}

void PolicyGradient::learn(Run& run, const Recipe& recipe, const FitOptions& how) {
  FitOptions options = how;
  options.prepare = [this, also = how.prepare](Trainer& trainer) {
    if (also) also(trainer);
    trainer.keep("rollouts", rollouts_);
    trainer.keep("beta", steered_);
    trainer.deliver(model_.policy);
  };
  const auto rows = [this](std::int64_t count) {
    if (rollouts_.passes % options_.passes == 0) rollouts_ = roll_out(count);
    ++rollouts_.passes;
    return data::TensorDataset{rollouts_.responses.tokens, rollouts_.responses.mask};
  };
  fit(
      run, model_, rows, recipe, [this](const Tensor&, const Tensor&) { return loss(); }, options);
}

Rollouts PolicyGradient::roll_out(std::int64_t count) {
  const NoGradGuard no_grad;
  const EvalGuard eval(model_), frozen(reference_);
  Rollouts r;
  r.responses =
      sample_responses(model_.policy, prompts_.prompts(count, group()), prompts_.generate);
  const Tensor& tokens = r.responses.tokens;
  r.mask = r.responses.mask.narrow(1, 1, tokens.size(1) - 1).contiguous();
  r.logps = token_logps(model_.policy(tokens), r.responses);
  r.reference_logps = token_logps(reference_(tokens), r.responses);
  r.rewards = prompts_.rewards(r.responses);
  require<ValueError>(isfinite(r.rewards).all().item<bool>(),
                      "PolicyGradient: a reward is not finite; what gave it is not usable");
  if (options_.kl_target)
    steered_.update(mean_of((r.logps - r.reference_logps).sum(1)), tokens.size(0));
  has_critic() ? judge_tokens(r) : judge_responses(r);
  return r;
}

std::string PolicyGradient::scale() const {
  if (options_.scale != "auto") return options_.scale;
  if (options_.kl_in == "loss" || options_.algorithm == "rloo") return "none";
  return has_critic() ? "batch" : "group";
}

void PolicyGradient::judge_tokens(Rollouts& r) const {
  const Tensor last = r.responses.last() - 1;
  const Tensor rewards = losses::kl_shaped_rewards(
      r.logps, r.reference_logps, r.rewards, last,
      {.kl_coef = options_.kl_in == "reward" ? beta() : 0, .estimator = kl_});
  const Tensor ends = eq(arange(r.mask.size(1)), last.unsqueeze(1));
  r.values = values(r);
  const losses::GaeResult judged =
      losses::gae(rewards, r.values, {}, ends, {.gamma = options_.gamma, .lam = options_.lambda});
  r.returns = judged.returns;
  r.advantages =
      scale() == "batch" ? losses::masked_whiten(judged.advantages, r.mask) : judged.advantages;
}

void PolicyGradient::judge_responses(Rollouts& r) const {
  Tensor rewards = r.rewards;
  if (options_.kl_in == "reward")
    rewards = rewards - beta() * losses::kl_estimate(r.logps, r.reference_logps, kl_).sum(1);
  r.advantages =
      options_.algorithm == "rloo"
          ? losses::rloo_advantages(rewards, group())
          : losses::group_advantages(rewards, group(),
                                     {.scale = losses::advantage_scale_from_string(scale())});
}

// Column t is of the token t + 1, which the critic has not seen.
Tensor PolicyGradient::values(const Rollouts& r) const {
  return model_.critic.scores(r.responses.tokens).narrow(1, 0, r.mask.size(1));
}

Tensor PolicyGradient::policy_loss(const Tensor& logits, const Tensor& logps) const {
  const Rollouts& r = rollouts_;
  if (has_critic())
    return losses::ppo_loss(logps, values(r), logits.narrow(1, 0, r.mask.size(1)),
                            {.old_logps = r.logps,
                             .advantages = r.advantages,
                             .old_values = r.values,
                             .returns = r.returns,
                             .mask = r.mask},
                            {.clip = options_.clip,
                             .clip_value = options_.clip,
                             .value_coef = options_.value_coef,
                             .entropy_coef = options_.entropy_coef});
  // Of CISPO the bound itself, of the others how far above 1 it is.
  const double largest_ratio = 1 + options_.clip_high.value_or(options_.clip);
  const bool is_cispo = options_.loss_type == "cispo";
  if (options_.algorithm == "grpo")
    return losses::grpo_loss(logps, r.logps, r.advantages, r.mask, r.reference_logps,
                             {.eps_low = options_.clip,
                              .eps_high = largest_ratio - (is_cispo ? 0 : 1),
                              .beta = options_.kl_in == "loss" ? beta() : 0,
                              .max_len = prompts_.generate.max_new_tokens,
                              .loss_type = losses::grpo_loss_type_from_string(options_.loss_type)});
  return losses::rloo_loss(logps.sum(1), r.logps.sum(1), r.advantages,
                           {.clip_low = options_.clip, .clip_high = options_.clip});
}

BatchLoss PolicyGradient::loss() const {
  const Rollouts& r = rollouts_;
  const Tensor logits = model_.policy(r.responses.tokens);
  const Tensor logps = token_logps(logits, r.responses);
  Tensor loss = policy_loss(logits, logps);
  if (options_.kl_in == "loss" && options_.algorithm != "grpo") {
    const bool of_responses = options_.algorithm == "rloo";
    const Tensor kl = of_responses
                          ? losses::kl_estimate(logps.sum(1), r.reference_logps.sum(1), kl_).mean()
                          : losses::kl_estimate(logps, r.reference_logps, kl_).sum() /
                                r.mask.sum().to(logps.dtype());
    loss = loss + beta() * kl;
  }
  return {loss,
          r.rewards.size(0),
          {{"reward", mean_of(r.rewards)},
           {"kl_to_reference", mean_of((r.logps - r.reference_logps).sum(1))},
           {"beta", beta()}}};
}

std::optional<Tensor> PolicyGradient::end_policy(const Tensor& reference, const Tensor& rewards,
                                                 std::int64_t length) const {
  const PolicyGradientOptions& o = options_;
  if (has_critic() && (o.entropy_coef > 0 || o.gamma != 1)) return {};
  if (o.kl_in == "reward") {
    if (kl_ != losses::KlEstimator::k1) return {};
    return optimal_policy(reference, rewards, beta());
  }
  if (kl_ == losses::KlEstimator::k1 || scale() != "none") return {};
  return o.algorithm == "rloo"
             ? kl_in_loss_policy(reference, rewards, beta(), kl_)
             : kl_of_tokens_in_loss_policy(reference, rewards, beta(), kl_, length);
}

}  // namespace retrace::train
