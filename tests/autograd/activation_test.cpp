#include <retrace/autograd/gradcheck.h>

#include <retrace/tests/autograd/pointwise.h>

namespace {

using namespace retrace;
using namespace retrace::testing;

double sigma(double x) { return 1 / (1 + std::exp(-x)); }
double phi(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0)); }
double cdf(double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }
double softly(double x) { return std::max(x, 0.) + std::log1p(std::exp(-std::fabs(x))); }
constexpr double kLambda = 1.0507009873554804934, kAlpha = 1.6732632423543772848;

struct Case {
  const char* name;
  Tensor (*op)(const Tensor&);
  double (*value)(double);
  double (*slope)(double);
};

const Case kCases[] = {
    {"relu", relu, [](double x) { return x > 0 ? x : 0.; },
     [](double x) { return x > 0 ? 1. : 0.; }},
    {"sigmoid", sigmoid, sigma, [](double x) { return sigma(x) * sigma(-x); }},
    {"tanh", tanh, [](double x) { return std::tanh(x); },
     [](double x) { return 1 / (std::cosh(x) * std::cosh(x)); }},
    {"gelu", [](const Tensor& x) { return gelu(x); }, [](double x) { return x * cdf(x); },
     [](double x) { return cdf(x) + x * phi(x); }},
    {"gelu", [](const Tensor& x) { return gelu(x, Approximate::tanh); },
     [](double x) {
       return x * sigma(2 * std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x));
     },
     [](double x) {
       const double k = 2 * std::sqrt(2 / std::acos(-1.0));
       const double s = sigma(k * (x + 0.044715 * x * x * x));
       return s + x * s * (1 - s) * k * (1 + 3 * 0.044715 * x * x);
     }},
    {"silu", silu, [](double x) { return x * sigma(x); },
     [](double x) { return sigma(x) * (1 + x * sigma(-x)); }},
    {"softplus", [](const Tensor& x) { return softplus(x); },
     [](double x) { return x > 20 ? x : std::log1p(std::exp(x)); },
     [](double x) { return x > 20 ? 1 : sigma(x); }},
    {"softplus", [](const Tensor& x) { return softplus(x, 2.5, 1); },
     [](double x) { return 2.5 * x > 1 ? x : std::log1p(std::exp(2.5 * x)) / 2.5; },
     [](double x) { return 2.5 * x > 1 ? 1 : sigma(2.5 * x); }},
    {"logsigmoid", logsigmoid,
     [](double x) { return std::min(x, 0.) - std::log1p(std::exp(-std::fabs(x))); },
     [](double x) { return sigma(-x); }},
    {"relu6", relu6, [](double x) { return std::min(std::max(x, 0.), 6.); },
     [](double x) { return x > 0 && x < 6 ? 1. : 0.; }},
    {"leaky_relu", [](const Tensor& x) { return leaky_relu(x, 0.2); },
     [](double x) { return x > 0 ? x : 0.2 * x; }, [](double x) { return x > 0 ? 1 : 0.2; }},
    {"elu", [](const Tensor& x) { return elu(x, 0.3); },
     [](double x) { return x > 0 ? x : 0.3 * std::expm1(x); },
     [](double x) { return x > 0 ? 1 : 0.3 * std::exp(x); }},
    {"selu", selu, [](double x) { return x > 0 ? kLambda * x : kLambda * kAlpha * std::expm1(x); },
     [](double x) { return x > 0 ? kLambda : kLambda * kAlpha * std::exp(x); }},
    {"celu", [](const Tensor& x) { return celu(x, 2.5); },
     [](double x) { return x > 0 ? x : 2.5 * std::expm1(x / 2.5); },
     [](double x) { return x > 0 ? 1 : std::exp(x / 2.5); }},
    {"quick_gelu", quick_gelu, [](double x) { return x * sigma(1.702 * x); },
     [](double x) {
       return sigma(1.702 * x) + 1.702 * (x * sigma(1.702 * x) * sigma(-1.702 * x));
     }},
    {"swish", [](const Tensor& x) { return swish(x, 0.5); },
     [](double x) { return x * sigma(0.5 * x); },
     [](double x) { return sigma(0.5 * x) + 0.5 * x * sigma(0.5 * x) * sigma(-0.5 * x); }},
    {"mish", mish, [](double x) { return x * std::tanh(softly(x)); },
     [](double x) {
       const double t = std::tanh(softly(x)), c = std::cosh(softly(x));
       return t + x * sigma(x) / c / c;
     }},
    {"hardswish", hardswish, [](double x) { return x < -3  ? 0
                                                   : x > 3 ? x
                                                           : x * (x + 3) / 6; },
     [](double x) { return x < -3  ? 0
                           : x > 3 ? 1
                                   : (2 * x + 3) / 6; }},
    {"hardsigmoid", hardsigmoid, [](double x) { return std::min(std::max(x / 6 + 0.5, 0.), 1.); },
     [](double x) { return std::fabs(x) < 3 ? 1. / 6 : 0.; }},
    {"hardtanh", [](const Tensor& x) { return hardtanh(x, -0.5, 2); },
     [](double x) { return std::min(std::max(x, -0.5), 2.); },
     [](double x) { return x > -0.5 && x < 2 ? 1. : 0.; }},
    {"softsign", softsign, [](double x) { return x / (1 + std::fabs(x)); },
     [](double x) { return 1 / (1 + std::fabs(x)) / (1 + std::fabs(x)); }},
    {"tanhshrink", tanhshrink, [](double x) { return x - std::tanh(x); },
     [](double x) { return std::tanh(x) * std::tanh(x); }},
    {"softshrink", [](const Tensor& x) { return softshrink(x); },
     [](double x) { return x > 0.5    ? x - 0.5
                           : x < -0.5 ? x + 0.5
                                      : 0; },
     [](double x) { return std::fabs(x) > 0.5 ? 1. : 0.; }},
    {"hardshrink", [](const Tensor& x) { return hardshrink(x); },
     [](double x) { return std::fabs(x) > 0.5 ? x : 0; },
     [](double x) { return std::fabs(x) > 0.5 ? 1. : 0.; }},
};

