#include <retrace/autograd/gradcheck.h>

#include <retrace/tests/autograd/pointwise.h>

namespace {

using namespace retrace;
using namespace retrace::testing;

double sigma(double x) { return 1 / (1 + std::exp(-x)); }
double phi(double x) { return std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0)); }
double cdf(double x) { return std::erfc(-x / std::sqrt(2.0)) / 2; }

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
  const Numbers far = {1e4, -1e4, 3e38, -3e38};
  for (const DType dtype : {kFloat64, kFloat32}) {
    const auto on = [&](const Function& f) { return numbers(f(tensor(far, dtype))); };
    const auto slope = [&](const Function& f) { return numbers(slope_of(f, tensor(far, dtype))); };
    const double big = dtype == kFloat32 ? static_cast<double>(3e38f) : 3e38;
    CHECK(on(relu) == Numbers{1e4, 0, big, 0});
    CHECK(on(sigmoid) == Numbers{1, 0, 1, 0});
    CHECK(on(retrace::tanh) == Numbers{1, -1, 1, -1});
    CHECK(on(silu) == Numbers{1e4, 0, big, 0});
    CHECK(on([](const Tensor& x) { return gelu(x); }) == Numbers{1e4, 0, big, 0});
    CHECK(on([](const Tensor& x) { return gelu(x, Approximate::tanh); }) ==
          Numbers{1e4, 0, big, 0});
    CHECK(on([](const Tensor& x) { return softplus(x); }) == Numbers{1e4, 0, big, 0});
    CHECK(on(logsigmoid) == Numbers{0, -1e4, 0, -big});
    CHECK(slope(sigmoid) == Numbers{0, 0, 0, 0});
    CHECK(slope(retrace::tanh) == Numbers{0, 0, 0, 0});
    for (const Case& c : kCases) {
      CAPTURE(std::string(c.name));
      if (c.name != std::string("sigmoid") && c.name != std::string("tanh")) {
        const bool falls = c.name == std::string("logsigmoid");
        CHECK(slope(c.op) == (falls ? Numbers{0, 1, 0, 1} : Numbers{1, 0, 1, 0}));
      }
      CHECK(std::isnan(c.op(tensor({kNaN}, dtype)).item<double>()));
      CHECK(c.op(zeros({1}, dtype)).item<double>() == doctest::Approx(c.value(0)).epsilon(1e-7));
    }
    CHECK(numbers(slope_of(relu, zeros({1}, dtype))) == Numbers{0});
  }
  CHECK(numbers(slope_of(relu, doubles({kNaN, -kInfinity, kInfinity}))) == Numbers{1, 0, 1});
}

TEST_CASE("known values") {
  CHECK(gelu(doubles({1})).item<double>() == doctest::Approx(0.8413447460685429).epsilon(1e-15));
  CHECK(gelu(doubles({1}), Approximate::tanh).item<double>() ==
        doctest::Approx(0.841191990608276).epsilon(1e-14));
  CHECK(silu(doubles({-1.278464542761074})).item<double>() ==
        doctest::Approx(-0.278464542761074).epsilon(1e-14));
  CHECK(softplus(doubles({0})).item<double>() == doctest::Approx(std::log(2.0)).epsilon(1e-15));
  double largest = 0;
  for (double x = -5; x < 5; x += 1e-3) {
    const Tensor t = doubles({x});
    largest = std::max(largest, std::fabs((gelu(t) - gelu(t, Approximate::tanh)).item<double>()));
  }
  CHECK(largest == doctest::Approx(4.73e-4).epsilon(1e-3));
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

TEST_CASE("activations have first and second derivatives in any layout") {
  const Tensor x = doubles({-1.5, -0.7, 0.2, 0.9, 1.4, 3}).view({2, 3});
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

TEST_CASE("relu stops an infinite gradient where it is closed") {
  const Tensor x = doubles({-1, 1}).requires_grad_();
  relu(x).backward(doubles({kInfinity, kInfinity}));
  CHECK(numbers(x.grad()) == Numbers{0, kInfinity});
}

}  // namespace
