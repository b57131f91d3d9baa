#include <retrace/train/policy_table.h>

#include <cmath>

#include <retrace/autograd/autograd.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::train {
namespace {

void check(std::string_view op, std::initializer_list<Tensor> tables, double beta) {
  require<ValueError>(beta > 0 && std::isfinite(beta),
                      "{}: beta is {}; it must be above 0: at 0 leaving the reference costs "
                      "nothing",
                      op, beta);
  const Tensor& first = *tables.begin();
  for (const Tensor& table : tables) {
    require<ShapeError>(
        table.defined() && table.dim() == 2 && table.numel() > 0 && table.sizes() == first.sizes(),
        "{}: tables are {} and {}; give [prompts, responses], all alike", op,
        first.defined() ? first.sizes() : Shape(), table.defined() ? table.sizes() : Shape());
    require<DTypeError>(table.dtype() == kFloat64, "{}: a table is {}; convert with .to(kFloat64)",
                        op, table.dtype());
    require<ValueError>(isfinite(table).all().item<bool>(),
                        "{}: a table of {} has what is not finite", op, table.sizes());
  }
}

// Sums over responses, means over prompts.
double mean(const Tensor& share, const Tensor& values) {
  return (share * values).sum(1).mean().item<double>();
}

}  // namespace

Tensor optimal_policy(const Tensor& reference, const Tensor& rewards, double beta) {
  check("optimal_policy", {reference, rewards}, beta);
  const NoGradGuard no_grad;
  return (reference + rewards / beta).log_softmax(1);
}

Tensor ipo_optimal_policy(const Tensor& reference, const Tensor& rewards, double tau) {
  check("ipo_optimal_policy", {reference, rewards}, tau);
  const NoGradGuard no_grad;
  const Tensor wins = 2 * (rewards.unsqueeze(2) - rewards.unsqueeze(1)).sigmoid() - 1;
  const Tensor g = (wins * reference.exp().unsqueeze(1)).sum(2);
  return (reference + g / (2 * tau)).log_softmax(1);
}

Tensor kl_in_loss_policy(const Tensor& reference, const Tensor& rewards, double beta,
                         losses::KlEstimator estimator) {
  check("kl_in_loss_policy", {reference, rewards}, beta);
  require<ValueError>(
      estimator != losses::KlEstimator::k1,
      "kl_in_loss_policy: k1 as a loss has the gradient 0 in the mean, and no policy "
      "where it ends");
  if (estimator == losses::KlEstimator::k2) return optimal_policy(reference, rewards, beta);
  const NoGradGuard no_grad;
  // Σ β π_ref / (λ - r) falls from infinity at λ = max r to at most 1 at max r + β.
  Tensor low = amax(rewards, 1, true), high = low + beta;
  for (int halving = 0; halving < 200; ++halving) {
    const Tensor middle = (low + high) / 2;
    const Tensor sum = (reference.exp() * beta / (middle - rewards)).sum(1, true);
    low = where(gt(sum, 1), middle, low);
    high = where(gt(sum, 1), high, middle);
  }
  return (reference + std::log(beta) - (high - rewards).log()).log_softmax(1);
}

Tensor kl_of_tokens_in_loss_policy(const Tensor& reference, const Tensor& rewards, double beta,
                                   losses::KlEstimator estimator, std::int64_t length) {
  check("kl_of_tokens_in_loss_policy", {reference, rewards}, beta);
  require<ValueError>(length >= 1, "kl_of_tokens_in_loss_policy: length is {}; give at least 1",
                      length);
  const auto symbols = static_cast<std::int64_t>(std::llround(
      std::pow(static_cast<double>(rewards.size(1)), 1.0 / static_cast<double>(length))));
  std::int64_t rest = 1;  // ways to go on behind the place
  Tensor to_come = rewards, policy = zeros({rewards.numel(), 1}, kFloat64);
  const NoGradGuard no_grad;
  for (std::int64_t place = length; place > 0; --place, rest *= symbols) {
    const Tensor prior = reference.reshape({-1, symbols, rest}).logsumexp(2).log_softmax(1);
    const Tensor value = to_come.reshape({-1, symbols});
    const Tensor here = kl_in_loss_policy(prior, value, beta, estimator);
    policy =
        (here.unsqueeze(2) + policy.reshape({-1, symbols, rest})).reshape({-1, symbols * rest});
    to_come = (here.exp() * value).sum(1);
  }
  require<ShapeError>(policy.sizes() == rewards.sizes(),
                      "kl_of_tokens_in_loss_policy: rewards are {}; {} tokens of any number of "
                      "symbols do not make {} responses",
                      rewards.sizes(), length, rewards.size(1));
  return policy;
}

PolicyScore score_policy(const Tensor& policy, const Tensor& optimum, const Tensor& reference,
                         const Tensor& rewards, double beta) {
  check("score_policy", {policy, optimum, reference, rewards}, beta);
  const NoGradGuard no_grad;
  const Tensor share = policy.exp();
  const Tensor centred = rewards - (reference.exp() * rewards).sum(1, true);
  PolicyScore score;
  score.kl = mean(share, policy - optimum);
  score.total_variation = 0.5 * (share - optimum.exp()).abs().sum(1).mean().item<double>();
  score.expected_reward = mean(share, centred);
  score.kl_to_reference = mean(share, policy - reference);
  score.objective = score.expected_reward - beta * score.kl_to_reference;
  return score;
}

}  // namespace retrace::train
