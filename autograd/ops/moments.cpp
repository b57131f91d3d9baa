#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/extremum.h>
#include <retrace/autograd/ops/moments.h>
#include <retrace/autograd/ops/reduced.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/tensor/kernels/reduce.h>

#include <cmath>

namespace retrace {
namespace {

// Powers that are 0 at 0 -------------------------------------------------------------------------
//
// The derivatives of norms and standard deviations at 0 are taken to be 0; these powers and shares
// carry that through every further derivative.

template <bool Signed>
Tensor power_of_magnitude(const Tensor& x, double exponent);

/// y = |x|^q, or sign(x) |x|^q; 0 at 0. The derivative of one kind is of the other.
template <bool Signed>
struct PowerNode final : NodeOf<PowerNode<Signed>> {
  static constexpr std::string_view op = "power_of_magnitude",
                                    formula = Signed ? "y = sign(x) · |x|^q" : "y = |x|^q",
                                    gradient = Signed ? "dx = g · q · |x|^(q-1)"
                                                      : "dx = g · q · sign(x) · |x|^(q-1)";
  explicit PowerNode(double q) : exponent(q) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor slope = power_of_magnitude<!Signed>(this->saved_input(0), exponent - 1);
    gradients.give(0, mul(g, mul(slope, exponent)));
  }
  double exponent;
};

template <bool Signed, class T>
T power_at(T x, T exponent) {
  const T size = std::abs(x);
  const T power = exponent == T(-1)  ? T(1) / size
                  : exponent == T(0) ? T(1)
                  : exponent == T(1) ? size
                                     : std::pow(size, exponent);
  return size == T(0) ? T(0) : Signed ? std::copysign(power, x) : power;
}

template <bool Signed>
Tensor power_of_magnitude(const Tensor& x, double exponent) {
  Tensor y = empty(x.sizes(), x.dtype());
  visit_float(x.dtype(), "power_of_magnitude", [&]<class T>() {
    const T q = static_cast<T>(exponent);
    kernels::map<T, T>([q](T v) { return power_at<Signed>(v, q); }, y, x);
  });
  return record<PowerNode<Signed>>(
      std::move(y), {&x}, [&](auto& node) { node.save_input(0, x); }, exponent);
}

/// x / y, 0 where y is 0, y being a root of a sum of powers of x. (1 / y may be infinite where that
/// is not.)
Tensor share_of_root(const Tensor& x, const Tensor& y) {
  const Tensor none = without_recording([&] { return eq(y, 0.0); });
  return div(x, masked_fill(y, none, std::numeric_limits<double>::infinity()));
}

// Roots of sums of powers ------------------------------------------------------------------------

template <class T>
struct LargestMagnitude {
  T initial() const { return 0; }
  T step(T acc, T x) const { return math::max(acc, std::abs(x)); }
  T combine(T a, T b) const { return math::max(a, b); }
  T finish(T acc) const { return acc; }
};

template <class T>
struct SmallestMagnitude {
  T initial() const { return std::numeric_limits<T>::infinity(); }
  T step(T acc, T x) const { return math::min(acc, std::abs(x)); }
  T combine(T a, T b) const { return math::min(a, b); }
  T finish(T acc) const { return acc; }
};

/// y = the root of a sum of |x|^p, as `root` reduces it. Where powers leave the range of double,
/// they are taken of x / s, s being the power of two below the largest |x|, for p < 0 the smallest.
template <class T, class Root>
void root_of_powers(const Root& root, double p, const Tensor& y, const Tensor& x,
                    const Reduced& reduced) {
  kernels::reduce<T, T>(root, y, x, reduced.marked);
  using Limits = std::numeric_limits<T>;
  const auto [least, most] = std::minmax({std::pow(1e-290, 1 / p), std::pow(1e308, 1 / p)});
  if (least < Limits::denorm_min() && most > Limits::max()) return;
  const auto lost = [least = static_cast<T>(least), most = static_cast<T>(most)](T v) {
    return v < least || v > most;
  };
  T* const out = elements<T>(y);
  if (std::none_of(out, out + y.numel(), lost)) return;
  const Tensor scale = empty(reduced.kept_as_one, x.dtype());
  if (p > 0) {
    kernels::reduce<T, T>(LargestMagnitude<T>(), scale, x, reduced.marked);
  } else {
    kernels::reduce<T, T>(SmallestMagnitude<T>(), scale, x, reduced.marked);
  }
  kernels::map<T, T>([](T v) { return std::exp2(std::logb(v)); }, scale, scale);
  const Tensor scaled = empty(x.sizes(), x.dtype()), roots = empty(y.sizes(), y.dtype());
  kernels::map<T, T, T>([](T v, T s) { return v / s; }, scaled, x, scale);
  kernels::reduce<T, T>(root, roots, scaled, reduced.marked);
  const T *s = elements<const T>(scale), *of_scaled = elements<const T>(roots);
  for (std::int64_t i = 0; i < y.numel(); ++i)
    if (lost(out[i]) && s[i] > T(0) && s[i] <= Limits::max()) out[i] = s[i] * of_scaled[i];
}

// Variance ----------------------------------------------------------------------------------------

struct PlainSum {
  double initial() const { return 0; }
  double combine(double a, double b) const { return a + b; }
};

template <class T>
struct Mean : PlainSum {
  double count;
  explicit Mean(std::int64_t n) : count(static_cast<double>(n)) {}
  double step(double acc, T x) const { return acc + static_cast<double>(x); }
  double finish(double acc) const { return acc / count; }
};

/// y = x - mean x. The mean of doubles is rounded itself: what is left of it is taken out, too,
/// which leaves nothing of numbers that are equal.
template <class T>
void centre(const Tensor& y, const Tensor& x, const Reduced& reduced) {
  const Tensor means = empty(reduced.kept_as_one, kFloat64);
  const auto take_out_mean = [&](const Tensor& of) {
    kernels::reduce<T, double>(Mean<T>(reduced.count), means, of, reduced.marked);
    kernels::map<T, T, double>(
        [](T a, double m) { return static_cast<T>(static_cast<double>(a) - m); }, y, of, means);
  };
  take_out_mean(x);
  if (std::is_same_v<T, double>) take_out_mean(y);
}

Tensor centred(const Tensor& x, const Shape& dims);

struct CentredNode final : NodeOf<CentredNode> {
  static constexpr std::string_view op = "centred", formula = "y = x - mean x",
                                    gradient = "dx = g - mean g";
  explicit CentredNode(const Shape& d) : dims(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, centred(g, dims));
  }
  Shape dims;
};

