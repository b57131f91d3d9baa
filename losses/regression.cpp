#include <retrace/autograd/composite.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/elementwise.h>
#include <retrace/losses/error_rule.h>
#include <retrace/losses/regression.h>

namespace retrace::losses {
namespace {

struct Mse {
  static constexpr std::string_view op = "mse_loss", formula = "y = (x - t)², reduced",
                                    gradient = "dx = 2 g · (x - t) / n, dt = -dx";
  template <class T>
  T value(T d) const {
    return d * d;
  }
  template <class T>
  T slope(T d) const {
    return T(2) * d;
  }
};

struct L1 {
  static constexpr std::string_view op = "l1_loss", formula = "y = |x - t|, reduced",
                                    gradient = "dx = g · sign(x - t) / n, dt = -dx";
  template <class T>
  T value(T d) const {
    return math::abs(d);
  }
  template <class T>
  T slope(T d) const {
    return math::sign(d);
  }
};

struct Huber {
  static constexpr std::string_view
      op = "huber_loss",
      formula = "y = ½ d² where |d| < δ, else δ · (|d| - ½ δ), d = x - t, reduced",
      gradient = "dx = g · clip(x - t, -δ, δ) / n, dt = -dx";
  double delta;

  template <class T>
  T value(T d) const {
    const T size = math::abs(d), square_part = math::min(size, T(delta));
    return square_part * (size - T(0.5) * square_part);
  }
  template <class T>
  T slope(T d) const {
    return math::max(math::min(d, T(delta)), T(-delta));
  }
};

struct SmoothL1 {
  static constexpr std::string_view
      op = "smooth_l1_loss",
      formula = "y = ½ d² / β where |d| < β, else |d| - ½ β, d = x - t, reduced",
      gradient = "dx = g · clip((x - t) / β, -1, 1) / n, dt = -dx";
  double beta;  // 0 leaves no square part

  template <class T>
  T y(T x, T t) const {
    const T d = x - t, size = math::abs(d);
    return math::select(size < T(beta), T(0.5) * d * (d / T(beta)), size - T(0.5 * beta));
  }
  // Without a square part equal numbers get -1 on both sides, as in PyTorch.
  template <class T>
  T slope(T d) const {
    const T above = math::select(d >= T(beta), T(1), d / T(beta));
    return math::select(d <= T(-beta), T(-1), above);
  }
  template <class T>
  T dy_da(T x, T t) const {
    return slope(x - t);
  }
  template <class T>
  T dy_db(T x, T t) const {
    return slope(t - x);
  }
};

struct LogCosh {
  static constexpr std::string_view op = "log_cosh_loss", formula = "y = ln cosh(x - t), reduced",
                                    gradient = "dx = g · tanh(x - t) / n, dt = -dx";
  // cosh(d) = 1 + (e^-d - 1)² / (2 e^-d) keeps the digits of small errors; for large ones the
  // exponential would overflow.
  template <class T>
  T value(T d) const {
    const T size = math::abs(d), below_one = math::expm1(-size);
    const T small = math::log1p(below_one * below_one / (T(2) * (T(1) + below_one)));
    const T large = size + math::log1p_exp(T(-2) * size) - T(std::numbers::ln2);
    return math::select(size < T(1), small, large);
  }
  template <class T>
  T slope(T d) const {
    return math::tanh(d);
  }
};

template <bool kLogInput, bool kFull>
struct PoissonNll {
  static constexpr std::string_view
      op = "poisson_nll_loss",
      formula = kLogInput ? "y = eˣ - t · x, reduced" : "y = x - t · ln(x + ε), reduced",
      gradient = kLogInput ? "dx = g · (eˣ - t) / n, dt = -g · x / n"
                           : "dx = g · (1 - t / (x + ε)) / n, dt = -g · ln(x + ε) / n";
  double eps;

