#include <retrace/autograd/autograd.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace {

using namespace retrace;

TEST_CASE("out of training, or with p = 0, dropout is x itself and draws nothing") {
  manual_seed(3);
  const Tensor x = tensor({1.0, 2.0, 3.0});
  CHECK(dropout(x, 0.5, false).is_same(x));
  CHECK(dropout(x, 0.0).is_same(x));
  CHECK(default_generator().position() == 0);
}

TEST_CASE("with p = 1 all goes, infinities and NaN too, and so does the gradient") {
  const double inf = std::numeric_limits<double>::infinity();
  Tensor x = tensor({1.0, inf, std::nan("")}).requires_grad_();
  const Tensor y = dropout(x, 1.0);
  CHECK(y.detach().equal(zeros({3})));
  y.backward(ones({3}));
  CHECK(x.grad().equal(zeros({3})));
}

TEST_CASE("what stays is divided by 1 - p, and as much stays as p says") {
  const std::int64_t n = 200003;
  for (const double p : {0.1, 0.5, 0.9}) {
    CAPTURE(p);
    manual_seed(5);
    Tensor x = ones({n}, kFloat64).requires_grad_();
    const Tensor y = dropout(x, p);
    std::int64_t kept = 0;
    for (const double v : y.to_vector<double>()) {
      const bool stays = v != 0.0;
      if (stays) CHECK(v == 1.0 / (1.0 - p));
      kept += stays;
    }
    const double mean = static_cast<double>(kept) / static_cast<double>(n);
    CHECK(std::abs(mean - (1 - p)) <= 5 * std::sqrt(p * (1 - p) / static_cast<double>(n)));
    y.backward(full({n}, 3.0, kFloat64));
    CHECK(x.grad().equal(y.detach() * 3.0));
  }
}

TEST_CASE("the mask depends on the generator's state alone") {
  Generator generator(9);
  const Tensor x = ones({1000, 301});
  const int before = num_threads();
  set_num_threads(1);
  const Tensor one = dropout(x, 0.3, true, &generator);
  const std::uint64_t used = generator.position();
  generator.set_state(9, 0);
  set_num_threads(2);
  const Tensor two = dropout(x, 0.3, true, &generator);
  set_num_threads(before);
  CHECK(one.equal(two));
  CHECK(used == 301 * 1000 / 4);
  CHECK(generator.position() == used);
  CHECK(!dropout(x, 0.3, true, &generator).equal(one));
  // Strides do not matter either.
  generator.set_state(9, 0);
  CHECK(dropout(ones({301, 1000}).t(), 0.3, true, &generator).equal(one));
}

TEST_CASE("gradients of dropout") {
  const auto f = [](const std::vector<Tensor>& in) {
    Generator generator(1);
    return dropout(in[0], 0.4, true, &generator);
  };
  const Tensor x = randn({4, 5}, kFloat64).requires_grad_();
  CHECK(gradcheck(f, {x}));
  CHECK(gradgradcheck(f, {x}));
  CHECK(dropout(zeros({0, 3}), 0.5).sizes() == Shape({0, 3}));
}

TEST_CASE("dropout refuses a p that is no probability") {
  for (const double p : {1.5, -0.1, std::nan("")})
    CHECK_THROWS_AS(dropout(ones({2}), p), ValueError);
  CHECK_THROWS_AS(dropout(ones({2}), 1.5, false), ValueError);
  CHECK_THROWS_AS(dropout(ones({2}, kInt64), 0.5), DTypeError);
  CHECK_THROWS_WITH(dropout(ones({2}), 1.5), "dropout: p is 1.5; give a probability in [0, 1]");
}

TEST_CASE("alpha_dropout keeps mean 0 and variance 1, and sends what it drops to one value") {
  const std::int64_t n = 200003;
  Generator generator(9);
  const Tensor x = randn({n}, kFloat64, &generator).requires_grad_();
  for (const double p : {0.1, 0.5, 0.9}) {
    CAPTURE(p);
    const Tensor y = alpha_dropout(x, p, true, &generator);
    CHECK(std::abs(y.mean().item<double>()) < 0.01);
    CHECK(y.var().item<double>() == doctest::Approx(1).epsilon(0.02));
    constexpr double kLimit = -1.7580993408473766;
    const double a = 1 / std::sqrt((1 - p) * (1 + p * kLimit * kLimit));
    x.zero_grad();
    y.sum().backward();
    const auto slopes = x.grad().to_vector<double>(), values = y.to_vector<double>();
    const auto before = x.to_vector<double>();
    std::int64_t dropped = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const bool kept = slopes[i] != 0;
      const double expected = a * (kept ? before[i] : kLimit) - a * p * kLimit;
      REQUIRE(slopes[i] == doctest::Approx(kept ? a : 0));
      REQUIRE(values[i] == doctest::Approx(expected).epsilon(1e-12));
      dropped += !kept;
    }
    const double part = static_cast<double>(dropped) / static_cast<double>(n);
    CHECK(std::abs(part - p) <= 5 * std::sqrt(p * (1 - p) / static_cast<double>(n)));
  }
  CHECK(alpha_dropout(x, 1.0).equal(zeros({n}, kFloat64)));
  CHECK(alpha_dropout(x, 0.5, false).is_same(x));
  CHECK_THROWS_AS(alpha_dropout(x, 1.5), ValueError);
}

}  // namespace