/// x - mean x, for the gradients.
Tensor centred(const Tensor& x, const Shape& dims) {
  const Reduced reduced(CentredNode::op, x, &dims);
  Tensor y = empty(x.sizes(), x.dtype());
  visit_float(x.dtype(), CentredNode::op, [&]<class T>() { centre<T>(y, x, reduced); });
  return record<CentredNode>(
      std::move(y), {&x}, [](CentredNode&) {}, dims);
}

template <class T>
struct MeanSquare : PlainSum {
  double divisor;
  explicit MeanSquare(double d) : divisor(d) {}
  double step(double acc, T x) const {
    return acc + static_cast<double>(x) * static_cast<double>(x);
  }
  T finish(double acc) const { return static_cast<T>(acc / divisor); }
};

template <class T>
struct RootMeanSquare : MeanSquare<T> {
  using MeanSquare<T>::MeanSquare;
  T finish(double acc) const { return static_cast<T>(std::sqrt(acc / this->divisor)); }
};

struct Moment {
  Shape kept_as_one, dims;
  double divisor;
};

struct VarNode final : NodeOf<VarNode> {
  static constexpr std::string_view op = "var", formula = "y = Σ (x - mean x)² / (n - 1)",
                                    gradient = "dx = g · 2 (x - mean x) / (n - 1)";
  explicit VarNode(const Moment& m) : moment(m) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor spread = div(mul(g, 2), moment.divisor).reshape(moment.kept_as_one);
    gradients.give(0, mul(spread, centred(saved_input(0), moment.dims)));
  }
  Moment moment;
};