TEST_CASE("activations and their slopes, in float64 and float32") {
  Numbers at;
  for (double x = -15; x <= 15; x += 0.0625) at.push_back(x == 0 ? 1e-3 : x);
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.name));
    Numbers values, derivatives;
    for (const double x : at) {
      values.push_back(c.value(x));
      derivatives.push_back(c.slope(x));
    }
    CHECK(close(numbers(c.op(doubles(at))), values, 1e-13, 1e-15));
    CHECK(close(slopes(c.op, at), derivatives, 1e-12, 1e-14));
    CHECK(close(numbers(c.op(tensor(at, kFloat32))), values, 2e-6, 1e-7));
    CHECK(close(numbers(slope_of(c.op, tensor(at, kFloat32))), derivatives, 2e-6, 4e-7));
  }
}

TEST_CASE("activations stay finite far out, keep NaN and their value at 0") {
  for (const DType dtype : {kFloat64, kFloat32}) {
    const double big = dtype == kFloat32 ? static_cast<double>(3e38f) : 3e38;
    const Numbers far = {1e4, -1e4, big, -big};
    for (const Case& c : kCases) {
      CAPTURE(std::string(c.name));
      Numbers values, derivatives;
      for (const double x : far) {
        values.push_back(c.value(x));
        derivatives.push_back(c.slope(x));
      }
      const double rtol = dtype == kFloat32 ? 2e-7 : 1e-15;
      const double atol = dtype == kFloat32 ? 0x1p-149 : 0;  // the smallest number above 0
      CHECK(close(numbers(c.op(tensor(far, dtype))), values, rtol, atol));
      CHECK(close(numbers(slope_of(c.op, tensor(far, dtype))), derivatives, rtol, atol));
      CHECK(std::isnan(c.op(tensor({kNaN}, dtype)).item<double>()));
      CHECK(c.op(zeros({1}, dtype)).item<double>() == doctest::Approx(c.value(0)).epsilon(1e-7));
    }
    CHECK(numbers(slope_of(relu, zeros({1}, dtype))) == Numbers{0});
  }
  CHECK(numbers(slope_of(relu, doubles({kNaN, -kInfinity, kInfinity}))) == Numbers{1, 0, 1});
}

TEST_CASE("gelu in float32 keeps its digits in the tail") {
  for (float x = -12; x < 0; x += 0.03125f) {
    const double exact = x * cdf(x), y = gelu(full({1}, x)).item<double>();
    CHECK(std::fabs(y - exact) <= 1e-7 * (2 + x * x) * std::fabs(exact));
  }
}

TEST_CASE("gelu's slope in float32 is that of its formula") {
  double worst = 0;
  for (float x = -12; x < 12; x += 0x1p-8f) {
    const double slope =
        slope_of([](const Tensor& t) { return gelu(t); }, full({1}, x)).item<double>();
    worst = std::max(worst, std::fabs(slope - (cdf(x) + x * phi(x))));
  }
  CHECK(worst < 2.5e-7);
}

