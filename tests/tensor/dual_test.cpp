#include <retrace/tensor/kernels/dual.h>

#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace {

namespace math = retrace::math;
using D = math::Dual<double>;

struct Function {
  const char* name;
  D (*f)(D);
  std::vector<double> at;
};

const std::vector<Function>& functions() {
  static const std::vector<Function> list = {
      {"abs", [](D x) { return math::abs(x); }, {-2, 0.3}},
      {"sqrt", [](D x) { return math::sqrt(x); }, {0.01, 1, 50}},
      {"rsqrt", [](D x) { return math::rsqrt(x); }, {0.1, 1, 50}},
      {"exp", [](D x) { return math::exp(x); }, {-5, 0, 3}},
      {"exp2", [](D x) { return math::exp2(x); }, {-5, 0, 3}},
      {"expm1", [](D x) { return math::expm1(x); }, {-5, 1e-3, 3}},
      {"log", [](D x) { return math::log(x); }, {0.1, 1, 7}},
      {"log2", [](D x) { return math::log2(x); }, {0.1, 1, 7}},
      {"log10", [](D x) { return math::log10(x); }, {0.1, 1, 7}},
      {"log1p", [](D x) { return math::log1p(x); }, {-0.7, 0, 7}},
      {"log1p_exp", [](D x) { return math::log1p_exp(x); }, {-4, 0, 3}},
      {"tanh", [](D x) { return math::tanh(x); }, {-1.5, 0, 2}},
      {"sigmoid", [](D x) { return math::sigmoid(x); }, {-4, 0, 4}},
      {"erf", [](D x) { return math::erf(x); }, {-1.5, 0, 0.7}},
      {"erfc", [](D x) { return math::erfc(x); }, {-1.5, 0, 0.7}},
      {"sin", [](D x) { return math::sin(x); }, {-2, 0, 1}},
      {"cos", [](D x) { return math::cos(x); }, {-2, 0.5, 1}},
      {"tan", [](D x) { return math::tan(x); }, {-1, 0, 1}},
      {"sinh", [](D x) { return math::sinh(x); }, {-2, 0, 1}},
      {"cosh", [](D x) { return math::cosh(x); }, {-2, 0.5, 1}},
      {"asin", [](D x) { return math::asin(x); }, {-0.9, 0, 0.5}},
      {"acos", [](D x) { return math::acos(x); }, {-0.9, 0, 0.5}},
      {"atan", [](D x) { return math::atan(x); }, {-3, 0, 0.5}},
      {"atan2", [](D x) { return math::atan2(x * x - D(1.0), D(0.3) - x); }, {-3, 0.1, 0.5}},
      {"pow", [](D x) { return math::pow(x, x + D(0.5)); }, {0.3, 1, 2}},
      {"whole power", [](D x) { return math::pow(x, D(3.0)); }, {-2, 0.5}},
      {"max", [](D x) { return math::max(x * x, x); }, {-2, 0.5, 3}},
      {"min", [](D x) { return math::min(x * x, x); }, {-2, 0.5, 3}},
      {"select", [](D x) { return math::select(x > D(0.0), x * x, -x); }, {-2, 0.5}},
      {"arithmetic", [](D x) { return (x * x - 3.0 / x + 2.0) / (1.0 + x * x) - x; }, {-2, 0.5}},
      {"mul_add", [](D x) { return math::mul_add(x, x, x); }, {-2, 0.5}},
  };
  return list;
}

TEST_CASE("slopes of dual numbers are the derivatives") {
  for (const Function& f : functions()) {
    for (const double x : f.at) {
      const double h = 1e-5 * std::max(0.1, std::fabs(x));
      auto at = [&](double shift) { return f.f(D(x + shift)).value; };
      // Fourth order.
      const double numeric = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
      const D y = f.f(D(x, 2.0));
      CAPTURE(std::string(f.name));
      CAPTURE(x);
      CHECK(y.value == f.f(D(x)).value);
      CHECK(y.slope / 2 == doctest::Approx(numeric).epsilon(1e-8));
      CHECK(f.f(D(x)).slope == 0.0);
    }
  }
}

TEST_CASE("slopes at the edges") {
  CHECK(math::abs(D(0.0, 1.0)).slope == 0.0);
  CHECK(math::max(D(1.0, 1.0), D(1.0, 3.0)).slope == 2.0);
  CHECK(math::pow(D(0.0, 1.0), D(2.0)).slope == 0.0);
  CHECK(math::pow(D(0.0, 1.0), D(1.0)).slope == 1.0);
  CHECK(math::pow(D(-3.0, 1.0), D(2.0)).slope == -6.0);
  CHECK(math::pow(D(0.0, 1.0), D(0.0)).slope == 0.0);
  CHECK(math::pow(D(0.0), D(2.0, 1.0)).slope == 0.0);
  CHECK(math::sigmoid(D(-700.0, 1.0)).slope == doctest::Approx(std::exp(-700.0)).epsilon(1e-14));
  CHECK(math::tanh(D(20.0, 1.0)).slope == doctest::Approx(4 * std::exp(-40.0)).epsilon(1e-14));
  CHECK(math::log1p_exp(D(800.0, 1.0)).slope == 1.0);
  CHECK(std::isinf(math::sqrt(D(0.0, 1.0)).slope));
}

TEST_CASE("a slope of 0 adds nothing, even where its factor is infinite") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const D infinite(kInfinity, 3.0);
  CHECK((infinite * D(2.0)).slope == 6.0);
  CHECK((infinite / D(2.0)).slope == 1.5);
  // A slope is a 0 only if its own slope is: y of x^2 y at 0, twice by x.
  using DD = math::Dual<D>;
  const DD x(D(0.0, 1.0), D(1.0));
  CHECK((x * x * DD(D(5.0))).slope.slope == 10.0);
  CHECK(math::pow(x * x, DD(D(1.0))).slope.slope == 2.0);
}

TEST_CASE("the angle's slope at the ends of the range, and a rest's where x / y is rounded up") {
  for (const double scale : {1e-200, 1.0, 1e200}) {
    CHECK(math::atan2(D(3 * scale, scale), D(4 * scale)).slope ==
          doctest::Approx(0.16).epsilon(1e-15));
    CHECK(math::atan2(D(3 * scale), D(4 * scale, scale)).slope ==
          doctest::Approx(-0.12).epsilon(1e-15));
  }
  CHECK(math::fmod(D(1.0), D(0.1, 1.0)).slope == -9.0);
}

TEST_CASE("dual numbers of dual numbers give second derivatives") {
  using DD = math::Dual<D>;
  const DD x(D(0.7, 1.0), D(1.0));
  const DD y = x * x * x;
  CHECK(y.slope.slope == doctest::Approx(6 * 0.7).epsilon(1e-15));
  CHECK((DD(D(1.0)) / x).slope.slope == doctest::Approx(2 / (0.7 * 0.7 * 0.7)).epsilon(1e-14));
}

TEST_CASE("a rule written once runs on float and on its dual") {
  auto swish = []<class T>(T x) { return x * math::sigmoid(x); };
  const math::Dual<float> y = swish(math::Dual<float>(1.5f, 1.0f));
  CHECK(y.value == swish(1.5f));
  const double sigmoid = 1 / (1 + std::exp(-1.5));
  CHECK(y.slope == doctest::Approx(sigmoid + 1.5 * sigmoid * (1 - sigmoid)).epsilon(1e-6));
}

}  // namespace
