#include <retrace/train/policy_pictures.h>

#include <fmt/format.h>

#include <retrace/autograd/autograd.h>

namespace retrace::train {

Table policies_table(const std::vector<std::string>& names,
                     const std::vector<PolicyScore>& scores) {
  std::vector<Metrics> columns;
  for (const PolicyScore& s : scores)
    columns.push_back({{"E[reward]", s.expected_reward},
                       {"KL to the reference", s.kl_to_reference},
                       {"J = E[reward] - beta KL", s.objective},
                       {"KL to the best", s.kl},
                       {"total variation from it", s.total_variation}});
  return metrics_table("Policies, over all responses", names, columns);
}

Figure frontier_figure(const Tensor& reference, const Tensor& rewards, double least_beta,
                       const std::vector<double>& betas) {
  const auto best = [&](double beta) {
    const Tensor policy = optimal_policy(reference, rewards, beta);
    return score_policy(policy, policy, reference, rewards, beta);
  };
  Figure::Numbers kls = {0}, expected = {0};
  for (double beta = 100 * least_beta; beta > 0.99 * least_beta; beta /= 1.1) {
    const PolicyScore score = best(beta);
    kls.push_back(score.kl_to_reference);
    expected.push_back(score.expected_reward);
  }
  Figure figure("How much reward for how much KL", "KL(policy || reference), nats", "E[reward]");
  figure.line("best possible", kls, expected);
  for (const double beta : betas) {
    const PolicyScore score = best(beta);
    figure.dots(fmt::format("best, beta {:g}", beta), {score.kl_to_reference},
                {score.expected_reward});
  }
  return figure;
}

}  // namespace retrace::train