TEST_CASE("slopes of exponential units keep their digits far below 0") {
  const std::tuple<Function, double, double> units[] = {
      {[](const Tensor& x) { return elu(x, 0.3); }, 0.3, 1},
      {selu, kLambda * kAlpha, 1},
      {[](const Tensor& x) { return celu(x, 0.5); }, 1, 0.5}};
  for (const auto& [unit, factor, alpha] : units) {
    for (const double at : {-1.0, -15.0, -18.0, -40.0}) {
      CAPTURE(at);
      const double slope = factor * std::exp(at / alpha);
      CHECK(slopes(unit, {at})[0] == doctest::Approx(slope).epsilon(1e-15).scale(0));
      CHECK(slope_of(unit, full({1}, at)).item<double>() ==
            doctest::Approx(slope).epsilon(3e-7).scale(0));
      const Tensor x = doubles({at}).requires_grad_();
      const Tensor first = grad({unit(x)}, {x}, {}, false, /*create_graph=*/true)[0];
      CHECK(grad({first}, {x})[0].item<double>() ==
            doctest::Approx(slope / alpha).epsilon(1e-15).scale(0));
    }
  }
}

TEST_CASE("activations have first and second derivatives in any layout") {
  const Tensor x = doubles({-1.5, -0.7, 0.2, 0.9, 1.4, 2.7}).view({2, 3});
  for (const Case& c : kCases) {
    CAPTURE(std::string(c.name));
    const auto f = [&](const std::vector<Tensor>& in) { return c.op(in[0]); };
    for (const Tensor& laid : layouts(x)) {
      CHECK(c.op(laid).equal(c.op(x)));
      CHECK(gradcheck(f, {laid.detach().requires_grad_()}));
      CHECK(gradgradcheck(f, {laid.detach().requires_grad_()}));
    }
    CHECK(c.op(zeros({2, 0})).sizes() == Shape({2, 0}));
    CHECK(c.op(tensor(0.5)).dim() == 0);
    CHECK(says(message_of<DTypeError>([&] { c.op(tensor({true})); }), c.name));
  }
  CHECK(relu(tensor({-1, 0, 2})).equal(tensor({0, 0, 2})));
  CHECK(says(message_of<DTypeError>([] { gelu(tensor({1, 2})); }), "int64"));
  CHECK(says(message_of<ValueError>([] { softplus(tensor({1.0}), 0); }), "beta"));
}

TEST_CASE("an infinite gradient is stopped where a unit is closed") {
  const std::pair<Function, double> closed[] = {
      {relu, -1},
      {relu6, 7},
      {[](const Tensor& t) { return hardtanh(t); }, -2},
      {[](const Tensor& t) { return softshrink(t); }, 0.25},
      {[](const Tensor& t) { return hardshrink(t); }, 0.25}};
  for (const auto& [unit, where] : closed) {
    const Tensor x = doubles({where, 0.75}).requires_grad_();
    unit(x).backward(doubles({kInfinity, kInfinity}));
    CHECK(numbers(x.grad()) == Numbers{0, kInfinity});
  }
}

TEST_CASE("slopes where pieces meet") {
  const auto at = [](const Function& f, double x) { return slopes(f, {x})[0]; };
  CHECK(at(relu6, 0) == 0);
  CHECK(at(relu6, 6) == 0);
  CHECK(at([](const Tensor& x) { return leaky_relu(x); }, 0) == 0.01);
  CHECK(at([](const Tensor& x) { return prelu(x, full({}, 0.25, kFloat64)); }, 0) == 0.25);
  CHECK(at([](const Tensor& x) { return elu(x, 0.5); }, 0) == 0.5);
  CHECK(at(selu, 0) == doctest::Approx(kLambda * kAlpha).epsilon(1e-15));
  CHECK(at([](const Tensor& x) { return celu(x, 0.5); }, 0) == 1);
  CHECK(at(hardsigmoid, -3) == 0);
  CHECK(at(hardsigmoid, 3) == 0);
  CHECK(at(hardswish, -3) == doctest::Approx(-0.5).epsilon(1e-15));
  CHECK(at(hardswish, 3) == doctest::Approx(1.5).epsilon(1e-15));
  CHECK(slope_of(hardswish, tensor({-1.5})).item<float>() == 0);  // the lowest point
  CHECK(at([](const Tensor& x) { return hardtanh(x); }, 1) == 0);
  CHECK(at([](const Tensor& x) { return softshrink(x); }, 0.5) == 0);
  CHECK(at([](const Tensor& x) { return hardshrink(x); }, -0.5) == 0);
}

