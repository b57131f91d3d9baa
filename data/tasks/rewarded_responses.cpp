#include <retrace/data/tasks/rewarded_responses.h>

#include <algorithm>
#include <cmath>

#include <retrace/autograd/autograd.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

// Shares of each row of a table, added up from the left.
Tensor cumulative(const Tensor& logps) { return logps.exp().cumsum(1).contiguous(); }

// A column of a row of such sums.
std::int64_t draw(const double* sums, std::int64_t columns, Generator& generator) {
  const double u = generator.next_uniform() * sums[columns - 1];
  return std::min<std::int64_t>(std::upper_bound(sums, sums + columns, u) - sums, columns - 1);
}

void check_table(std::string_view op, std::string_view name, const Tensor& table) {
  require<ShapeError>(table.defined() && table.dim() == 2 && table.numel() > 0,
                      "{}: {} are {}; give a table [prompts, responses]", op, name,
                      table.defined() ? table.sizes() : Shape());
  require<DTypeError>(table.dtype() == kFloat64, "{}: {} are {}; convert with .to(kFloat64)", op,
                      name, table.dtype());
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

}  // namespace

RewardedResponses::RewardedResponses(const RewardedResponsesOptions& options) : options_(options) {
  const auto [prompts, symbols, length] = options;
  require<ValueError>(prompts >= 1 && symbols >= 2 && symbols >= prompts && length >= 1,
                      "RewardedResponses: {} prompts, {} symbols, length {}; there must be a "
                      "prompt, two symbols, one for each prompt, and a length of 1",
                      prompts, symbols, length);
  const double count = std::pow(static_cast<double>(symbols), static_cast<double>(length));
  require<ValueError>(static_cast<double>(prompts) * count <= 1 << 20,
                      "RewardedResponses: {} prompts with {} responses each are more than 2^20",
                      prompts, count);
  const auto each = static_cast<std::int64_t>(count);
  responses_ = {empty({prompts * each, 1 + length}, kInt64),
                ones({prompts * each, 1 + length}, kBool)};
  responses_.mask.select(1, 0).fill_(false);
  const Tensor log_weights = empty({prompts, each}, kFloat64);
  rewards_ = empty({prompts, each}, kFloat64);
  auto* token = elements<std::int64_t>(responses_.tokens);
  for (std::int64_t number = 0; number < prompts * each; ++number, token += 1 + length) {
    const std::int64_t prompt = number / each;
    token[0] = prompt;
    for (std::int64_t t = length, rest = number % each; t > 0; --t, rest /= symbols)
      token[t] = rest % symbols;
    double weight = 0, reward = 0;
    const auto x = static_cast<double>(prompt);
    for (std::int64_t t = 0; t < length; ++t) {
      const auto y = static_cast<double>(token[1 + t]), place = static_cast<double>(t);
      weight += 0.8 * std::cos(1.7 * y + 0.9 * x + 2.3 * place);
      reward += std::cos(2.1 * y + 1.3 * x + 0.7 * place);
      if (t + 1 < length) reward += std::cos(1.1 * y * static_cast<double>(token[2 + t]) + 0.5 * x);
    }
    elements<double>(log_weights)[number] = weight;
    elements<double>(rewards_)[number] = reward;
  }
  const NoGradGuard no_grad;
  demonstration_logps_ = log_weights.log_softmax(1);
  const Tensor share = demonstration_logps_.exp();
  rewards_ = rewards_ - (share * rewards_).sum(1, true);
  rewards_ = rewards_ / (share * rewards_.square()).sum(1, true).sqrt();
}

Tensor RewardedResponses::sample(std::int64_t count, const Tensor& logps,
                                 Generator& generator) const {
  check_table("RewardedResponses", "logps", logps);
  require<ShapeError>(logps.sizes() == rewards_.sizes(),
                      "RewardedResponses: logps are {}; here tables are {}", logps.sizes(),
                      rewards_.sizes());
  const NoGradGuard no_grad;
  const Tensor sums = cumulative(logps);
  const std::int64_t prompts = logps.size(0), each = logps.size(1);
  Tensor numbers = empty({count}, kInt64);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t row = generator.next_below(prompts) * each;
    elements<std::int64_t>(numbers)[i] = row + draw(elements<double>(sums) + row, each, generator);
  }
  return numbers;
}

TablePreferences::TablePreferences(const Tensor& logps, const Tensor& rewards, double flips)
    : logps_(logps), flips_(flips) {
  constexpr std::string_view kOp = "TablePreferences";
  check_table(kOp, "logps", logps);
  check_table(kOp, "rewards", rewards);
  require<ShapeError>(logps.sizes() == rewards.sizes(),
                      "{}: logps are {}, rewards {}; they must be alike", kOp, logps.sizes(),
                      rewards.sizes());
  require<ValueError>(flips >= 0 && flips <= 1, "{}: flips are {}; give a share in [0, 1]", kOp,
                      flips);
  const NoGradGuard no_grad;
  require<ValueError>(isfinite(rewards).all().item<bool>(),
                      "{}: a reward is not finite; the model that gave it is not usable", kOp);
  rewards_ = rewards.contiguous();
  cumulative_ = cumulative(logps);
  const Tensor share = logps.exp();
  const std::int64_t prompts = logps.size(0), each = logps.size(1);
  // Two that are equal are drawn anew, so that all pairs of a prompt together have its share.
  const Tensor drawn = share.unsqueeze(2) * share.unsqueeze(1) * (1 - eye(each, kFloat64));
  const Tensor unequal = drawn.sum(2).sum(1).view({prompts, 1, 1});
  require<ValueError>(unequal.min().item<double>() > 0,
                      "{}: to a prompt there are no two responses that the policy could give", kOp);
  const Tensor right = (rewards.unsqueeze(2) - rewards.unsqueeze(1)).sigmoid();
  const Tensor preferred = (1 - flips) * right + flips * (1 - right);
  distribution_ = 2.0 / static_cast<double>(prompts) * drawn / unequal * preferred;
}

Tensor TablePreferences::sample(std::int64_t count, Generator& generator) const {
  const std::int64_t prompts = cumulative_.size(0), each = cumulative_.size(1);
  Tensor pairs = empty({count, 2}, kInt64);
  auto* pair = elements<std::int64_t>(pairs);
  for (std::int64_t i = 0; i < count; ++i, pair += 2) {
    const std::int64_t row = generator.next_below(prompts) * each;
    const double* sums = elements<double>(cumulative_) + row;
    do {
      pair[0] = row + draw(sums, each, generator);
      pair[1] = row + draw(sums, each, generator);
    } while (pair[0] == pair[1]);
    const double* reward = elements<double>(rewards_);
    const double p = sigmoid(reward[pair[0]] - reward[pair[1]]);
    const bool keeps = generator.next_uniform() < p;
    const bool right = flips_ == 0 || generator.next_uniform() >= flips_;
    if (keeps != right) std::swap(pair[0], pair[1]);
  }
  return pairs;
}

double TablePreferences::floor() const {
  const NoGradGuard no_grad;
  const Tensor both = distribution_ + distribution_.transpose(1, 2);
  const Tensor loss = -(distribution_ / both).log();
  return (distribution_ * loss.masked_fill(eq(distribution_, 0), 0)).sum().item<double>();
}

double TablePreferences::accuracy_ceiling() const {
  const NoGradGuard no_grad;
  return 0.5 * maximum(distribution_, distribution_.transpose(1, 2)).sum().item<double>();
}

}  // namespace retrace::data
