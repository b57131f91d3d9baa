#include <retrace/train/reward_scores.h>

#include <algorithm>

#include <retrace/autograd/autograd.h>
#include <retrace/losses/preference.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::train {
namespace {

// Shares that were given, or equal ones that sum to 1 along the last dim.
Tensor shares_of(const char* op, const Tensor& given, const Tensor& like) {
  if (!given.defined()) return full_like(like, 1.0 / static_cast<double>(like.size(-1)));
  require<ShapeError>(given.sizes() == like.sizes(), "{}: shares are {}, scores {}; give one each",
                      op, given.sizes(), like.sizes());
  return given.detach().to(kFloat64);
}

void check_names(const std::vector<std::string>& names, std::size_t prompts) {
  require<ValueError>(names.size() == prompts,
                      "RewardScores: {} names for {} prompts; give each one", names.size(),
                      prompts);
}

}  // namespace

Metrics pair_metrics(const Tensor& chosen, const Tensor& rejected, const Tensor& shares) {
  const NoGradGuard no_grad;
  const Tensor w = chosen.flatten().to(kFloat64), l = rejected.flatten().to(kFloat64);
  const Tensor loss = losses::reward_loss(w, l, {.reduction = Reduction::none});
  const Tensor share = shares_of("pair_metrics", shares.defined() ? shares.flatten() : shares, w);
  return {{"test_loss", (share * loss).sum().item<double>()},
          {"pair_accuracy", (share * gt(w, l).to(kFloat64)).sum().item<double>()},
          {"reward_margin", (share * (w - l)).sum().item<double>()}};
}

RewardScores::RewardScores(const Tensor& learned, const Tensor& truth, const Tensor& shares) {
  require<ShapeError>(learned.dim() == 2 && learned.sizes() == truth.sizes(),
                      "RewardScores: rewards must be [prompts, responses], learned and true, not "
                      "{} and {}",
                      learned.sizes(), truth.sizes());
  require<ValueError>(learned.numel() > 0, "RewardScores: there are no responses");
  const NoGradGuard no_grad;
  const Tensor y = learned.to(kFloat64), x = truth.to(kFloat64);
  const Tensor share = shares_of("RewardScores", shares, x);
  const auto mean = [&share](const Tensor& of) { return (share * of).sum(1, true); };
  truth_ = x - mean(x);
  learned_ = y - mean(y);
  const Tensor squares = mean(truth_.square());
  const Tensor correlation = mean(truth_ * learned_) / (squares * mean(learned_.square())).sqrt();
  const Tensor error = mean((learned_ - truth_).square()).sqrt();
  for (std::int64_t i = 0; i < x.size(0); ++i)
    prompts_.push_back({mean(y)[i].item<double>(), correlation[i].item<double>(),
                        error[i].item<double>(), squares[i].sqrt().item<double>()});
}

Table RewardScores::table(const std::vector<std::string>& names) const {
  check_names(names, prompts_.size());
  Table table{"Learned rewards beside the true ones; of their mean preferences say nothing",
              {"", "mean", "correlation", "rms error", "true deviation"},
              {},
              {}};
  for (std::size_t i = 0; i < names.size(); ++i) {
    const Prompt& of = prompts_[i];
    table.rows.push_back({names[i]});
    for (const double value : {of.mean, of.correlation, of.rms_error, of.deviation})
      table.rows.back().push_back(three_digits(value));
  }
  return table;
}

Figure RewardScores::figure(const std::vector<std::string>& names, std::int64_t most) const {
  check_names(names, prompts_.size());
  const std::int64_t shown = std::min(most, truth_.size(1));
  const Tensor x = truth_.narrow(1, 0, shown), y = learned_.narrow(1, 0, shown);
  Figure figure("Rewards without their mean", "true", "learned");
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto row = static_cast<std::int64_t>(i);
    figure.dots(names[i], x[row].to_vector<double>(), y[row].to_vector<double>());
  }
  const Figure::Numbers ends = {x.min().item<double>(), x.max().item<double>()};
  return figure.line("equal", ends, ends, Figure::dashed);
}

}  // namespace retrace::train
