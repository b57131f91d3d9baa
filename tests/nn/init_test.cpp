#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numbers>

#include <retrace/autograd/autograd.h>
#include <retrace/nn/init.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/difference.h>
#include <retrace/tests/files.h>

using namespace retrace;
namespace init = nn::init;
using init::FanMode;
using init::Nonlinearity;
using retrace::testing::message_of;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

struct Moments {
  double mean = 0, std = 0, low = kInfinity, high = -kInfinity;
};

Moments moments_of(const Tensor& x) {
  Moments m;
  const auto values = x.to_vector<double>();
  const auto n = static_cast<double>(values.size());
  for (const double v : values) m.mean += v / n;
  for (const double v : values) {
    m.std += (v - m.mean) * (v - m.mean) / n;
    m.low = std::min(m.low, v);
    m.high = std::max(m.high, v);
  }
  m.std = std::sqrt(m.std);
  return m;
}

}  // namespace

TEST_CASE("gains") {
  CHECK(init::calculate_gain(Nonlinearity::linear) == 1);
  CHECK(init::calculate_gain(Nonlinearity::sigmoid) == 1);
  CHECK(init::calculate_gain(Nonlinearity::tanh) == 5.0 / 3);
  CHECK(init::calculate_gain(Nonlinearity::relu) == std::sqrt(2.0));
  CHECK(init::calculate_gain(Nonlinearity::selu) == 0.75);
  CHECK(init::calculate_gain(Nonlinearity::leaky_relu) ==
        doctest::Approx(1.4141428569978354).epsilon(1e-14));
  CHECK(init::calculate_gain(Nonlinearity::leaky_relu, 0.2) ==
        doctest::Approx(1.3867504905630728).epsilon(1e-14));
}

TEST_CASE("scales for a matrix and for a kernel") {
  const auto near = [](double value) { return doctest::Approx(value).epsilon(1e-14); };
  const init::KaimingOptions relu{.nonlinearity = Nonlinearity::relu};
  CHECK(init::xavier_uniform_bound({64, 32}) == near(0.25));
  CHECK(init::xavier_normal_std({64, 32}) == near(0.14433756729740643));
  CHECK(init::kaiming_uniform_bound({64, 32}, relu) == near(0.4330127018922193));
  CHECK(init::kaiming_normal_std({64, 32}, relu) == near(0.25));
  CHECK(init::lecun_normal_std({64, 32}) == near(0.1767766952966369));
  CHECK(init::xavier_uniform_bound({8, 4, 3, 3}) == near(0.23570226039551584));
  CHECK(init::xavier_normal_std({8, 4, 3, 3}) == near(0.13608276348795434));
  CHECK(init::kaiming_uniform_bound({8, 4, 3, 3}, relu) == near(0.408248290463863));
  CHECK(init::kaiming_normal_std({8, 4, 3, 3}, relu) == near(0.23570226039551584));
  CHECK(init::lecun_normal_std({8, 4, 3, 3}) == near(0.16666666666666666));
  CHECK(init::kaiming_normal_std({64, 32}, {.mode = FanMode::fan_out}) ==
        near(std::sqrt(2.0 / 64)));
  // torch.nn.Linear: kaiming_uniform_ with a = √5 is uniform in ±1/√in.
  CHECK(init::kaiming_uniform_bound({7, 16}, {.a = std::sqrt(5.0)}) == near(0.25));
  CHECK(!message_of<ShapeError>([] { init::fans_of({3}); }).empty());
}

TEST_CASE("filled tensors have those scales, stay the same leaf and are not recorded") {
  Generator generator(5);
  Tensor w = empty({200, 300}).requires_grad_();
  const auto version = w.version();
  Tensor same = init::xavier_uniform_(w, 2, &generator);
  CHECK(same.is_same(w));
  CHECK(w.is_leaf());
  CHECK(w.version() > version);
  Moments m = moments_of(w);
  const double bound = init::xavier_uniform_bound({200, 300}, 2);
  CHECK(m.high <= bound);
  CHECK(m.low >= -bound);
  CHECK(m.std == doctest::Approx(bound / std::sqrt(3.0)).epsilon(0.02));
  CHECK(std::abs(m.mean) < 5 * bound / std::sqrt(3.0 * 60000));
  const auto deviation = [&](const Tensor& x) { return moments_of(x).std; };
  CHECK(deviation(init::xavier_normal_(w, 1, &generator)) ==
        doctest::Approx(init::xavier_normal_std({200, 300})).epsilon(0.02));
  CHECK(deviation(init::kaiming_normal_(w, {}, &generator)) ==
        doctest::Approx(std::sqrt(2.0 / 300)).epsilon(0.02));
  CHECK(deviation(init::kaiming_uniform_(w, {}, &generator)) ==
        doctest::Approx(std::sqrt(2.0 / 300)).epsilon(0.02));
  CHECK(deviation(init::lecun_normal_(w, &generator)) ==
        doctest::Approx(std::sqrt(1.0 / 300)).epsilon(0.02));
  CHECK(deviation(init::normal_(w, 3, 0.5, &generator)) == doctest::Approx(0.5).epsilon(0.02));
  m = moments_of(init::uniform_(w, -3, 5, &generator));
  CHECK(m.low >= -3);
  CHECK(m.high < 5);
  CHECK(m.mean == doctest::Approx(1).epsilon(0.05));
}