  template <class T>
  T y(T x, T t) const {
    T value;
    if constexpr (kLogInput) {
      value = math::exp(x) - t * x;
    } else {
      value = x - t * math::log(x + T(eps));
    }
    if constexpr (kFull) {
      const T stirling = t * math::log(t) - t + T(0.5) * math::log(T(2 * std::numbers::pi) * t);
      value = value + math::select(t > T(1), stirling, T(0));
    }
    return value;
  }
  template <class T>
  T dy_da(T x, T t) const {
    return kLogInput ? math::exp(x) - t : T(1) - t / (x + T(eps));
  }
  // Not by dual numbers: where exp(x) is infinite its slope by t is 0 all the same.
  template <class T>
  T dy_db(T x, T t) const {
    const T slope = kLogInput ? -x : -math::log(x + T(eps));
    if constexpr (!kFull) return slope;
    return slope + math::select(t > T(1), math::log(t) + T(0.5) / t, T(0));
  }
};

struct GaussianNll {
  static constexpr std::string_view
      op = "gaussian_nll_loss",
      formula = "y = ½ (ln v + (x - t)² / v), v = max(var, ε), reduced",
      gradient = "dx = g · d / v / n, dt = -dx, dvar = ½ g · (1/v - d²/v²) / n, d = x - t";
  static constexpr std::string_view inputs[] = {"input", "target", "var"};
  double eps, constant;

  template <class T>
  T raised(T var) const {
    return math::max(var, T(eps));
  }
  template <class T>
  T y(T x, T t, T var) const {
    const T v = raised(var), d = x - t;
    return T(0.5) * (math::log(v) + d * (d / v)) + T(constant);
  }
  template <class T>
  T dy_da(T x, T t, T var) const {
    return (x - t) / raised(var);
  }
  template <class T>
  T dy_db(T x, T t, T var) const {
    return (t - x) / raised(var);
  }
  // Also where var was raised: the gradient is to lead out of there.
  template <class T>
  T dy_dc(T x, T t, T var) const {
    const T v = raised(var), scaled = (x - t) / v;
    return T(0.5) * (T(1) / v - scaled * scaled);
  }
};

}  // namespace

Tensor mse_loss(const Tensor& input, const Tensor& target, const ReductionOptions& options) {
  return reduced(OfError<Mse>(), options.reduction, input, target);
}

Tensor l1_loss(const Tensor& input, const Tensor& target, const ReductionOptions& options) {
  return reduced(OfError<L1>(), options.reduction, input, target);
}

Tensor huber_loss(const Tensor& input, const Tensor& target, const HuberLossOptions& options) {
  require_above_zero(Huber::op, "delta", options.delta);
  return reduced(OfError<Huber>{{options.delta}}, options.reduction, input, target);
}

Tensor smooth_l1_loss(const Tensor& input, const Tensor& target,
                      const SmoothL1LossOptions& options) {
  require_at_least_zero(SmoothL1::op, "beta", options.beta);
  return reduced(SmoothL1{options.beta}, options.reduction, input, target);
}

Tensor log_cosh_loss(const Tensor& input, const Tensor& target, const ReductionOptions& options) {
  return reduced(OfError<LogCosh>(), options.reduction, input, target);
}

Tensor poisson_nll_loss(const Tensor& input, const Tensor& target,
                        const PoissonNllLossOptions& options) {
  require_at_least_zero("poisson_nll_loss", "eps", options.eps);
  const auto loss = [&](const auto& rule) {
    return reduced(rule, options.reduction, input, target);
  };
  if (options.log_input)
    return options.full ? loss(PoissonNll<true, true>{options.eps})
                        : loss(PoissonNll<true, false>{options.eps});
  return options.full ? loss(PoissonNll<false, true>{options.eps})
                      : loss(PoissonNll<false, false>{options.eps});
}

Tensor gaussian_nll_loss(const Tensor& input, const Tensor& target, const Tensor& var,
                         const GaussianNllLossOptions& options) {
  const GaussianNll rule{options.eps, options.full ? 0.5 * std::log(2 * std::numbers::pi) : 0.0};
  require_at_least_zero(rule.op, "eps", options.eps);
  require_defined(rule.op, {&input, &target, &var});
  require_each(
      rule.op, "var", var, [](auto v) { return v >= 0; },
      "a variance, which is not negative: take exp or softplus of what predicts it");
  if (var.sizes() == input.sizes()) return reduced(rule, options.reduction, input, target, var);
  Shape rows = input.sizes();
  if (!rows.empty()) rows.erase(rows.size() - 1);
  Shape column = rows;
  column.push_back(1);
  require<ShapeError>(input.dim() > 0 && (var.sizes() == rows || var.sizes() == column),
                      "gaussian_nll_loss: var is {} for an input {}; it must be of the same shape, "
                      "or its last dim 1 or left out",
                      var.sizes(), input.sizes());
  return composite<GaussianNll>(
      [rule, column, how = options.reduction](const Tensor& x, const Tensor& t, const Tensor& v) {
        return reduced(rule, how, x, t, v.view(column).expand(x.sizes()));
      },
      input, target, var);
}

}  // namespace retrace::losses