TEST_CASE("prelu learns one slope, or one for each channel") {
  const Tensor x = doubles({-1, 2, -3, 4, -5, -6}).view({1, 3, 2}).requires_grad_();
  const Tensor one = doubles({0.5}).requires_grad_();
  Tensor y = prelu(x, one);
  CHECK(numbers(y) == Numbers{-0.5, 2, -1.5, 4, -2.5, -3});
  y.backward(doubles({1, 1, 1, 1, 1, 2}).view({1, 3, 2}));
  CHECK(numbers(x.grad()) == Numbers{0.5, 1, 0.5, 1, 0.5, 1});
  CHECK(numbers(one.grad()) == Numbers{-1 - 3 - 5 - 12});
  const Tensor each = doubles({0.5, 0, -1}).requires_grad_();
  y = prelu(x, each);
  CHECK(numbers(y) == Numbers{-0.5, 2, 0, 4, 5, 6});
  y.backward(ones({1, 3, 2}, kFloat64));
  CHECK(numbers(each.grad()) == Numbers{-1, -3, -11});
  CHECK(prelu(tensor(-2.0), tensor(0.25)).item<double>() == -0.5);
  for (const Shape& wrong : {Shape{2}, Shape{0}, Shape{1, 3}, Shape{3, 1, 1}}) {
    const std::string message = message_of<ShapeError>([&] { prelu(x, zeros(wrong, kFloat64)); });
    CHECK(says(message, "prelu: x is [1, 3, 2], weight "));
    CHECK(says(message, wrong.str().c_str()));
  }
}

TEST_CASE("swish learns β") {
  const Tensor x = doubles({-1.5, 0.3, 2, -0.2}).view({2, 2}).requires_grad_();
  const Tensor beta = tensor(1.0, kFloat64).requires_grad_();
  const Tensor y = swish(x, beta);
  CHECK(close(numbers(y), numbers(silu(x)), 1e-15));
  y.backward(ones({2, 2}, kFloat64));
  double expected = 0;
  for (const double v : numbers(x)) expected += v * v * sigma(v) * sigma(-v);
  CHECK(beta.grad().item<double>() == doctest::Approx(expected).epsilon(1e-14));
  CHECK(allclose(swish(x, doubles({1, 0})).select(1, 1), x.select(1, 1) * 0.5));
  CHECK(says(message_of<ShapeError>([&] {
               swish(x, ones({3, 1, 2}, kFloat64));
             }),
             "beta must broadcast to x"));
  const Tensor far = doubles({1e4, -1e4, 3e200, -3e200}).requires_grad_();
  const Tensor b = tensor(1.5, kFloat64).requires_grad_();
  swish(far, b).backward(ones({4}, kFloat64));
  CHECK(numbers(far.grad()) == Numbers{1, 0, 1, 0});
  CHECK(b.grad().item<double>() == 0);
}

TEST_CASE("swish's gradient of β keeps its digits where the gate is open") {
  for (const DType dtype : {kFloat32, kFloat64})
    for (const auto& [at, beta] :
         {std::pair{10.0, 1.0}, {17.0, 1.0}, {-40.0, 1.0}, {1280.0, 0x1p-6}}) {
      const double x = at;
      CAPTURE(x);
      const Function f = [&](const Tensor& b) { return swish(full({1}, x, dtype), b); };
      const double exact = x * x * sigma(beta * x) * sigma(-beta * x);
      CHECK(slope_of(f, full({1}, beta, dtype)).item<double>() ==
            doctest::Approx(exact).epsilon(dtype == kFloat32 ? 4e-7 : 1e-15).scale(0));
    }
}

TEST_CASE("tanhshrink keeps its digits near 0") {
  // x, x - tanh(x)
  const std::pair<double, double> values[] = {
      {0x1p-100, 0x1p-300 / 3},        {0x1p-12, 4.8506382938073883e-12},
      {0.125, 0.00064699822840379195}, {0.625, 0.070400277650617706},
      {1.25, 0.4017163600424871},      {1.5, 0.59485174635513356},
      {1.75, 0.80862446150271264},     {3, 2.0049452463132695}};
  for (const auto& [at, exact] : values)
    for (const DType dtype : {kFloat32, kFloat64}) {
      const double x = at;
      CAPTURE(x);
      const doctest::Approx wanted =
          doctest::Approx(exact).epsilon(dtype == kFloat32 ? 3e-7 : 5e-16).scale(1e-30);
      CHECK(tanhshrink(full({1}, x, dtype)).item<double>() == wanted);
      CHECK(-tanhshrink(full({1}, -x, dtype)).item<double>() == wanted);
    }
}

TEST_CASE("parameters out of range are refused") {
  const Tensor x = ones({2});
  CHECK(says(message_of<ValueError>([&] { elu(x, -1); }), "elu: alpha is -1"));
  CHECK(says(message_of<ValueError>([&] { elu(x, kNaN); }), "elu: alpha is nan"));
  CHECK(says(message_of<ValueError>([&] { celu(x, 0); }), "celu: alpha is 0"));
  CHECK(says(message_of<ValueError>([&] { hardtanh(x, 2, 1); }), "min_val is 2, max_val 1"));
  CHECK(says(message_of<ValueError>([&] { softshrink(x, -0.5); }), "lambd is -0.5"));
}

}  // namespace
