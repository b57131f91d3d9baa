#include <retrace/autograd/gradcheck.h>

#include <retrace/tests/autograd/pointwise.h>

namespace {

using namespace retrace;
using namespace retrace::testing;

using Unary = Tensor (*)(const Tensor&);
using Binary = Tensor (*)(const Tensor&, const Tensor&);

struct Case {
  const char* name;
  Unary op;
  double (*value)(double);
  double (*slope)(double);
  Numbers at;
};

constexpr double kLn2 = 0.69314718055994530942, kLn10 = 2.30258509299404568402;
const double kErfScale = 2 / std::sqrt(std::acos(-1.0));

const std::vector<Case>& cases() {
  static const Numbers any = {-3.25, -1, -0.125, 0.5, 2, 4.75};
  static const Numbers positive = {1e-3, 0.5, 1, 2, 77};
  static const Numbers unit = {-0.9, -0.25, 0, 0.5, 0.99};
  static const std::vector<Case> list = {
      {"exp", exp, [](double x) { return std::exp(x); }, [](double x) { return std::exp(x); }, any},
      {"expm1", expm1, [](double x) { return std::expm1(x); }, [](double x) { return std::exp(x); },
       any},
      {"log", log, [](double x) { return std::log(x); }, [](double x) { return 1 / x; }, positive},
      {"log2", log2, [](double x) { return std::log2(x); }, [](double x) { return 1 / (x * kLn2); },
       positive},
      {"log10", log10, [](double x) { return std::log10(x); },
       [](double x) { return 1 / (x * kLn10); }, positive},
      {"log1p", log1p, [](double x) { return std::log1p(x); }, [](double x) { return 1 / (1 + x); },
       positive},
      {"square", square, [](double x) { return x * x; }, [](double x) { return 2 * x; }, any},
      {"sqrt", sqrt, [](double x) { return std::sqrt(x); },
       [](double x) { return 0.5 / std::sqrt(x); }, positive},
      {"rsqrt", rsqrt, [](double x) { return 1 / std::sqrt(x); },
       [](double x) { return -0.5 / (x * std::sqrt(x)); }, positive},
      {"reciprocal", reciprocal, [](double x) { return 1 / x; },
       [](double x) { return -1 / (x * x); }, any},
      {"sin", sin, [](double x) { return std::sin(x); }, [](double x) { return std::cos(x); }, any},
      {"cos", cos, [](double x) { return std::cos(x); }, [](double x) { return -std::sin(x); },
       any},
      {"tan", tan, [](double x) { return std::tan(x); },
       [](double x) { return 1 / (std::cos(x) * std::cos(x)); }, any},
      {"asin", asin, [](double x) { return std::asin(x); },
       [](double x) { return 1 / std::sqrt(1 - x * x); }, unit},
      {"acos", acos, [](double x) { return std::acos(x); },
       [](double x) { return -1 / std::sqrt(1 - x * x); }, unit},
      {"atan", atan, [](double x) { return std::atan(x); },
       [](double x) { return 1 / (1 + x * x); }, any},
      {"sinh", sinh, [](double x) { return std::sinh(x); }, [](double x) { return std::cosh(x); },
       any},
      {"cosh", cosh, [](double x) { return std::cosh(x); }, [](double x) { return std::sinh(x); },
       any},
      {"erf", erf, [](double x) { return std::erf(x); },
       [](double x) { return kErfScale * std::exp(-x * x); }, any},
      {"erfc", erfc, [](double x) { return std::erfc(x); },
       [](double x) { return -kErfScale * std::exp(-x * x); }, any},
      {"abs", abs, [](double x) { return std::fabs(x); }, [](double x) { return x < 0 ? -1. : 1.; },
       any},
      {"sign", sign, [](double x) { return x < 0 ? -1. : 1.; }, [](double) { return 0.; }, any},
      {"floor", floor, [](double x) { return std::floor(x); }, [](double) { return 0.; }, any},
      {"ceil", ceil, [](double x) { return std::ceil(x); }, [](double) { return 0.; }, any},
      {"round", round, [](double x) { return std::nearbyint(x); }, [](double) { return 0.; }, any},
      {"trunc", trunc, [](double x) { return std::trunc(x); }, [](double) { return 0.; }, any},
  };
  return list;
}

TEST_CASE("functions and their slopes are those of the C library") {
  for (const Case& c : cases()) {
    CAPTURE(std::string(c.name));
    Numbers values, derivatives;
    for (const double x : c.at) {
      values.push_back(c.value(x));
      derivatives.push_back(c.slope(x));
    }
    CHECK(close(numbers(c.op(doubles(c.at))), values));
    CHECK(close(slopes(c.op, c.at), derivatives));
    CHECK(close(numbers(c.op(tensor(c.at, kFloat32))), values, 1e-6, 1e-7));
    CHECK(close(numbers(slope_of(c.op, tensor(c.at, kFloat32))), derivatives, 2e-6, 1e-6));
  }
}

TEST_CASE("functions take any layout, nothing, and 0-d tensors") {
  const Tensor x = doubles({0.1, 0.2, 0.3, 0.4, 0.5, 0.6}).view({2, 3});
  for (const Case& c : cases()) {
    CAPTURE(std::string(c.name));
    const Tensor expected = c.op(x), slope = slope_of(c.op, x);
    for (const Tensor& laid : layouts(x)) {
      CHECK(c.op(laid).equal(expected));
      Tensor base = laid.detach().requires_grad_();
      const Tensor y = c.op(base);
      y.backward(ones({2, 3}, kFloat64));
      CHECK(base.grad().equal(slope));
    }
    CHECK(c.op(zeros({0, 3}, kFloat64)).sizes() == Shape({0, 3}));
    CHECK(slope_of(c.op, zeros({0, 3}, kFloat64)).sizes() == Shape({0, 3}));
    CHECK(c.op(tensor(0.25, kFloat64)).dim() == 0);
    CHECK(says(message_of<DTypeError>([&] { c.op(tensor({true})); }), c.name));
    CHECK(says(message_of<ValueError>([&] { c.op(Tensor()); }), c.name));
  }
}

TEST_CASE("second derivatives follow from the rules on dual numbers") {
  for (const Case& c : cases()) {
    CAPTURE(std::string(c.name));
    const Tensor x = doubles({0.3, 0.45, 0.6}).requires_grad_();
    const Tensor first = grad({c.op(x).sum()}, {x}, {}, false, /*create_graph=*/true)[0];
    Numbers second(3, 0.0);
    if (first.requires_grad()) {
      first.sum().backward();
      second = numbers(x.grad());
    }
    Numbers differences;
    const double h = 1e-6;
    for (const double at : {0.3, 0.45, 0.6})
      differences.push_back((c.slope(at + h) - c.slope(at - h)) / (2 * h));
    CHECK(close(second, differences, 1e-7, 1e-7));
  }
}

TEST_CASE("edges: poles, kinks and numbers outside the domain") {
  CHECK(close(numbers(log(doubles({0, -1}))), {-kInfinity, kNaN}));
  CHECK(close(numbers(sqrt(doubles({0, -1}))), {0, kNaN}));
  CHECK(close(numbers(asin(doubles({1.5}))), {kNaN}));
  CHECK(close(numbers(reciprocal(doubles({0}))), {kInfinity}));
  CHECK(close(slopes(retrace::sqrt, {0}), {kInfinity}));
  CHECK(close(slopes(retrace::log, {0}), {kInfinity}));
  CHECK(close(slopes(retrace::abs, {0, -0.0}), {0, 0}));
  CHECK(close(slopes(rsqrt, {0}), {-kInfinity}));
  CHECK(close(numbers(round(doubles({-2.5, -1.5, -0.5, 0.5, 1.5, 2.5}))), {-2, -2, 0, 0, 2, 2}));
  CHECK(close(numbers(sign(doubles({-0.0, 0, -3}))), {0, 0, -1}));
  // A step stops even an infinite gradient.
  const Tensor x = doubles({1.5}).requires_grad_();
  floor(x).backward(doubles({kInfinity}));
  CHECK(numbers(x.grad()) == Numbers{0});
}

TEST_CASE("whole numbers stay whole") {
  const Tensor x = tensor({-3, 0, 4});
  CHECK(abs(x).equal(tensor({3, 0, 4})));
  CHECK(sign(x).equal(tensor({-1, 0, 1})));
  CHECK(square(x).equal(tensor({9, 0, 16})));
  for (const Unary op : {Unary(floor), Unary(ceil), Unary(round), Unary(trunc)})
    CHECK(op(x).equal(x));
  CHECK(maximum(x, tensor(1)).equal(tensor({1, 1, 4})));
  CHECK(minimum(x, tensor(1)).equal(tensor({-3, 0, 1})));
  const auto least = std::numeric_limits<std::int64_t>::min();
  CHECK(abs(tensor({least})).item<std::int64_t>() == least);  // wraps around
  CHECK(says(message_of<DTypeError>([&] { exp(x); }), "exp: "));
  CHECK(says(message_of<DTypeError>([&] { exp(x); }), "int64"));
}

TEST_CASE("pow of tensors and numbers") {
  CHECK(close(numbers(pow(doubles({4, 2, 9}), doubles({0.5, -1, 2}))), {2, 0.5, 81}));
  CHECK(close(numbers(pow(2.0, doubles({3, -1, 0}))), {8, 0.5, 1}));
  for (const double e : {2.0, 3.0, 0.5, -1.0, 1.7, 0.0, 1.0}) {
    CAPTURE(e);
    const Numbers at = {0.5, 1, 3};
    Numbers value, slope;
    for (const double x : at) {
      value.push_back(std::pow(x, e));
      slope.push_back(e * std::pow(x, e - 1));
    }
    const auto f = [e](const Tensor& x) { return x.pow(e); };
    CHECK(close(numbers(f(doubles(at))), value));
    CHECK(close(slopes(f, at), slope));
  }
  CHECK(pow(tensor({-2, 3, 0}), 3).equal(tensor({-8, 27, 0})));
  CHECK(pow(tensor({-2, 3, 0}), tensor({0, 4, 0})).equal(tensor({1, 81, 1})));
  CHECK(pow(2, tensor({0, 10, 62})).equal(tensor({1, 1024, std::int64_t{1} << 62})));
}

TEST_CASE("pow at its edges") {
  const auto power = [](double e) { return [e](const Tensor& x) { return x.pow(e); }; };
  CHECK(close(slopes(power(0.5), {0}), {kInfinity}));
  CHECK(close(slopes(power(0), {0, -2}), {0, 0}));
  CHECK(close(slopes(power(1.5), {-1}), {kNaN}));
  CHECK(close(slopes(power(2), {-2, 0}), {-4, 0}));
  CHECK(close(slopes(power(1), {0}), {1}));
  // Two tensors: the gradient to the exponent is 0 where 0 is raised to no less than 0.
  const Tensor a = doubles({0, 0, 0, -2}).requires_grad_();
  const Tensor b = doubles({0, 2, -1, 2}).requires_grad_();
  const Tensor y = pow(a, b);
  CHECK(close(numbers(y), {1, 0, kInfinity, 4}));
  y.backward(ones({4}, kFloat64));
  CHECK(close(numbers(a.grad()), {0, 0, -kInfinity, -4}));
  CHECK(close(numbers(b.grad()), {0, 0, -kInfinity, kNaN}));
  // Not asked for, not computed: an integer exponent of a negative base has no logarithm.
  const Tensor base = doubles({-2}).requires_grad_();
  pow(base, doubles({2})).backward(ones({1}, kFloat64));
  CHECK(close(numbers(base.grad()), {-4}));
  CHECK(close(slopes([](const Tensor& x) { return pow(0.0, x); }, {0, 2, -1}), {0, 0, -kInfinity}));
  CHECK(close(slopes([](const Tensor& x) { return pow(3.0, x); }, {2}), {9 * std::log(3.0)}));
  // The mixed second derivative where the exponent is 0, from either side.
  const Tensor p = doubles({2}).requires_grad_(), q = doubles({0}).requires_grad_();
  const std::vector<Tensor> d = grad({pow(p, q)}, {p, q}, {}, false, /*create_graph=*/true);
  CHECK(numbers(grad({d[0]}, {q}, {}, /*retain_graph=*/true)[0]) == Numbers{0.5});
  CHECK(close(numbers(grad({d[1]}, {p})[0]), {0.5}));
  CHECK(close(numbers(d[0].detach()), {0}));

  const std::string negative = message_of<ValueError>([] { pow(tensor({2, 3}), -1); });
  CHECK(says(negative, "pow: "));
  CHECK(says(negative, "[2]"));
  CHECK(says(message_of<ValueError>([] { pow(tensor({2, 3}), tensor({1, -4})); }), "-4"));
  CHECK(says(message_of<ValueError>([] { pow(2, tensor({1, -4})); }), "element 1"));
  CHECK(says(message_of<DTypeError>([] { pow(tensor({2, 3}), 0.5); }), "pow: "));
  CHECK(says(message_of<DTypeError>([] { pow(tensor({2.0}), tensor({2})); }), "int64"));
}

TEST_CASE("a second derivative of a power that overflows") {
  const auto second = [](const Function& f, double at) {
    const Tensor x = doubles({at}).requires_grad_();
    const Tensor first = grad({f(x)}, {x}, {}, false, /*create_graph=*/true)[0];
    return grad({first}, {x})[0].item<double>();
  };
  CHECK(second([](const Tensor& x) { return pow(2.0, x); }, 2000) == kInfinity);
  CHECK(second([](const Tensor& x) { return pow(x, 2.5); }, 1e300) ==
        doctest::Approx(3.75e150).epsilon(1e-13));
}

TEST_CASE("functions of two tensors") {
  const Numbers p = {1, -2, 0.5}, q = {3, 0.25, -1};
  Numbers angle, sum;
  for (int i = 0; i < 3; ++i) {
    angle.push_back(std::atan2(p[i], q[i]));
    sum.push_back(std::log(std::exp(p[i]) + std::exp(q[i])));
  }
  CHECK(close(numbers(atan2(doubles(p), doubles(q))), angle));
  CHECK(close(numbers(logaddexp(doubles(p), doubles(q))), sum));
  CHECK(close(numbers(maximum(doubles(p), doubles(q))), {3, 0.25, 0.5}));
  CHECK(close(numbers(minimum(doubles(p), doubles(q))), {1, -2, -1}));
  CHECK(close(numbers(maximum(doubles({kNaN, 1}), doubles({1, kNaN}))), {kNaN, kNaN}));
  CHECK(close(numbers(lerp(doubles({0, 10}), doubles({4, 20}), 0.25)), {1, 12.5}));
  CHECK(numbers(lerp(doubles({0.1}), doubles({0.7}), 1.0)) == Numbers{0.7});
  CHECK(close(numbers(lerp(doubles({0, 10}), doubles({4, 20}), doubles({1, 0}))), {4, 10}));

  for (const Binary op : {Binary(atan2), Binary(logaddexp), Binary(maximum), Binary(minimum)}) {
    for (const auto& [sa, sb] :
         {std::pair<Shape, Shape>{{2, 3}, {3}}, {{2, 1}, {1, 3}}, {{}, {3}}}) {
      const Tensor a = linspace(0.3, 2, sa.numel(), kFloat64).view(sa).requires_grad_();
      const Tensor b = linspace(-1.7, 1.1, sb.numel(), kFloat64).view(sb).requires_grad_();
      CHECK(gradcheck([op](const std::vector<Tensor>& in) { return op(in[0], in[1]); }, {a, b}));
    }
  }
  for (const Binary op : {Binary(atan2), Binary(logaddexp), Binary(maximum), Binary(minimum),
                          Binary(pow), Binary(fmod), Binary(remainder)}) {
    const std::string shapes = message_of<ShapeError>([&] { op(ones({2, 3}), ones({4})); });
    CHECK(says(shapes, "[2, 3]"));
    CHECK(says(shapes, "[4]"));
    const std::string dtypes = message_of<DTypeError>([&] { op(ones({2}), ones({2}, kFloat64)); });
    CHECK(says(dtypes, "float32"));
    CHECK(says(dtypes, "float64"));
    CHECK(op(ones({0, 3}), ones({3})).sizes() == Shape({0, 3}));
    CHECK(says(message_of<ValueError>([&] { op(ones({2}), Tensor()); }), "undefined"));
  }
}

TEST_CASE("logaddexp neither overflows nor loses equal infinities") {
  const Tensor a = doubles({1e4, -1e4, -kInfinity, kInfinity, -kInfinity, 5}).requires_grad_();
  const Tensor b = doubles({0, -1e4, -kInfinity, kInfinity, 2, 5}).requires_grad_();
  const Tensor y = logaddexp(a, b);
  CHECK(close(numbers(y), {1e4, -1e4 + kLn2, -kInfinity, kInfinity, 2, 5 + kLn2}));
  y.backward(ones({6}, kFloat64));
  CHECK(close(numbers(a.grad()), {1, 0.5, 0.5, 0.5, 0, 0.5}));
  CHECK(close(numbers(b.grad()), {0, 0.5, 0.5, 0.5, 1, 0.5}));
}

TEST_CASE("maximum and minimum share the gradient of a tie") {
  for (const Binary op : {Binary(maximum), Binary(minimum)}) {
    const Tensor a = doubles({1, 2, -1}).requires_grad_(),
                 b = doubles({1, 0.5, 3}).requires_grad_();
    op(a, b).backward(ones({3}, kFloat64));
    const double first = op == Binary(maximum) ? 1 : 0;
    CHECK(close(numbers(a.grad()), {0.5, first, 1 - first}));
    CHECK(close(numbers(b.grad()), {0.5, 1 - first, first}));
  }
  const Tensor x = doubles({3}).requires_grad_();
  maximum(x, x).backward(ones({1}, kFloat64));
  CHECK(numbers(x.grad()) == Numbers{1});
}

TEST_CASE("remainders") {
  CHECK(close(numbers(fmod(doubles({5.5, -5.5}), 2.0)), {1.5, -1.5}));
  CHECK(
      close(numbers(remainder(doubles({5.5, -5.5, 5.5}), doubles({2, 2, -2}))), {1.5, 0.5, -0.5}));
  CHECK(fmod(tensor({7, -7}), 3).equal(tensor({1, -1})));
  CHECK(remainder(tensor({7, -7, 7, 6}), tensor({3, 3, -3, -3})).equal(tensor({1, 2, -2, 0})));
  const auto least = std::numeric_limits<std::int64_t>::min();
  CHECK(remainder(tensor({least}), -1).item<std::int64_t>() == 0);
  CHECK(says(message_of<ValueError>([] { remainder(tensor({7}), 0); }), "remainder: "));
  CHECK(says(message_of<ValueError>([] { fmod(tensor({7, 7}), tensor({1, 0})); }), "element 1"));
  CHECK(close(numbers(remainder(doubles({1}), 0.0)), {kNaN}));
  const Tensor a = doubles({5.5, -5.5}).requires_grad_(), b = doubles({2, 2}).requires_grad_();
  remainder(a, b).backward(ones({2}, kFloat64));
  CHECK(numbers(a.grad()) == Numbers{1, 1});
  CHECK(numbers(b.grad()) == Numbers{-2, 3});
  b.zero_grad();
  fmod(a, b).backward(ones({2}, kFloat64));
  CHECK(numbers(b.grad()) == Numbers{-2, 2});
}

TEST_CASE("remainders count how often b fits, though a / b is rounded up") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    // 0.1 and 0.3 are a little above these fractions, or below: 1 has nine of the first.
    const Tensor a = tensor({1.0, -1.0, 1.0, 0.9, 6.0}, dtype),
                 b = tensor({0.1, 0.1, -0.1, 0.3, 2.0}, dtype);
    for (const Binary op : {Binary(fmod), Binary(remainder)}) {
      const Tensor divisor = b.clone().requires_grad_();
      const Tensor y = op(a, divisor);
      y.backward(ones_like(y));
      const Numbers rest = numbers(y), d = numbers(divisor.grad()), p = numbers(a), q = numbers(b);
      for (std::size_t i = 0; i < d.size(); ++i) CHECK(-d[i] == std::rint((p[i] - rest[i]) / q[i]));
    }
  }
  const Tensor b = tensor({0.1, 0.1}).requires_grad_();
  remainder(tensor({1.0, -1.0}), b).backward(ones({2}));
  CHECK(numbers(b.grad()) == Numbers{-9, 10});
}

TEST_CASE("a remainder of 0 has the sign of the divisor") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    const Tensor y =
        remainder(tensor({-4.0, 4.0, -0.0, 0.0}, dtype), tensor({2.0, -2.0, 2.0, -2.0}, dtype));
    CHECK(numbers(y) == Numbers{0, 0, 0, 0});
    CHECK(numbers(1.0 / y) == Numbers{kInfinity, -kInfinity, kInfinity, -kInfinity});
  }
}

TEST_CASE("a saved result changed in place is an error that names the op") {
  const Tensor x = doubles({1, 2}).requires_grad_();
  Tensor y = exp(x);
  {
    const NoGradGuard guard;
    y.mul_(2);
  }
  CHECK(says(message_of<AutogradError>([&] { y.sum().backward(); }), "exp"));
}

}  // namespace
