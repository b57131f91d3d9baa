#pragma once

// Losses for numbers as targets. input and target have one shape (nothing is broadcast) and one
// floating dtype; the result is theirs in shape with Reduction::none, else 0-d. The mean divides by
// the number of elements: of nothing it is NaN, the sum 0. In the formulas x is the input, t the
// target, d = x - t; g is the gradient of the result, n the divisor (1 unless mean). Errors:
// ShapeError when the shapes differ, DTypeError, ValueError for an option out of its range.

#include <retrace/losses/reduction.h>
#include <retrace/tensor/tensor.h>

namespace retrace::losses {

/// Squared error, d². Its best constant is the mean.
/// Gradient: dx = 2 g · d / n, dt = -dx.
/// Source: Gauss 1809, Theoria motus corporum coelestium; as PyTorch's mse_loss.
Tensor mse_loss(const Tensor& input, const Tensor& target, const ReductionOptions& options = {});

/// Absolute error, |d|. Its best constant is the median.
/// Gradient: dx = g · sign(d) / n, 0 where they are equal, dt = -dx.
/// Source: Laplace 1774; as PyTorch's l1_loss.
Tensor l1_loss(const Tensor& input, const Tensor& target, const ReductionOptions& options = {});

struct HuberLossOptions {
  Reduction reduction = Reduction::mean;
  double delta = 1.0;  ///< δ > 0: where it turns from square to straight
};

/// Huber's loss, ½ d² where |d| < δ and δ · (|d| - ½ δ) beyond: a square for small errors whose
/// slope never exceeds δ. It is δ times smooth_l1_loss with β = δ.
/// Gradient: dx = g · clip(d, -δ, δ) / n, dt = -dx.
/// Source: Huber 1964, Robust estimation of a location parameter.
Tensor huber_loss(const Tensor& input, const Tensor& target, const HuberLossOptions& options = {});

struct SmoothL1LossOptions {
  Reduction reduction = Reduction::mean;
  double beta = 1.0;  ///< β >= 0: where it turns from square to straight; 0 gives l1_loss
};

/// Absolute error with its corner rounded, ½ d² / β where |d| < β and |d| - ½ β beyond.
/// Gradient: dx = g · clip(d / β, -1, 1) / n, dt = -dx; with β = 0 and equal numbers both are -g /
/// n, as in PyTorch. Source: Girshick 2015, arXiv:1504.08083, eq. (3); β as PyTorch's
/// smooth_l1_loss.
Tensor smooth_l1_loss(const Tensor& input, const Tensor& target,
                      const SmoothL1LossOptions& options = {});

/// ln cosh(d): about ½ d² for small errors and |d| - ln 2 for large ones, without a parameter;
/// finite for errors of any size.
/// Gradient: dx = g · tanh(d) / n, dt = -dx.
/// Source: Saleh, Saleh 2022, arXiv:2208.04564; as Keras' log_cosh.
Tensor log_cosh_loss(const Tensor& input, const Tensor& target,
                     const ReductionOptions& options = {});

struct PoissonNllLossOptions {
  bool log_input = true;  ///< the input is the logarithm of the rate, else the rate itself
  bool full = false;      ///< add Stirling's approximation of ln t!, where t > 1
  double eps = 1e-8;      ///< keeps the logarithm of a rate of 0 finite
  Reduction reduction = Reduction::mean;
};

/// Negative log-likelihood, in nats, of counts t drawn from a Poisson distribution: eˣ - t · x if
/// the input is the logarithm of the rate, else x - t · ln(x + ε). `full` adds
/// t ln t - t + ½ ln(2π t) where t > 1.
/// Gradient: dx = g · (eˣ - t) / n, or g · (1 - t / (x + ε)) / n; dt = -g · x / n, or
/// -g · ln(x + ε) / n, and with `full` and t > 1 also g · (ln t + ½ / t) / n.
/// Source: McCullagh, Nelder 1989, Generalized Linear Models; as PyTorch's poisson_nll_loss.
Tensor poisson_nll_loss(const Tensor& input, const Tensor& target,
                        const PoissonNllLossOptions& options = {});

struct GaussianNllLossOptions {
  bool full = false;  ///< add the constant ½ ln 2π
  double eps = 1e-6;  ///< variances are raised to at least this
  Reduction reduction = Reduction::mean;
};

/// Negative log-likelihood, in nats, of t under a normal distribution with mean x and the variance
/// that the model predicts: ½ (ln v + d² / v), v = max(var, ε). `var` is of the input's shape, or
/// its last dim is 1 or left out: one variance for each row. A negative variance is a ValueError.
/// Gradient: dx = g · d / v / n, dt = -dx, dvar = ½ g · (1/v - d²/v²) / n, also where var < ε.
/// Source: Nix, Weigend 1994, Estimating the mean and variance of the target probability
/// distribution; as PyTorch's gaussian_nll_loss.
Tensor gaussian_nll_loss(const Tensor& input, const Tensor& target, const Tensor& var,
                         const GaussianNllLossOptions& options = {});

}  // namespace retrace::losses
