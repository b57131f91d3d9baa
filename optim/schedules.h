#pragma once

// The schedules. In the formulas t is the step, 0, 1, 2, ... Names and meanings are those of
// torch.optim.lr_scheduler, but rates are computed from t, not from the rate before.

#include <retrace/optim/schedule.h>

namespace retrace::optim {

struct StepLROptions {
  std::int64_t step_size = 0;  ///< at least 1
  double gamma = 0.1;          ///< above 0
};
/// rate = base · gamma^floor(t / step_size)
class StepLR final : public Schedule {
 public:
  StepLR(Optimizer optimizer, const StepLROptions& options);

 private:
  double rate(double base, std::int64_t step) const override;
  StepLROptions options_;
};

struct MultiStepLROptions {
  std::vector<std::int64_t> milestones = {};  ///< ascending
  double gamma = 0.1;                         ///< above 0
};
/// rate = base · gamma^(number of milestones <= t)
class MultiStepLR final : public Schedule {
 public:
  MultiStepLR(Optimizer optimizer, const MultiStepLROptions& options);

 private:
  double rate(double base, std::int64_t step) const override;
  MultiStepLROptions options_;
};

struct ExponentialLROptions {
  double gamma = 0;  ///< above 0
};
/// rate = base · gamma^t
class ExponentialLR final : public Schedule {
 public:
  ExponentialLR(Optimizer optimizer, const ExponentialLROptions& options);

 private:
  double rate(double base, std::int64_t step) const override;
  ExponentialLROptions options_;
};

struct ConstantLROptions {
  double factor = 1.0 / 3;
  std::int64_t total_iters = 5;
};
/// rate = base · factor while t < total_iters, then base
class ConstantLR final : public Schedule {
 public:
  explicit ConstantLR(Optimizer optimizer, const ConstantLROptions& options = {});

 private:
  double rate(double base, std::int64_t step) const override;
  ConstantLROptions options_;
};

struct LinearLROptions {
  double start_factor = 1.0 / 3;
  double end_factor = 1.0;
  std::int64_t total_iters = 5;
};
/// rate = base · (start_factor + (end_factor - start_factor) · min(1, t / total_iters))
class LinearLR final : public Schedule {
 public:
  explicit LinearLR(Optimizer optimizer, const LinearLROptions& options = {});

 private:
  double rate(double base, std::int64_t step) const override;
  LinearLROptions options_;
};

struct PolynomialLROptions {
  std::int64_t total_iters = 5;
  double power = 1.0;
};
/// rate = base · (1 - min(1, t / total_iters))^power
class PolynomialLR final : public Schedule {
 public:
  explicit PolynomialLR(Optimizer optimizer, const PolynomialLROptions& options = {});

 private:
  double rate(double base, std::int64_t step) const override;
  PolynomialLROptions options_;
};

struct CosineAnnealingLROptions {
  std::int64_t T_max = 0;  ///< at least 1
  double eta_min = 0;
};
/// rate = eta_min + (base - eta_min) · (1 + cos(π t / T_max)) / 2; after T_max it rises again.
/// Source: Loshchilov and Hutter 2016, arXiv:1608.03983, equation 5 without restarts.
class CosineAnnealingLR final : public Schedule {
 public:
  CosineAnnealingLR(Optimizer optimizer, const CosineAnnealingLROptions& options);

 private:
  double rate(double base, std::int64_t step) const override;
  CosineAnnealingLROptions options_;
};

struct CosineAnnealingWarmRestartsOptions {
  std::int64_t T_0 = 0;  ///< steps of the first period, at least 1
  std::int64_t T_mult = 1;
  double eta_min = 0;
};
/// The cosine from base to eta_min again and again, every period T_mult times as long as the last.
/// Source: Loshchilov and Hutter 2016, arXiv:1608.03983, equation 5.
class CosineAnnealingWarmRestarts final : public Schedule {
 public:
  CosineAnnealingWarmRestarts(Optimizer optimizer,
                              const CosineAnnealingWarmRestartsOptions& options);

 private:
  double rate(double base, std::int64_t step) const override;
  CosineAnnealingWarmRestartsOptions options_;
};

struct WarmupOptions {
  std::int64_t warmup_steps = 0;
  std::int64_t total_steps = 0;  ///< above warmup_steps
  double eta_min = 0;            ///< rate at the end
};
/// rate = base · t / warmup_steps in the warm-up, then linearly from base to eta_min at
/// total_steps, where it stays.
class WarmupLinearLR final : public Schedule {
 public:
  WarmupLinearLR(Optimizer optimizer, const WarmupOptions& options);

 private:
  double rate(double base, std::int64_t step) const override;
  WarmupOptions options_;
};
/// As WarmupLinearLR, but down half a cosine.
class WarmupCosineLR final : public Schedule {
 public:
  WarmupCosineLR(Optimizer optimizer, const WarmupOptions& options);

 private:
  double rate(double base, std::int64_t step) const override;
  WarmupOptions options_;
};

enum class AnnealStrategy { cos, linear };
struct OneCycleLROptions {
  double max_lr = 0;             ///< above 0
  std::int64_t total_steps = 0;  ///< at least 1; t >= total_steps is a ValueError
  double pct_start = 0.3;        ///< share of the steps in which the rate rises, in [0, 1]
  AnnealStrategy anneal_strategy = AnnealStrategy::cos;
  double div_factor = 25;
  double final_div_factor = 1e4;
};
/// From max_lr / div_factor up to max_lr, then down to max_lr / (div_factor · final_div_factor).
/// Momentum is left alone. Source: Smith and Topin 2017, arXiv:1708.07120.
class OneCycleLR final : public Schedule {
 public:
  OneCycleLR(Optimizer optimizer, const OneCycleLROptions& options);

 private:
  double rate(double base, std::int64_t step) const override;
  OneCycleLROptions options_;
};

}  // namespace retrace::optim
