#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>

namespace retrace {
namespace {

// Two tensors: the gradients are tensor ops themselves ------------------------------------------

struct AddNode final : NodeOf<AddNode> {
  static constexpr std::string_view op = "add", formula = "y = a + α·b",
                                    gradient = "da = g, db = α · g";
  static constexpr bool elementwise = true;
  explicit AddNode(Scalar s) : alpha(s) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, g);
    if (gradients.wants(1)) gradients.give(1, alpha.as_double() == 1.0 ? g : mul(g, alpha));
  }
  Scalar alpha;
};

struct SubNode final : NodeOf<SubNode> {
  static constexpr std::string_view op = "sub", formula = "y = a - α·b",
                                    gradient = "da = g, db = -α · g";
  static constexpr bool elementwise = true;
  explicit SubNode(Scalar s) : alpha(s) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, g);
    if (gradients.wants(1))
      gradients.give(1, alpha.as_double() == 1.0 ? neg(g) : neg(mul(g, alpha)));
  }
  Scalar alpha;
};

struct MulNode final : NodeOf<MulNode> {
  static constexpr std::string_view op = "mul", formula = "y = a · b",
                                    gradient = "da = g · b, db = g · a";
  static constexpr bool elementwise = true;
  void backward(const Tensor& g, Gradients& gradients) override {
    if (gradients.wants(0)) gradients.give(0, mul(g, saved_input(1)));
    if (gradients.wants(1)) gradients.give(1, mul(g, saved_input(0)));
  }
};

struct DivNode final : NodeOf<DivNode> {
  static constexpr std::string_view op = "div", formula = "y = a / b",
                                    gradient = "da = g / b, db = -g · y / b";
  static constexpr bool elementwise = true;
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor b = saved_input(1);
    if (gradients.wants(0)) gradients.give(0, div(g, b));
    if (gradients.wants(1)) gradients.give(1, to_divisor(g, saved_output(), b));
  }
  static Tensor to_divisor(const Tensor& g, const Tensor& y, const Tensor& b) {
    if (GradMode::is_enabled())  // in double, whose range holds products of float32
      return neg(div(mul(g.to(kFloat64), y.to(kFloat64)), b.to(kFloat64))).to(g.dtype());
    const Tensor d = empty(g.sizes(), g.dtype());
    visit_float(g.dtype(), op, [&]<class T>() {
      kernels::map<T, T, T, T>([](T u, T v, T w) { return -product_by(u, v, w); }, d, g, y, b);
    });
    return d;
  }
  /// u v / w: the product first, unless it overflows or vanishes; then u / w does not.
  template <class T>
  static T product_by(T u, T v, T w) {
    using Range = std::numeric_limits<T>;
    const T product = u * v, size = math::abs(product);
    const bool fits = (size >= Range::min() && size <= Range::max()) || v == T(0);
    return math::select(fits, product, u) / w * math::select(fits, T(1), v);
  }
};

struct Add {
  static constexpr std::string_view op = "add";
  static constexpr bool numbers = true;
  template <class T>
  T y(T a, T b) const {
    return math::plus(a, b);
  }
};
struct Sub {
  static constexpr std::string_view op = "sub";
  static constexpr bool numbers = true;
  template <class T>
  T y(T a, T b) const {
    return math::minus(a, b);
  }
};
template <class Op>
struct WithAlpha {
  static constexpr std::string_view op = Op::op;
  static constexpr bool numbers = true;
  Scalar alpha;
  template <class T>
  T y(T a, T b) const {
    return Op().y(a, math::times(alpha.as<T>(), b));
  }
};
struct Mul {
  static constexpr std::string_view op = "mul";
  static constexpr bool numbers = true;
  template <class T>
  T y(T a, T b) const {
    return math::times(a, b);
  }
};
struct Div {
  static constexpr std::string_view op = "div";
  static constexpr bool numbers = true;
  template <class T>
  T y(T a, T b) const {
    return math::quotient(a, b);
  }
};

template <class Op>
Tensor with_alpha(const Tensor& a, const Tensor& b, Scalar alpha) {
  if (alpha.as_double() == 1.0) return binary_value(a, b, Op());
  require_defined(Op::op, {&a, &b});
  if (a.dtype() == kInt64) alpha.to<std::int64_t>(Op::op);
  return binary_value(a, b, WithAlpha<Op>{alpha});
}

// Whole numbers by zero are an error.
void require_divisors(std::string_view op, const Tensor& a, const Tensor& b) {
  require_defined(op, {&a, &b});
  if (b.dtype() != kInt64) return;
  const Tensor divisors = as_contiguous(b);
  const auto* d = elements<std::int64_t>(divisors);
  for (std::int64_t i = 0; i < b.numel(); ++i)
    require<ValueError>(
        d[i] != 0,
        "{}: {} / {} (int64), the divisor has a 0 at element {}; mask it or convert "
        "to float32",
        op, a.sizes(), b.sizes(), i);
}

// A tensor and a number -------------------------------------------------------------------------

struct AddNumber {
  static constexpr std::string_view op = "add", formula = "y = x + c", gradient = "dx = g";
  static constexpr bool numbers = true;
  Scalar c;
  template <class T>
  T y(T x) const {
    return math::plus(x, c.as<T>());
  }
  template <class T>
  T dy_dx() const {
    return T(1);
  }
};