struct StdNode final : NodeOf<StdNode> {
  static constexpr std::string_view op = "std", formula = "y = √(Σ (x - mean x)² / (n - 1))",
                                    gradient = "dx = g · (x - mean x) / ((n - 1) · y)";
  explicit StdNode(const Moment& m) : moment(m) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor spread = div(g, moment.divisor).reshape(moment.kept_as_one);
    const Tensor y = saved_output().reshape(moment.kept_as_one);
    gradients.give(0, mul(spread, share_of_root(centred(saved_input(0), moment.dims), y)));
  }
  Moment moment;
};

template <class N>
Tensor moment_over(const Tensor& x, const Shape* dims, bool unbiased, bool keepdim) {
  require_defined(N::op, {&x});
  const Reduced reduced(N::op, x, dims);
  const auto count = static_cast<double>(reduced.count);
  const double divisor = std::max(count - (unbiased ? 1.0 : 0.0), 0.0);
  Tensor y = empty(reduced.sizes(keepdim), x.dtype());
  visit_float(x.dtype(), N::op, [&]<class T>() {
    const Tensor offsets = empty(x.sizes(), x.dtype());
    centre<T>(offsets, x, reduced);
    if constexpr (std::is_same_v<N, StdNode>) {
      root_of_powers<T>(RootMeanSquare<T>(divisor), 2, y, offsets, reduced);
    } else {
      kernels::reduce<T, T>(MeanSquare<T>(divisor), y, offsets, reduced.marked);
    }
  });
  return record<N>(
      y, {&x},
      [&](N& node) {
        node.save_input(0, x);
        if constexpr (std::is_same_v<N, StdNode>) node.save_output(y);
      },
      Moment{reduced.kept_as_one, reduced.dims, divisor});
}

// Norms -------------------------------------------------------------------------------------------

// Σ |x|^p for any finite p; those for 1 and 2 apart, so that their loops are vectorised.

template <class T>
struct MagnitudeSum : PlainSum {
  double step(double acc, T x) const { return acc + std::abs(static_cast<double>(x)); }
  T finish(double acc) const { return static_cast<T>(acc); }
};

template <class T>
struct PowerSum : PlainSum {
  double p;
  explicit PowerSum(double exponent) : p(exponent) {}
  double step(double acc, T x) const {
    const double size = std::abs(static_cast<double>(x));
    return acc + (p == 0 ? static_cast<double>(size != 0) : std::pow(size, p));
  }
  T finish(double acc) const { return static_cast<T>(p == 0 ? acc : std::pow(acc, 1 / p)); }
};

struct NormNode final : NodeOf<NormNode> {
  static constexpr std::string_view op = "norm", formula = "y = (Σ |x|^p)^(1/p)",
                                    gradient = "dx = g · sign(x) · (|x| / y)^(p-1)";
  NormNode(double exponent, const Reduced& reduced)
      : p(exponent), kept_as_one(reduced.kept_as_one), dims(reduced.dims) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor x = saved_input(0), spread = g.reshape(kept_as_one);
    if (p == 0) {
      gradients.give(0, zeros(x.sizes(), x.dtype()));
    } else if (p == 1) {
      gradients.give(0, mul(spread, power_of_magnitude<true>(x, 0)));
    } else if (std::isinf(p)) {
      gradients.give(0, mul(spread, without_recording([&] { return share_of_ties(x); })));
    } else {
      const Tensor share = share_of_root(x, saved_output().reshape(kept_as_one));
      gradients.give(0, mul(spread, p == 2 ? share : power_of_magnitude<true>(share, p - 1)));
    }
  }
  /// sign(x) / number of ties where |x| = y, 0 elsewhere.
  Tensor share_of_ties(const Tensor& x) const {
    const Tensor y = saved_output().reshape(kept_as_one);
    const Tensor tied = empty(x.sizes(), x.dtype()), ties = empty(x.sizes(), x.dtype());
    visit_float(x.dtype(), op, [&]<class T>() {
      kernels::map<T, T, T>([](T a, T b) { return std::abs(a) == b ? T(1) : T(0); }, ties, x, y);
      kernels::map<T, T, T>([](T a, T t) { return t * math::sign(a); }, tied, x, ties);
    });
    return div(tied, sum(ties, dims, /*keepdim=*/true));
  }
  double p;
  Shape kept_as_one, dims;
};

