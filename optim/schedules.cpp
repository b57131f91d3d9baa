#include <retrace/optim/schedules.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <retrace/optim/rule.h>
#include <retrace/tensor/check.h>

namespace retrace::optim {
namespace {

double number(std::int64_t value) { return static_cast<double>(value); }

void require_at_least(std::string_view name, std::string_view option, std::int64_t value,
                      std::int64_t least) {
  require<ValueError>(value >= least, "{}: {} is {}; give at least {}", name, option, value, least);
}

void require_share(std::string_view name, std::string_view option, double value) {
  require<ValueError>(value >= 0 && value <= 1, "{}: {} is {}; give a number in [0, 1]", name,
                      option, value);
}

// From `start` at share 0 to `end` at share 1.
double down_cosine(double start, double end, double share) {
  return end + (start - end) * (1 + std::cos(std::numbers::pi * share)) / 2;
}
double down_line(double start, double end, double share) { return start + (end - start) * share; }

double share_of(std::int64_t step, std::int64_t total) {
  return std::min(1.0, number(step) / number(total));
}

}  // namespace

StepLR::StepLR(Optimizer optimizer, const StepLROptions& options)
    : Schedule(std::move(optimizer), "StepLR"), options_(options) {
  require_at_least("StepLR", "step_size", options.step_size, 1);
  require_positive("StepLR", "gamma", options.gamma);
  start();
}
double StepLR::rate(double base, std::int64_t step) const {
  return base * std::pow(options_.gamma, number(step / options_.step_size));
}

MultiStepLR::MultiStepLR(Optimizer optimizer, const MultiStepLROptions& options)
    : Schedule(std::move(optimizer), "MultiStepLR"), options_(options) {
  require<ValueError>(std::is_sorted(options.milestones.begin(), options.milestones.end()),
                      "MultiStepLR: milestones [{}] are not ascending; sort them",
                      fmt::join(options.milestones, ", "));
  require_positive("MultiStepLR", "gamma", options.gamma);
  start();
}
double MultiStepLR::rate(double base, std::int64_t step) const {
  const auto& milestones = options_.milestones;
  const auto passed = std::upper_bound(milestones.begin(), milestones.end(), step);
  return base * std::pow(options_.gamma, static_cast<double>(passed - milestones.begin()));
}

ExponentialLR::ExponentialLR(Optimizer optimizer, const ExponentialLROptions& options)
    : Schedule(std::move(optimizer), "ExponentialLR"), options_(options) {
  require_positive("ExponentialLR", "gamma", options.gamma);
  start();
}
double ExponentialLR::rate(double base, std::int64_t step) const {
  return base * std::pow(options_.gamma, number(step));
}

ConstantLR::ConstantLR(Optimizer optimizer, const ConstantLROptions& options)
    : Schedule(std::move(optimizer), "ConstantLR"), options_(options) {
  require_share("ConstantLR", "factor", options.factor);
  require_at_least("ConstantLR", "total_iters", options.total_iters, 0);
  start();
}
double ConstantLR::rate(double base, std::int64_t step) const {
  return step < options_.total_iters ? base * options_.factor : base;
}

LinearLR::LinearLR(Optimizer optimizer, const LinearLROptions& options)
    : Schedule(std::move(optimizer), "LinearLR"), options_(options) {
  require_positive("LinearLR", "start_factor", options.start_factor);
  require_share("LinearLR", "start_factor", options.start_factor);
  require_share("LinearLR", "end_factor", options.end_factor);
  require_at_least("LinearLR", "total_iters", options.total_iters, 1);
  start();
}
double LinearLR::rate(double base, std::int64_t step) const {
  return base * down_line(options_.start_factor, options_.end_factor,
                          share_of(step, options_.total_iters));
}

PolynomialLR::PolynomialLR(Optimizer optimizer, const PolynomialLROptions& options)
    : Schedule(std::move(optimizer), "PolynomialLR"), options_(options) {
  require_at_least("PolynomialLR", "total_iters", options.total_iters, 1);
  require_positive("PolynomialLR", "power", options.power);
  start();
}
double PolynomialLR::rate(double base, std::int64_t step) const {
  return base * std::pow(1 - share_of(step, options_.total_iters), options_.power);
}

CosineAnnealingLR::CosineAnnealingLR(Optimizer optimizer, const CosineAnnealingLROptions& options)
    : Schedule(std::move(optimizer), "CosineAnnealingLR"), options_(options) {
  require_at_least("CosineAnnealingLR", "T_max", options.T_max, 1);
  require_at_least_zero("CosineAnnealingLR", "eta_min", options.eta_min);
  start();
}
double CosineAnnealingLR::rate(double base, std::int64_t step) const {
  // The remainder keeps cos exact after many periods, of which one may be longer than int64.
  const std::uint64_t period = 2 * static_cast<std::uint64_t>(options_.T_max);
  const auto within = static_cast<std::int64_t>(static_cast<std::uint64_t>(step) % period);
  return down_cosine(base, options_.eta_min, number(within) / number(options_.T_max));
}

CosineAnnealingWarmRestarts::CosineAnnealingWarmRestarts(
    Optimizer optimizer, const CosineAnnealingWarmRestartsOptions& options)
    : Schedule(std::move(optimizer), "CosineAnnealingWarmRestarts"), options_(options) {
  require_at_least("CosineAnnealingWarmRestarts", "T_0", options.T_0, 1);
  require_at_least("CosineAnnealingWarmRestarts", "T_mult", options.T_mult, 1);
  require_at_least_zero("CosineAnnealingWarmRestarts", "eta_min", options.eta_min);
  start();
}
double CosineAnnealingWarmRestarts::rate(double base, std::int64_t step) const {
  if (options_.T_mult == 1)
    return down_cosine(base, options_.eta_min, number(step % options_.T_0) / number(options_.T_0));
  // Counted in double, in which periods do not overflow.
  double since = number(step), period = number(options_.T_0);
  while (since >= period) {
    since -= period;
    period *= number(options_.T_mult);
  }
  return down_cosine(base, options_.eta_min, since / period);
}

namespace {

void check_warmup(std::string_view name, const WarmupOptions& options) {
  require_at_least(name, "warmup_steps", options.warmup_steps, 0);
  require<ValueError>(options.total_steps > options.warmup_steps,
                      "{}: total_steps is {}, warmup_steps {}; give more steps in total", name,
                      options.total_steps, options.warmup_steps);
  require_at_least_zero(name, "eta_min", options.eta_min);
}

template <class Down>
double warm_up(const WarmupOptions& o, double base, std::int64_t step, Down down) {
  if (step < o.warmup_steps) return base * number(step) / number(o.warmup_steps);
  return down(base, o.eta_min, share_of(step - o.warmup_steps, o.total_steps - o.warmup_steps));
}

}  // namespace

WarmupLinearLR::WarmupLinearLR(Optimizer optimizer, const WarmupOptions& options)
    : Schedule(std::move(optimizer), "WarmupLinearLR"), options_(options) {
  check_warmup("WarmupLinearLR", options);
  start();
}
double WarmupLinearLR::rate(double base, std::int64_t step) const {
  return warm_up(options_, base, step, down_line);
}

WarmupCosineLR::WarmupCosineLR(Optimizer optimizer, const WarmupOptions& options)
    : Schedule(std::move(optimizer), "WarmupCosineLR"), options_(options) {
  check_warmup("WarmupCosineLR", options);
  start();
}
double WarmupCosineLR::rate(double base, std::int64_t step) const {
  return warm_up(options_, base, step, down_cosine);
}

WarmupInverseSqrtLR::WarmupInverseSqrtLR(Optimizer optimizer,
                                         const WarmupInverseSqrtLROptions& options)
    : Schedule(std::move(optimizer), "WarmupInverseSqrtLR"), options_(options) {
  require_at_least("WarmupInverseSqrtLR", "warmup_steps", options.warmup_steps, 1);
  start();
}
double WarmupInverseSqrtLR::rate(double base, std::int64_t step) const {
  if (step < options_.warmup_steps) return base * number(step) / number(options_.warmup_steps);
  return base * std::sqrt(number(options_.warmup_steps) / number(step));
}

OneCycleLR::OneCycleLR(Optimizer optimizer, const OneCycleLROptions& options)
    : Schedule(std::move(optimizer), "OneCycleLR"), options_(options) {
  require_positive("OneCycleLR", "max_lr", options.max_lr);
  require_at_least("OneCycleLR", "total_steps", options.total_steps, 1);
  require_share("OneCycleLR", "pct_start", options.pct_start);
  require_positive("OneCycleLR", "div_factor", options.div_factor);
  require_positive("OneCycleLR", "final_div_factor", options.final_div_factor);
  start();
}
double OneCycleLR::rate(double, std::int64_t step) const {
  const OneCycleLROptions& o = options_;
  require<ValueError>(step <= o.total_steps,
                      "OneCycleLR: step {} of {}; the cycle is over, make it with more total_steps",
                      step, o.total_steps);
  const double low = o.max_lr / o.div_factor, last = low / o.final_div_factor;
  const double peak = o.pct_start * number(o.total_steps) - 1, end = number(o.total_steps - 1);
  const auto anneal = o.anneal_strategy == AnnealStrategy::cos ? down_cosine : down_line;
  if (number(step) <= peak) return anneal(low, o.max_lr, peak > 0 ? number(step) / peak : 1.0);
  const double share = end > peak ? (number(step) - peak) / (end - peak) : 1.0;
  return anneal(o.max_lr, last, std::min(share, 1.0));
}

}  // namespace retrace::optim
