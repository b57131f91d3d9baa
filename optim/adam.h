#pragma once

#include <array>

#include <retrace/optim/optimizer.h>

namespace retrace::optim {

struct AdamOptions {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};  ///< each in [0, 1)
  double eps = 1e-8;                           ///< above 0
  double weight_decay = 0;
  bool amsgrad = false;
  bool maximize = false;
};

/// Adam. With gradient g of parameter p in step t = 1, 2, ..., β1 and β2 the betas:
///
///     g = g + weight_decay · p                 (maximize: -g + ...)
///     m = β1 · m + (1 - β1) · g
///     v = β2 · v + (1 - β2) · g²               (amsgrad: w = max(w, v), used instead of v below)
///     p = p - lr / (1 - β1^t) · m / (sqrt(v / (1 - β2^t)) + eps)
///
/// Kept for each parameter: exp_avg m, exp_avg_sq v, with amsgrad max_exp_avg_sq w.
/// Source: Kingma and Ba 2014, arXiv:1412.6980, algorithm 1; amsgrad: Reddi et al. 2018,
/// arXiv:1904.09237; in the form of torch.optim.Adam.
class Adam : public OptimizerFor<AdamOptions> {
 public:
  using OptimizerFor::OptimizerFor;
};
extern template class OptimizerFor<AdamOptions>;

struct AdamWOptions {
  double lr = 1e-3;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-8;
  double weight_decay = 1e-2;
  bool amsgrad = false;
  bool maximize = false;
};

/// Adam with decoupled weight decay: the gradient is left alone, and p = (1 - lr · weight_decay) ·
/// p comes before the update.
/// Source: Loshchilov and Hutter 2017, arXiv:1711.05101, algorithm 2; in
/// the form of torch.optim.AdamW.
class AdamW : public OptimizerFor<AdamWOptions> {
 public:
  using OptimizerFor::OptimizerFor;
};
extern template class OptimizerFor<AdamWOptions>;

}  // namespace retrace::optim
