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
/// Source: Szegedy et al. 2014, arXiv:1409.4842, section 6, where gamma is 0.96 every 8 epochs.
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
/// Source: He et al. 2015, arXiv:1512.03385, section 4.2, where milestones are 32 000 and 48 000.
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
/// Source: Szegedy et al. 2015, arXiv:1512.00567, section 8, where gamma is 0.94 every two epochs.
class ExponentialLR final : public Schedule {
 public:
  ExponentialLR(Optimizer optimizer, const ExponentialLROptions& options);

 private:
  double rate(double base, std::int64_t step) const override;
  ExponentialLROptions options_;
};

struct ConstantLROptions {
  double factor = 1.0 / 3;  ///< in [0, 1]
  std::int64_t total_iters = 5;
};
/// rate = base · factor while t < total_iters, then base
/// Source: Goyal et al. 2017, arXiv:1706.02677, section 2.2, "constant warmup".
class ConstantLR final : public Schedule {
 public:
  explicit ConstantLR(Optimizer optimizer, const ConstantLROptions& options = {});

 private:
  double rate(double base, std::int64_t step) const override;
  ConstantLROptions options_;
};

struct LinearLROptions {
  double start_factor = 1.0 / 3;  ///< in (0, 1]
  double end_factor = 1.0;        ///< in [0, 1]
  std::int64_t total_iters = 5;
};
/// rate = base · (start_factor + (end_factor - start_factor) · min(1, t / total_iters))
/// Source: Goyal et al. 2017, arXiv:1706.02677, section 2.2, "gradual warmup".
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
/// Source: Chen et al. 2016, arXiv:1606.00915, section 4.1, the policy "poly".
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
/// rate = eta_min + (base - eta_min) · (1 + cos(π s / T)) / 2 with s the steps since the last
/// restart and T the length of the period: T_0, and every next one T_mult times as long.
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
/// Source: Devlin et al. 2018, arXiv:1810.04805, appendix A.2.
class WarmupLinearLR final : public Schedule {
 public:
  WarmupLinearLR(Optimizer optimizer, const WarmupOptions& options);

 private:
  double rate(double base, std::int64_t step) const override;
  WarmupOptions options_;
};
/// As WarmupLinearLR, but down half a cosine:
/// rate = eta_min + (base - eta_min) · (1 + cos(π (t - warmup_steps) / (total_steps -
/// warmup_steps))) / 2 after the warm-up.
/// Source: Brown et al. 2020, arXiv:2005.14165, appendix B.
class WarmupCosineLR final : public Schedule {
 public:
  WarmupCosineLR(Optimizer optimizer, const WarmupOptions& options);

 private:
  double rate(double base, std::int64_t step) const override;
  WarmupOptions options_;
};

struct WarmupInverseSqrtLROptions {
  std::int64_t warmup_steps = 0;  ///< at least 1
};
/// rate = base · min(t / warmup_steps, sqrt(warmup_steps / t)): up to base, then down for ever.
/// Known as noam; there base is 1 / sqrt(width · warmup_steps).
/// Source: Vaswani et al. 2017, arXiv:1706.03762, section 5.3, equation 3.
class WarmupInverseSqrtLR final : public Schedule {
 public:
  WarmupInverseSqrtLR(Optimizer optimizer, const WarmupInverseSqrtLROptions& options);

 private:
  double rate(double base, std::int64_t step) const override;
  WarmupInverseSqrtLROptions options_;
};

enum class AnnealStrategy { cos, linear };
struct OneCycleLROptions {
  double max_lr = 0;             ///< above 0
  std::int64_t total_steps = 0;  ///< at least 1; t > total_steps is a ValueError
  double pct_start = 0.3;        ///< share of the steps in which the rate rises, in [0, 1]
  AnnealStrategy anneal_strategy = AnnealStrategy::cos;
  double div_factor = 25;
  double final_div_factor = 1e4;
};
/// From max_lr / div_factor up to max_lr, then down to max_lr / (div_factor · final_div_factor).
/// With p = pct_start · total_steps - 1 and last = total_steps - 1:
///     t <= p: anneal(max_lr / div_factor, max_lr, t / p)
///     t > p:  anneal(max_lr, max_lr / (div_factor · final_div_factor), (t - p) / (last - p))
/// where anneal goes from its first number to its second along half a cosine or a line. The
/// optimizer's own rate and its momentum play no part.
/// Source: Smith and Topin 2017, arXiv:1708.07120, section 3; in the form of torch's OneCycleLR.
class OneCycleLR final : public Schedule {
 public:
  OneCycleLR(Optimizer optimizer, const OneCycleLROptions& options);

 private:
  double rate(double base, std::int64_t step) const override;
  OneCycleLROptions options_;
};

}  // namespace retrace::optim
