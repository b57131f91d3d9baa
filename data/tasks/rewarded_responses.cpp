#include <retrace/data/tasks/rewarded_responses.h>

#include <algorithm>
#include <cmath>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

// Of each row of a table of logarithms its shares, added up from the left.
Tensor cumulative(const Tensor& logps) {
  Tensor sums = logps.clone();
  auto* sum = elements<double>(sums);
  for (std::int64_t row = 0; row < sums.size(0); ++row) {
    double before = 0;
    for (std::int64_t i = 0; i < sums.size(1); ++i, ++sum) before = *sum = before + std::exp(*sum);
  }
  return sums;
}

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

// Σ of f(share of a pair, share of the same pair with the other one preferred).
template <class F>
double sum_over_pairs(const Tensor& distribution, F&& f) {
  const std::int64_t prompts = distribution.size(0), each = distribution.size(1);
  const auto* share = elements<double>(distribution);
  double sum = 0;
  for (std::int64_t prompt = 0; prompt < prompts; ++prompt, share += each * each)
    for (std::int64_t i = 0; i < each; ++i)
      for (std::int64_t j = 0; j < each; ++j) sum += f(share[i * each + j], share[j * each + i]);
  return sum;
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
  demonstration_logps_ = empty({prompts, each}, kFloat64);
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
    elements<double>(demonstration_logps_)[number] = weight;
    elements<double>(rewards_)[number] = reward;
  }
  for (std::int64_t prompt = 0; prompt < prompts; ++prompt) {
    double* logp = elements<double>(demonstration_logps_) + prompt * each;
    double* reward = elements<double>(rewards_) + prompt * each;
    double sum = 0, mean = 0, variance = 0;
    for (std::int64_t i = 0; i < each; ++i) sum += std::exp(logp[i]);
    for (std::int64_t i = 0; i < each; ++i) logp[i] -= std::log(sum);
    for (std::int64_t i = 0; i < each; ++i) mean += std::exp(logp[i]) * reward[i];
    for (std::int64_t i = 0; i < each; ++i) reward[i] -= mean;
    for (std::int64_t i = 0; i < each; ++i) variance += std::exp(logp[i]) * reward[i] * reward[i];
    for (std::int64_t i = 0; i < each; ++i) reward[i] /= std::sqrt(variance);
  }
}

Tensor RewardedResponses::numbers(const Tensor& tokens) const {
  const std::int64_t width = 1 + options_.length;
  require<ShapeError>(tokens.dim() == 2 && tokens.size(1) == width,
                      "RewardedResponses: tokens are {}; give [rows, {}]", tokens.sizes(), width);
  const std::vector<std::int64_t> all = tokens.to_vector<std::int64_t>();
  Tensor result = zeros({tokens.size(0)}, kInt64);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i) / width;
    const bool is_prompt = static_cast<std::int64_t>(i) % width == 0;
    require<IndexError>(all[i] >= 0 && all[i] < (is_prompt ? options_.prompts : options_.symbols),
                        "RewardedResponses: row {} has the token {}; there are {} prompts and {} "
                        "symbols",
                        row, all[i], options_.prompts, options_.symbols);
    auto& number = elements<std::int64_t>(result)[row];
    number = number * options_.symbols + all[i];
  }
  return result;
}

Tensor RewardedResponses::sample(std::int64_t count, const Tensor& logps,
                                 Generator& generator) const {
  check_table("RewardedResponses", "logps", logps);
  require<ShapeError>(logps.sizes() == rewards_.sizes(),
                      "RewardedResponses: logps are {}; here tables are {}", logps.sizes(),
                      rewards_.sizes());
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
    : flips_(flips) {
  constexpr std::string_view kOp = "TablePreferences";
  check_table(kOp, "logps", logps);
  check_table(kOp, "rewards", rewards);
  require<ShapeError>(logps.sizes() == rewards.sizes(),
                      "{}: logps are {}, rewards {}; they must be alike", kOp, logps.sizes(),
                      rewards.sizes());
  require<ValueError>(flips >= 0 && flips <= 1, "{}: flips are {}; give a share in [0, 1]", kOp,
                      flips);
  rewards_ = rewards.contiguous();
  logps_ = logps.contiguous();
  cumulative_ = cumulative(logps_);
  const std::int64_t prompts = logps.size(0), each = logps.size(1);
  distribution_ = zeros({prompts, each, each}, kFloat64);
  for (std::int64_t prompt = 0; prompt < prompts; ++prompt) {
    const double* logp = elements<double>(logps_) + prompt * each;
    const double* reward = elements<double>(rewards_) + prompt * each;
    double* share = elements<double>(distribution_) + prompt * each * each;
    // Two that are equal are drawn anew, so that all pairs of a prompt together have its share.
    double unequal = 0;
    for (std::int64_t i = 0; i < each; ++i) {
      require<ValueError>(std::isfinite(reward[i]),
                          "{}: a reward is {}; the model that gave it is not usable", kOp,
                          reward[i]);
      for (std::int64_t j = 0; j < each; ++j)
        if (i != j) unequal += std::exp(logp[i] + logp[j]);
    }
    require<ValueError>(
        unequal > 0, "{}: to a prompt there are no two responses that the policy could give", kOp);
    for (std::int64_t i = 0; i < each; ++i) {
      for (std::int64_t j = 0; j < each; ++j, ++share) {
        if (i == j) continue;
        const double right = sigmoid(reward[i] - reward[j]);
        *share = 2 / static_cast<double>(prompts) * std::exp(logp[i] + logp[j]) / unequal *
                 ((1 - flips) * right + flips * (1 - right));
      }
    }
  }
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
  return sum_over_pairs(distribution_, [](double share, double other) {
    return share == 0 ? 0 : -share * std::log(share / (share + other));
  });
}

double TablePreferences::accuracy_ceiling() const {
  return 0.5 * sum_over_pairs(distribution_,
                              [](double share, double other) { return std::max(share, other); });
}

}  // namespace retrace::data