struct SubNumber {
  static constexpr std::string_view op = "sub", formula = "y = x - c", gradient = "dx = g";
  static constexpr bool numbers = true;
  Scalar c;
  template <class T>
  T y(T x) const {
    return math::minus(x, c.as<T>());
  }
  template <class T>
  T dy_dx() const {
    return T(1);
  }
};

struct MulNumber {
  static constexpr std::string_view op = "mul", formula = "y = x · c", gradient = "dx = g · c";
  static constexpr bool numbers = true;
  Scalar c;
  template <class T>
  T y(T x) const {
    return math::times(x, c.as<T>());
  }
  template <class T>
  T dy_dx() const {
    return c.as<T>();
  }
};

struct SubFromNumber {
  static constexpr std::string_view op = "rsub", formula = "y = c - x", gradient = "dx = -g";
  static constexpr bool numbers = true;
  Scalar c;
  template <class T>
  T y(T x) const {
    return math::minus(c.as<T>(), x);
  }
  template <class T>
  T dy_dx() const {
    return T(-1);
  }
};

struct DivByNumber {
  static constexpr std::string_view op = "div";
  static constexpr bool numbers = true;
  Scalar c;
  template <class T>
  T y(T x) const {
    return math::quotient(x, c.as<T>());
  }
};

// Not a ScalingNode: 1 / c may overflow where g / c does not.
struct DivByNumberNode final : NodeOf<DivByNumberNode> {
  static constexpr std::string_view op = "div", formula = "y = x / c", gradient = "dx = g / c";
  static constexpr bool elementwise = true;
  explicit DivByNumberNode(Scalar s) : c(s) {}
  void backward(const Tensor& g, Gradients& gradients) override { gradients.give(0, div(g, c)); }
  Scalar c;
};

struct DivNumberBy {
  static constexpr std::string_view op = "rdiv", formula = "y = c / x",
                                    gradient = "dx = -g · c / x²";
  static constexpr bool numbers = true;
  Scalar c;
  template <class T>
  T y(T x) const {
    return math::quotient(c.as<T>(), x);
  }
  template <class T>
  T dy_dx(T x) const {
    return -(c.as<T>() / x) / x;  // x² may be 0 or infinite
  }
};

struct Neg {
  static constexpr std::string_view op = "neg", formula = "y = -x", gradient = "dx = -g";
  static constexpr bool numbers = true;
  template <class T>
  T y(T x) const {
    return std::is_same_v<T, std::int64_t> ? math::minus(T(0), x) : -x;
  }
  template <class T>
  T dy_dx() const {
    return T(-1);
  }
};

template <class Rule>
Tensor with_number(const Tensor& x, Scalar c) {
  require_defined(Rule::op, {&x});
  if (x.dtype() == kInt64) c.to<std::int64_t>(Rule::op);
  return unary(x, Rule{c});
}

}  // namespace

Tensor scale(const Tensor& x, Scalar factor) { return mul(x, factor); }

Tensor add(const Tensor& a, const Tensor& b, Scalar alpha) {
  return record<AddNode>(
      with_alpha<Add>(a, b, alpha), {&a, &b}, [](AddNode&) {}, alpha);
}

Tensor sub(const Tensor& a, const Tensor& b, Scalar alpha) {
  return record<SubNode>(
      with_alpha<Sub>(a, b, alpha), {&a, &b}, [](SubNode&) {}, alpha);
}

Tensor mul(const Tensor& a, const Tensor& b) {
  return record<MulNode>(binary_value(a, b, Mul()), {&a, &b}, [&](MulNode& node) {
    if (node.wants(1)) node.save_input(0, a);
    if (node.wants(0)) node.save_input(1, b);
  });
}

Tensor div(const Tensor& a, const Tensor& b) {
  require_divisors("div", a, b);
  Tensor y = binary_value(a, b, Div());
  return record<DivNode>(y, {&a, &b}, [&](DivNode& node) {
    node.save_input(1, b);
    if (node.wants(1)) node.save_output(y);
  });
}

Tensor add(const Tensor& a, Scalar b) { return with_number<AddNumber>(a, b); }
Tensor sub(const Tensor& a, Scalar b) { return with_number<SubNumber>(a, b); }
Tensor rsub(const Tensor& a, Scalar b) { return with_number<SubFromNumber>(a, b); }
Tensor mul(const Tensor& a, Scalar b) { return with_number<MulNumber>(a, b); }
Tensor neg(const Tensor& x) { return unary(x, Neg()); }

Tensor div(const Tensor& a, Scalar b) {
  require_defined("div", {&a});
  require<ValueError>(a.dtype() != kInt64 || b.as_double() != 0.0,
                      "div: an int64 tensor {} is divided by 0; convert it to float32 first",
                      a.sizes());
  if (a.dtype() == kInt64) b.to<std::int64_t>("div");
  return record<DivByNumberNode>(
      unary_value(a, DivByNumber{b}), {&a}, [](DivByNumberNode&) {}, b);
}

Tensor rdiv(const Tensor& x, Scalar a) {
  require_divisors("rdiv", x, x);
  return with_number<DivNumberBy>(x, a);
}

}  // namespace retrace