Tensor norm_over(const Tensor& x, double p, const Shape* dims, bool keepdim) {
  require_defined("norm", {&x});
  require<ValueError>(!std::isnan(p), "norm: p is NaN; give a number or an infinity");
  const Reduced reduced("norm", x, dims);
  require<ShapeError>(p >= 0 || !std::isinf(p) || reduced.count > 0 || reduced.kept.numel() == 0,
                      "norm: shape {} has no smallest magnitude; check numel() first", x.sizes());
  Tensor y = empty(reduced.sizes(keepdim), x.dtype());
  visit_float(x.dtype(), "norm", [&]<class T>() {
    if (p == 2) {
      root_of_powers<T>(RootMeanSquare<T>(1), p, y, x, reduced);
    } else if (p == 1) {
      kernels::reduce<T, T>(MagnitudeSum<T>(), y, x, reduced.marked);
    } else if (!std::isinf(p)) {
      root_of_powers<T>(PowerSum<T>(p), p, y, x, reduced);
    } else if (p > 0) {
      kernels::reduce<T, T>(LargestMagnitude<T>(), y, x, reduced.marked);
    } else {
      kernels::reduce<T, T>(SmallestMagnitude<T>(), y, x, reduced.marked);
    }
  });
  return record<NormNode>(
      y, {&x},
      [&](NormNode& node) {
        node.save_input(0, x);
        node.save_output(y);
      },
      p, reduced);
}

}  // namespace

Tensor var(const Tensor& x, bool unbiased) {
  return moment_over<VarNode>(x, nullptr, unbiased, false);
}
Tensor var(const Tensor& x, std::int64_t dim, bool unbiased, bool keepdim) {
  return var(x, Shape{dim}, unbiased, keepdim);
}
Tensor var(const Tensor& x, const Shape& dims, bool unbiased, bool keepdim) {
  return moment_over<VarNode>(x, &dims, unbiased, keepdim);
}

Tensor std(const Tensor& x, bool unbiased) {
  return moment_over<StdNode>(x, nullptr, unbiased, false);
}
Tensor std(const Tensor& x, std::int64_t dim, bool unbiased, bool keepdim) {
  return std(x, Shape{dim}, unbiased, keepdim);
}
Tensor std(const Tensor& x, const Shape& dims, bool unbiased, bool keepdim) {
  return moment_over<StdNode>(x, &dims, unbiased, keepdim);
}

Tensor norm(const Tensor& x, double p) { return norm_over(x, p, nullptr, false); }
Tensor norm(const Tensor& x, double p, std::int64_t dim, bool keepdim) {
  return norm(x, p, Shape{dim}, keepdim);
}
Tensor norm(const Tensor& x, double p, const Shape& dims, bool keepdim) {
  return norm_over(x, p, &dims, keepdim);
}

// Members
// -------------------------------------------------------------------------------------------

Tensor Tensor::var(bool unbiased) const { return retrace::var(*this, unbiased); }
Tensor Tensor::var(std::int64_t d, bool unbiased, bool keepdim) const {
  return retrace::var(*this, d, unbiased, keepdim);
}
Tensor Tensor::std(bool unbiased) const { return retrace::std(*this, unbiased); }
Tensor Tensor::std(std::int64_t d, bool unbiased, bool keepdim) const {
  return retrace::std(*this, d, unbiased, keepdim);
}
Tensor Tensor::norm(double p) const { return retrace::norm(*this, p); }
Tensor Tensor::norm(double p, std::int64_t d, bool keepdim) const {
  return retrace::norm(*this, p, d, keepdim);
}

}  // namespace retrace
