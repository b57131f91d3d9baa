// What is known of each activation, by the section of the list of topics that it belongs to.
#include <retrace/tensor/random.h>

#include <retrace/tests/autograd/pointwise.h>

namespace {

using namespace retrace;
using namespace retrace::testing;

double at(const Function& f, double x) { return f(doubles({x})).item<double>(); }
double slope_at(const Function& f, double x) { return slopes(f, {x})[0]; }

doctest::Approx six_digits(double value) { return doctest::Approx(value).epsilon(1e-6); }

/// Where f is smallest between low and high, by thirds: there it falls, then rises.
double lowest(const Function& f, double low, double high) {
  for (int i = 0; i < 100; ++i) {
    const double a = low + (high - low) / 3, b = high - (high - low) / 3;
    if (at(f, a) < at(f, b)) {
      high = b;
    } else {
      low = a;
    }
  }
  return (low + high) / 2;
}

const Function kGelu = [](const Tensor& x) { return gelu(x); };
const Function kGeluTanh = [](const Tensor& x) { return gelu(x, Approximate::tanh); };

TEST_CASE("§02 sigmoid is 1/2 at 0 with its steepest slope 1/4, which ten layers make 9.54e-7") {
  CHECK(at(sigmoid, 0) == 0.5);
  CHECK(slope_at(sigmoid, 0) == 0.25);
  CHECK(at(sigmoid, 2) == six_digits(0.880797));
  for (double x = -20; x <= 20; x += 0.125) CHECK(slope_at(sigmoid, x) <= 0.25);
  const Function ten = [](Tensor x) {
    for (int i = 0; i < 10; ++i) x = sigmoid(x);
    return x;
  };
  for (const double x : {-3., 0., 0.5, 4.}) {
    CHECK(slope_at(ten, x) <= 9.54e-7);
    CHECK(slope_at(ten, x) > 0);
  }
}

TEST_CASE("§03 tanh(1) = 0.761594 = 2 sigmoid(2) - 1; it is odd, with slope 1 at 0") {
  const Function f = retrace::tanh;
  CHECK(at(f, 1) == six_digits(0.761594));
  CHECK(at(f, 1) == doctest::Approx(2 * at(sigmoid, 2) - 1).epsilon(1e-15));
  for (const double x : {0.1, 1.0, 7.0}) CHECK(at(f, -x) == -at(f, x));
  CHECK(slope_at(f, 0) == 1);
}

TEST_CASE("§04 relu has slope 1 above 0 at any depth, and a dead unit no gradient at all") {
  const Function deep = [](Tensor x) {
    for (int i = 0; i < 100; ++i) x = relu(x);
    return x;
  };
  CHECK(slope_at(deep, 0.3) == 1);
  const Tensor weight = doubles({1, -2}).requires_grad_();
  const Tensor inputs = doubles({1, 1, 0.5, 2, 3, 2}).view({3, 2});
  const Tensor before = inputs.matmul(weight);
  for (const double x : numbers(before)) CHECK(x < 0);
  relu(before).sum().backward();
  CHECK(numbers(weight.grad()) == Numbers{0, 0});
}

TEST_CASE("§05 leaky_relu(-2) = -0.02 with slope 0.01; prelu at -2 has da = -2") {
  const Function f = [](const Tensor& x) { return leaky_relu(x); };
  CHECK(at(f, -2) == -0.02);
  CHECK(slope_at(f, -2) == 0.01);
  const Tensor a = doubles({0.25}).requires_grad_();
  prelu(doubles({-2}), a).backward(doubles({1}));
  CHECK(a.grad().item<double>() == -2);
}

TEST_CASE("§06 elu(-1) = -0.632121; selu(1) = 1.050701, selu(-1) = -1.111331, limit -1.758099") {
  CHECK(at([](const Tensor& x) { return elu(x); }, -1) == six_digits(-0.632121));
  CHECK(at(selu, 1) == six_digits(1.050701));
  CHECK(at(selu, -1) == six_digits(-1.111331));
  CHECK(at(selu, -1e4) == doctest::Approx(-1.7580993408473766).epsilon(1e-15));
}

TEST_CASE("§06 through 50 layers selu keeps mean 0 and variance 1, where relu has nothing left") {
  constexpr std::int64_t kWidth = 512, kSamples = 256;
  const NoGradGuard no_grad;
  const auto through = [&](Tensor (*f)(const Tensor&)) {
    Generator generator(1);
    Tensor x = randn({kSamples, kWidth}, kFloat32, &generator);
    for (int layer = 0; layer < 50; ++layer) {
      const Tensor weight = randn({kWidth, kWidth}, kFloat32, &generator);
      x = f(linear(x, weight * (1 / std::sqrt(static_cast<double>(kWidth)))));
    }
    return x;
  };
  const Tensor kept = through(selu), lost = through(relu);
  CHECK(std::fabs(kept.mean().item<double>()) < 0.05);
  CHECK(kept.var().item<double>() > 0.9);
  CHECK(kept.var().item<double>() < 1.1);
  CHECK(lost.var().item<double>() < 1e-10);
  CHECK(lost.var().item<double>() > 0);
}

TEST_CASE("§07 gelu(1) = 0.841345, gelu(-1) = -0.158655; with tanh gelu(1) = 0.841192") {
  CHECK(at(kGelu, 1) == six_digits(0.841345));
  CHECK(at(kGelu, -1) == six_digits(-0.158655));
  CHECK(at(kGelu, 1) == doctest::Approx(0.8413447460685429).epsilon(1e-15));
  CHECK(at(kGeluTanh, 1) == six_digits(0.841192));
  for (const double x : {0.2, 1.0, 3.5})
    CHECK(at(kGelu, x) - at(kGelu, -x) == doctest::Approx(x).epsilon(1e-14));
}

TEST_CASE("§07 gelu is lowest at -0.751792, -0.169971; tanh is within 4.73e-4, quick in 0.0203") {
  const double x = lowest(kGelu, -2, 0);
  CHECK(x == doctest::Approx(-0.751792).epsilon(1e-5));
  CHECK(at(kGelu, x) == six_digits(-0.169971));
  double off_tanh = 0, off_quick = 0;
  for (double t = -5; t < 5; t += 1e-3) {
    off_tanh = std::max(off_tanh, std::fabs(at(kGelu, t) - at(kGeluTanh, t)));
    off_quick = std::max(off_quick, std::fabs(at(kGelu, t) - at(quick_gelu, t)));
  }
  CHECK(off_tanh == doctest::Approx(4.73e-4).epsilon(1e-3));
  CHECK(off_quick == doctest::Approx(0.0203).epsilon(3e-3));
}

TEST_CASE(
    "§08 silu(1) = 0.731059, lowest -0.278465; swish is silu for β = 1, nearly relu for 100") {
  CHECK(at(silu, 1) == six_digits(0.731059));
  const double x = lowest(silu, -3, 0);
  CHECK(x == doctest::Approx(-1.278465).epsilon(1e-5));
  CHECK(at(silu, x) == six_digits(-0.278465));
  for (double t = -5; t < 5; t += 0.01) {
    CHECK(at(silu, t) - at(silu, -t) == doctest::Approx(t).epsilon(1e-13));
    CHECK(at([](const Tensor& v) { return swish(v); }, t) == doctest::Approx(at(silu, t)));
    CHECK(std::fabs(at([](const Tensor& v) { return swish(v, 100); }, t) - at(relu, t)) < 0.003);
    CHECK(at([](const Tensor& v) { return swish(v, 0); }, t) == t / 2);
  }
}

TEST_CASE("§09 mish(1) = 0.865098, mish(-1) = -0.303401, lowest -0.308843 at -1.19243") {
  CHECK(at(mish, 1) == six_digits(0.865098));
  CHECK(at(mish, -1) == six_digits(-0.303401));
  const double x = lowest(mish, -3, 0);
  CHECK(x == doctest::Approx(-1.19243).epsilon(1e-5));
  CHECK(at(mish, x) == six_digits(-0.308843));
}

TEST_CASE("§10 softmax(1, 2, 3) = (0.090031, 0.244728, 0.665241), with 1000 added, too") {
  for (const double shift : {0., 1000.}) {
    const Numbers p = numbers(softmax(doubles({1, 2, 3}) + shift, 0));
    CHECK(p[0] == doctest::Approx(0.090031).epsilon(1e-5));
    CHECK(p[1] == doctest::Approx(0.244728).epsilon(1e-5));
    CHECK(p[2] == doctest::Approx(0.665241).epsilon(1e-5));
  }
  CHECK(numbers(softmax(doubles({1e4, -1e4, 0}), 0)) == Numbers{1, 0, 0});
  for (const double x : {-2., 0., 1.5})
    CHECK(numbers(softmax(doubles({x, 0}), 0))[0] == doctest::Approx(at(sigmoid, x)));
}

TEST_CASE("§11 glu of [a, 0] is a / 2; swiglu is silu times the other half") {
  const Tensor a = doubles({1, -2, 3}), gate = doubles({0.5, -1, 4});
  CHECK(glu(cat({a, zeros({3}, kFloat64)})).equal(a * 0.5));
  CHECK(close(numbers(swiglu(cat({a, gate}))), numbers(silu(gate) * a)));
  CHECK(close(numbers(swiglu(cat({gate, a}), 0, Gate::first)), numbers(silu(gate) * a)));
}

}  // namespace
