#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/comparison.h>

#include <algorithm>
#include <functional>

namespace retrace {
namespace {

template <class Op>
Tensor compare(std::string_view op, const Tensor& a, const Tensor& b) {
  require_defined(op, {&a, &b});
  require_same_dtype(op, a, b);
  Tensor y = empty(broadcast_shapes(op, a.sizes(), b.sizes()), kBool);
  visit(a.dtype(),
        [&]<class T>() { kernels::map<bool, T, T>([](T u, T v) { return Op()(u, v); }, y, a, b); });
  return y;
}

template <class Op>
Tensor compare(std::string_view op, const Tensor& a, Scalar b) {
  require_defined(op, {&a});
  require<DTypeError>(a.dtype() != kBool || b.as_double() == 0.0 || b.as_double() == 1.0,
                      "{}: a bool tensor {} is compared with {}; convert it with .to(kInt64)", op,
                      a.sizes(), b.as_double());
  Tensor y = empty(a.sizes(), kBool);
  visit(a.dtype(), [&]<class T>() {
    const T number = b.to<T>(op);
    kernels::map<bool, T>([number](T u) { return Op()(u, number); }, y, a);
  });
  return y;
}

struct And {
  template <class T>
  bool operator()(T a, T b) const {
    return static_cast<bool>((a != T(0)) & (b != T(0)));
  }
};
struct Or {
  template <class T>
  bool operator()(T a, T b) const {
    return static_cast<bool>((a != T(0)) | (b != T(0)));
  }
};
struct Xor {
  template <class T>
  bool operator()(T a, T b) const {
    return (a != T(0)) != (b != T(0));
  }
};

/// f on each element, to bool.
template <class F>
Tensor test(std::string_view op, const Tensor& x, F f) {
  require_defined(op, {&x});
  Tensor y = empty(x.sizes(), kBool);
  visit(x.dtype(), [&]<class T>() { kernels::map<bool, T>([f](T v) { return f(v); }, y, x); });
  return y;
}

/// f on each floating element; `otherwise` for whole numbers and bools.
template <class F>
Tensor test_floating(std::string_view op, const Tensor& x, bool otherwise, F f) {
  return test(op, x, [f, otherwise]<class T>(T v) {
    if constexpr (std::is_floating_point_v<T>) {
      return f(v);
    } else {
      return otherwise;
    }
  });
}

}  // namespace

Tensor eq(const Tensor& a, const Tensor& b) { return compare<std::equal_to<>>("eq", a, b); }
Tensor eq(const Tensor& a, Scalar b) { return compare<std::equal_to<>>("eq", a, b); }
Tensor ne(const Tensor& a, const Tensor& b) { return compare<std::not_equal_to<>>("ne", a, b); }
Tensor ne(const Tensor& a, Scalar b) { return compare<std::not_equal_to<>>("ne", a, b); }
Tensor lt(const Tensor& a, const Tensor& b) { return compare<std::less<>>("lt", a, b); }
Tensor lt(const Tensor& a, Scalar b) { return compare<std::less<>>("lt", a, b); }
Tensor le(const Tensor& a, const Tensor& b) { return compare<std::less_equal<>>("le", a, b); }
Tensor le(const Tensor& a, Scalar b) { return compare<std::less_equal<>>("le", a, b); }
Tensor gt(const Tensor& a, const Tensor& b) { return compare<std::greater<>>("gt", a, b); }
Tensor gt(const Tensor& a, Scalar b) { return compare<std::greater<>>("gt", a, b); }
Tensor ge(const Tensor& a, const Tensor& b) { return compare<std::greater_equal<>>("ge", a, b); }
Tensor ge(const Tensor& a, Scalar b) { return compare<std::greater_equal<>>("ge", a, b); }

Tensor logical_and(const Tensor& a, const Tensor& b) { return compare<And>("logical_and", a, b); }
Tensor logical_or(const Tensor& a, const Tensor& b) { return compare<Or>("logical_or", a, b); }
Tensor logical_xor(const Tensor& a, const Tensor& b) { return compare<Xor>("logical_xor", a, b); }
Tensor logical_not(const Tensor& x) {
  return test("logical_not", x, []<class T>(T v) { return v == T(0); });
}

Tensor isnan(const Tensor& x) {
  return test_floating("isnan", x, false, [](auto v) { return v != v; });
}
Tensor isinf(const Tensor& x) {
  return test_floating("isinf", x, false, []<class T>(T v) {
    return math::abs(v) == std::numeric_limits<T>::infinity();
  });
}
Tensor isfinite(const Tensor& x) {
  return test_floating("isfinite", x, true, []<class T>(T v) {
    return math::abs(v) < std::numeric_limits<T>::infinity();
  });
}

namespace {

/// |a - b|. That of whole numbers is exact before it becomes a double: it fits 64 bits unsigned.
template <class T>
double distance_of(T a, T b) {
  if constexpr (std::is_same_v<T, std::int64_t>) {
    const auto difference = static_cast<std::uint64_t>(math::minus(a, b));
    return static_cast<double>(a < b ? -difference : difference);
  } else {
    return std::fabs(static_cast<double>(a) - static_cast<double>(b));
  }
}

Tensor where_close(std::string_view op, const Tensor& a, const Tensor& b, double rtol, double atol,
                   bool equal_nan) {
  require_defined(op, {&a, &b});
  require_same_dtype(op, a, b);
  require<ValueError>(rtol >= 0.0 && atol >= 0.0,
                      "{}: rtol {} and atol {} must not be negative; give 0 or more", op, rtol,
                      atol);
  Tensor y = empty(broadcast_shapes(op, a.sizes(), b.sizes()), kBool);
  visit_number(a.dtype(), op, [&]<class T>() {
    kernels::map<bool, T, T>(
        [=](T u, T v) {
          const auto p = static_cast<double>(u), q = static_cast<double>(v);
          const double distance = distance_of(u, v);
          // An infinite distance is not within an infinite tolerance.
          const bool near = (distance <= atol + rtol * std::fabs(q)) &
                            (distance < std::numeric_limits<double>::infinity());
          return static_cast<bool>(near | (u == v) | (equal_nan & (p != p) & (q != q)));
        },
        y, a, b);
  });
  return y;
}

}  // namespace

Tensor isclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  return where_close("isclose", a, b, rtol, atol, equal_nan);
}

bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
  const Tensor close = where_close("allclose", a, b, rtol, atol, equal_nan);
  const bool* first = elements<bool>(close);
  return std::all_of(first, first + close.numel(), [](bool near) { return near; });
}

}  // namespace retrace
