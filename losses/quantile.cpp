#include <retrace/autograd/composite.h>
#include <retrace/autograd/ops/activation.h>
#include <retrace/autograd/ops/joining.h>
#include <retrace/autograd/ops/scan.h>
#include <retrace/losses/checks.h>
#include <retrace/losses/elementwise.h>
#include <retrace/losses/error_rule.h>
#include <retrace/losses/quantile.h>

#include <limits>

namespace retrace::losses {
namespace {

struct PinballTexts {
  static constexpr std::string_view
      op = "quantile_loss",
      formula = "y = max(τ · (t - x), (1 - τ) · (x - t)), reduced",
      gradient = "dx = g · (-τ where x < t, 1 - τ where x > t) / n, dt = -dx";
};

/// A level with all digits of both τ and 1 - τ: τ up to ½, beyond it τ - 1.
double signed_level(double tau) { return tau <= 0.5 ? tau : tau - 1; }

/// What the error d = x - t costs, and the slope of that.
template <class T>
struct PinballSides {
  T below, above;  // τ, 1 - τ
  explicit PinballSides(T level)
      : below(math::select(level >= T(0), level, T(1) + level)),
        above(math::select(level >= T(0), T(1) - level, -level)) {}
  T value(T d) const { return math::max(-below * d, above * d); }
  T slope(T d) const {
    const T otherwise = math::select(d < T(0), -below, T(0.5) * (above - below));
    return math::select(d > T(0), above, otherwise);
  }
};

struct Pinball : PinballTexts {
  double level;

  template <class T>
  T value(T d) const {
    return PinballSides<T>(T(level)).value(d);
  }
  template <class T>
  T slope(T d) const {
    return PinballSides<T>(T(level)).slope(d);
  }
};

struct PinballOfLevels : PinballTexts {
  static constexpr std::size_t constants = 1;  // the levels
  static constexpr std::string_view inputs[] = {"input", "target", "levels"};

  template <class T>
  T y(T x, T t, T level) const {
    return PinballSides<T>(level).value(x - t);
  }
  template <class T>
  T dy_da(T x, T t, T level) const {
    return PinballSides<T>(level).slope(x - t);
  }
  template <class T>
  T dy_db(T x, T t, T level) const {
    return -PinballSides<T>(level).slope(x - t);
  }
};

void check_level(double tau) {
  require_option(PinballTexts::op, "tau", tau, tau > 0 && tau < 1,
                 "between 0 and 1, both excluded");
}

struct NonCrossing {
  static constexpr std::string_view op = "quantile_noncrossing",
                                    formula =
                                        "q₁ = r₁, q_k = q₁ + softplus(r₂) + ... + softplus(r_k)",
                                    gradient = "dr₁ = Σ g, dr_j = σ(r_j) · Σ over k >= j of g_k";
};

struct Crossing {
  static constexpr std::string_view op = "quantile_crossing_penalty",
                                    formula = "y = max(0, q_k - q_(k+1)), reduced",
                                    gradient = "dq_k = g / n, dq_(k+1) = -g / n where they cross";
  template <class T>
  T value(T d) const {
    return math::max(d, T(0));
  }
  template <class T>
  T slope(T d) const {
    return math::select(d > T(0), T(1), T(0));
  }
};

}  // namespace

Tensor quantile_loss(const Tensor& input, const Tensor& target, double tau,
                     const ReductionOptions& options) {
  check_level(tau);
  return reduced(OfError<Pinball>{{{}, signed_level(tau)}}, options.reduction, input, target);
}

Tensor quantile_loss(const Tensor& input, const Tensor& target, const std::vector<double>& taus,
                     const ReductionOptions& options) {
  constexpr std::string_view op = PinballTexts::op;
  require_defined(op, {&input, &target});
  require_same_dtype(op, input, target);
  refuse_batchmean(op, options.reduction);
  for (const double tau : taus) check_level(tau);
  Shape column = target.sizes();
  column.push_back(static_cast<std::int64_t>(taus.size()));
  require<ShapeError>(input.sizes() == column,
                      "{}: input is {} for targets {} and {} levels; it must be {}, a column for "
                      "each level",
                      op, input.sizes(), target.sizes(), taus.size(), column);
  column[column.size() - 1] = 1;
  std::vector<double> signed_levels(taus);
  for (double& level : signed_levels) level = signed_level(level);
  const Tensor levels = from_vector(signed_levels).to(input.dtype());
  return composite<PinballTexts>(
      [levels, column, how = options.reduction](const Tensor& x, const Tensor& t) {
        return reduced(PinballOfLevels(), how, x, t.view(column).expand(x.sizes()),
                       levels.expand(x.sizes()));
      },
      input, target);
}

Tensor quantile_noncrossing(const Tensor& raw) {
  require_defined(NonCrossing::op, {&raw});
  if (!raw.is_floating_point()) refuse_dtype(NonCrossing::op, raw.dtype(), "float32 or float64");
  require<ShapeError>(raw.dim() > 0 && raw.size(-1) > 0,
                      "{}: the input is {}; its last dim must hold at least one number",
                      NonCrossing::op, raw.sizes());
  return composite<NonCrossing>(
      [](const Tensor& r) {
        constexpr double kNever = std::numeric_limits<double>::infinity();
        const Tensor steps = softplus(r.narrow(-1, 1, r.size(-1) - 1), /*beta=*/1, kNever);
        return cumsum(cat({r.narrow(-1, 0, 1), steps}, -1), -1);
      },
      raw);
}

Tensor quantile_crossing_penalty(const Tensor& input, const ReductionOptions& options) {
  require_defined(Crossing::op, {&input});
  if (!input.is_floating_point()) refuse_dtype(Crossing::op, input.dtype(), "float32 or float64");
  refuse_batchmean(Crossing::op, options.reduction);
  require<ShapeError>(input.dim() > 0 && input.size(-1) > 1,
                      "{}: the input is {}; its last dim must hold two quantiles or more",
                      Crossing::op, input.sizes());
  return composite<Crossing>(
      [how = options.reduction](const Tensor& q) {
        const std::int64_t pairs = q.size(-1) - 1;
        return reduced(OfError<Crossing>(), how, q.narrow(-1, 0, pairs), q.narrow(-1, 1, pairs));
      },
      input);
}

}  // namespace retrace::losses
