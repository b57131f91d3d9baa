#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/selection.h>

#include <limits>

namespace retrace {
namespace {

// where, masked_fill ---------------------------------------------------------------------------

void require_mask(std::string_view op, const Tensor& mask) {
  require<DTypeError>(mask.dtype() == kBool,
                      "{}: the mask {} is {}, it must be bool; compare first, such as mask != 0",
                      op, mask.sizes(), mask.dtype());
}

/// x, or `value` where the mask is `When`; unrecorded.
template <bool When>
Tensor filled(std::string_view op, const Tensor& x, const Tensor& mask, Scalar value) {
  require_defined(op, {&x, &mask});
  require_mask(op, mask);
  value.require_held(op, x.dtype());
  Tensor y = empty(broadcast_shapes(op, x.sizes(), mask.sizes()), x.dtype());
  visit(x.dtype(), [&]<class T>() {
    const T number = value.to<T>(op);
    kernels::map<T, T, bool>([number](T v, bool m) { return math::select(m == When, number, v); },
                             y, x, mask);
  });
  return y;
}

struct MaskedFillNode final : NodeOf<MaskedFillNode> {
  static constexpr std::string_view op = "masked_fill",
                                    formula = "y = value where the mask, else x",
                                    gradient = "dx = 0 where the mask, else g";
  static constexpr bool elementwise = true;
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, masked_fill(g, saved_extra(), 0));
  }
};

struct WhereNode final : NodeOf<WhereNode> {
  static constexpr std::string_view op = "where", formula = "y = a where the condition, else b",
                                    gradient = "da = g where the condition, db = g elsewhere";
  static constexpr bool elementwise = true;
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor condition = saved_extra();
    if (gradients.wants(0)) gradients.give(0, where(condition, g, 0));
    if (gradients.wants(1)) gradients.give(1, where(condition, 0, g));
  }
};

/// `a` or `b` may be undefined: a number was there, which wants no gradient.
Tensor recorded_where(Tensor y, const Tensor& condition, const Tensor& a, const Tensor& b) {
  return record<WhereNode>(std::move(y), {&a, &b},
                           [&](WhereNode& node) { node.save_extra(condition); });
}

// clamp ----------------------------------------------------------------------------------------

struct Clamp {
  static constexpr std::string_view op = "clamp", formula = "y = min(max(x, lower), upper)",
                                    gradient = "dx = g where lower ≤ x ≤ upper, else 0";
  static constexpr bool numbers = true, gates = true;
  Scalar lower, upper;
  template <class T>
  T y(T x) const {
    const T low = lower.as<T>(), high = upper.as<T>();
    return math::select(x < low, low, math::select(x > high, high, x));
  }
  template <class T>
  T dy_dx(T x) const {
    return math::select(x >= lower.as<T>() && x <= upper.as<T>(), T(1), T(0));
  }
};

Clamp bounds(std::string_view op, const Tensor& x, std::optional<Scalar> min,
             std::optional<Scalar> max) {
  require_defined(op, {&x});
  require<ValueError>(min || max, "{}: no bound is given for {} {}; give min, max, or both", op,
                      x.dtype(), x.sizes());
  using Whole = std::numeric_limits<std::int64_t>;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const bool whole = x.dtype() == kInt64;
  Clamp rule{min.value_or(whole ? Scalar(Whole::min()) : Scalar(-kInfinity)),
             max.value_or(whole ? Scalar(Whole::max()) : Scalar(kInfinity))};
  const bool ordered = whole ? rule.lower.to<std::int64_t>(op) <= rule.upper.to<std::int64_t>(op)
                             : rule.lower.as_double() <= rule.upper.as_double();
  require<ValueError>(ordered, "{}: min {} is not at most max {} for {} {}; exchange them", op,
                      rule.lower.as_double(), rule.upper.as_double(), x.dtype(), x.sizes());
  return rule;
}

}  // namespace

Tensor masked_fill(const Tensor& x, const Tensor& mask, Scalar value) {
  require_defined("masked_fill", {&x, &mask});
  return record<MaskedFillNode>(filled<true>("masked_fill", x, mask, value), {&x},
                                [&](MaskedFillNode& node) { node.save_extra(mask); });
}

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  require_defined("where", {&condition, &a, &b});
  require_mask("where", condition);
  require_same_dtype("where", a, b);
  const Shape sizes = broadcast_shapes("where", a.sizes(), b.sizes());
  Tensor y = empty(broadcast_shapes("where", condition.sizes(), sizes), a.dtype());
  visit(a.dtype(), [&]<class T>() {
    kernels::map<T, bool, T, T>([](bool c, T u, T v) { return math::select(c, u, v); }, y,
                                condition, a, b);
  });
  return recorded_where(std::move(y), condition, a, b);
}

Tensor where(const Tensor& condition, const Tensor& a, Scalar b) {
  return recorded_where(filled<false>("where", a, condition, b), condition, a, {});
}

Tensor where(const Tensor& condition, Scalar a, const Tensor& b) {
  return recorded_where(filled<true>("where", b, condition, a), condition, {}, b);
}

Tensor where(const Tensor& condition, Scalar a, Scalar b) {
  const DType dtype = a.is_integer() && b.is_integer() ? kInt64 : kFloat32;
  b.require_held("where", dtype);
  return filled<true>("where", full_unchecked({}, b, dtype), condition, a);
}

Tensor clamp(const Tensor& x, std::optional<Scalar> min, std::optional<Scalar> max) {
  return unary(x, bounds("clamp", x, min, max));
}

Tensor Tensor::masked_fill(const Tensor& mask, Scalar value) const {
  return retrace::masked_fill(*this, mask, value);
}
Tensor Tensor::clamp(std::optional<Scalar> min, std::optional<Scalar> max) const {
  return retrace::clamp(*this, min, max);
}

}  // namespace retrace