TEST_CASE("constants and the identity") {
  Tensor w = empty({2, 3}).requires_grad_();
  CHECK(init::constant_(w, 2.5).equal(full({2, 3}, 2.5)));
  CHECK(init::ones_(w).equal(ones({2, 3})));
  CHECK(init::zeros_(w).equal(zeros({2, 3})));
  CHECK(init::eye_(w).equal(tensor({{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}})));
  CHECK(!message_of<ShapeError>([] { init::eye_(zeros({3})); }).empty());
}

TEST_CASE("views are filled where they lie") {
  const Tensor base = zeros({4, 6});
  init::ones_(base.t().slice(0, 0, 6, 2));
  CHECK(base.sum().item<float>() == 12);
  init::uniform_(base.t()[1], 1, 2);
  CHECK(base.select(1, 1).sum().item<float>() >= 4);
  CHECK(base.select(1, 3).sum().item<float>() == 0);
}

TEST_CASE("the truncated normal stays inside and has the moments of its formula") {
  struct Case {
    double mean, std, low, high;
  };
  for (const Case& c : {Case{0, 1, -2, 2}, Case{0, 0.02, -0.04, 0.04}, Case{1, 2, 0, 1.5},
                        Case{0, 1, 3, 3.1}, Case{0, 1, 4, kInfinity}, Case{0, 1, -kInfinity, -5},
                        Case{0, 1, 2, 9}, Case{0, 1, -kInfinity, kInfinity}}) {
    CAPTURE(c.low);
    CAPTURE(c.high);
    Generator generator(11);
    constexpr std::int64_t n = 100'000;
    const Moments m = moments_of(
        init::trunc_normal_(empty({n}, kFloat64), c.mean, c.std, c.low, c.high, &generator));
    CHECK(m.low >= c.low);
    CHECK(m.high <= c.high);
    const auto pdf = [](double x) {
      return std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi);
    };
    // Of the upper tail, so that nothing cancels far out.
    const auto tail = [](double x) { return std::erfc(x / std::numbers::sqrt2) / 2; };
    double a = (c.low - c.mean) / c.std, b = (c.high - c.mean) / c.std, sign = 1;
    if (b < 0) a = -std::exchange(b, -a), sign = -1;
    const double mass = tail(a) - tail(b);
    const double shift = (pdf(a) - pdf(b)) / mass;
    const double a_pdf = std::isinf(a) ? 0 : a * pdf(a), b_pdf = std::isinf(b) ? 0 : b * pdf(b);
    const double std = c.std * std::sqrt(1 + (a_pdf - b_pdf) / mass - shift * shift);
    CHECK(std::abs(m.mean - (c.mean + sign * c.std * shift)) < 5 * std / std::sqrt(double(n)));
    CHECK(m.std == doctest::Approx(std).epsilon(0.02));
  }
}

TEST_CASE("the same seed gives the same numbers") {
  const auto draw = [] {
    Generator generator(3);
    return init::trunc_normal_(empty({100}), 0, 1, -1, 1, &generator);
  };
  CHECK(draw().equal(draw()));
}

TEST_CASE("orthogonal matrices") {
  for (const Shape& sizes : {Shape{5, 5}, Shape{7, 3}, Shape{3, 7}, Shape{4, 2, 3}, Shape{1, 6},
                             Shape{6, 1}, Shape{64, 48}}) {
    CAPTURE(sizes.str());
    const Tensor w = init::orthogonal_(empty(sizes, kFloat64), 2);
    const Tensor matrix = w.flatten(1);
    const bool tall = matrix.size(0) > matrix.size(1);
    const Tensor product = tall ? matrix.t().matmul(matrix) : matrix.matmul(matrix.t());
    CHECK(largest_difference(product, eye(product.size(0), kFloat64) * 4.0) < 1e-13);
  }
  CHECK(init::orthogonal_(empty({0, 3})).numel() == 0);
  CHECK(!message_of<ShapeError>([] { init::orthogonal_(empty({3})); }).empty());
}

TEST_CASE("a truncated normal far from its mean is at the nearer end") {
  for (const double std : {1e-12, 1e-160, 1e-310}) {
    const Tensor low = init::trunc_normal_(empty({3}, kFloat64), -1, std, 0, 2);
    CHECK(low.min().item<double>() >= 0);
    CHECK(low.max().item<double>() < 1e-15);
    const Tensor high = init::trunc_normal_(empty({3}, kFloat64), 9, std, 0, 2);
    CHECK(high.max().item<double>() <= 2);
    CHECK(high.min().item<double>() > 2 - 1e-14);
  }
}

TEST_CASE("bad arguments are refused and fill nothing") {
  const Tensor w = ones({2, 2}), whole = ones({2, 2}, kInt64);
  const double nan = std::nan("");
  CHECK(!message_of<ValueError>([&] { init::uniform_(w, 1, 0); }).empty());
  CHECK(!message_of<ValueError>([&] { init::uniform_(w, nan, 0); }).empty());
  CHECK(!message_of<ValueError>([&] { init::normal_(w, 0, -1); }).empty());
  CHECK(!message_of<ValueError>([&] { init::normal_(w, nan, 1); }).empty());
  CHECK(!message_of<ValueError>([&] { init::trunc_normal_(w, 0, 0); }).empty());
  CHECK(!message_of<ValueError>([&] { init::trunc_normal_(w, 0, 1, 2, 2); }).empty());
  CHECK(!message_of<DTypeError>([&] { init::uniform_(whole); }).empty());
  CHECK(!message_of<DTypeError>([&] { init::orthogonal_(whole); }).empty());
  CHECK(!message_of<DTypeError>([&] { init::trunc_normal_(whole); }).empty());
  CHECK(!message_of<ValueError>([] { init::normal_({}); }).empty());
  CHECK(w.equal(ones({2, 2})));
}
