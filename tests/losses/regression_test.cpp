#include <retrace/autograd/autograd.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/losses/losses.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tests/random.h>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

namespace {

using namespace retrace;
using losses::l1_loss;
using losses::mse_loss;

TEST_CASE("squared and absolute errors") {
  CHECK(mse_loss(tensor({4.0}), tensor({0.0})).item<float>() == 16.0f);
  CHECK(l1_loss(tensor({4.0}), tensor({0.0})).item<float>() == 4.0f);
  const Tensor x = tensor({{1.0, -2.0}, {0.0, 3.0}}), t = tensor({{0.0, 2.0}, {0.0, 1.0}});
  CHECK(mse_loss(x, t, {Reduction::none}).equal(tensor({{1.0, 16.0}, {0.0, 4.0}})));
  CHECK(mse_loss(x, t).equal(tensor(5.25)));
  CHECK(mse_loss(x, t, {.reduction = Reduction::sum}).equal(tensor(21.0)));
  CHECK(l1_loss(x, t, {Reduction::none}).equal(tensor({{1.0, 4.0}, {0.0, 2.0}})));
  CHECK(l1_loss(x, t).equal(tensor(1.75)));
  CHECK(mse_loss(tensor(3.0), tensor(1.0)).equal(tensor(4.0)));
  CHECK(mse_loss(x.t(), t.t(), {Reduction::none}).equal(mse_loss(x, t, {Reduction::none}).t()));
  CHECK(mse_loss(x.t(), t, {Reduction::sum}).equal(tensor(1.0 + 4.0 + 4.0 + 4.0)));
}

TEST_CASE("gradients of both arguments, first and second") {
  for (const Reduction reduction : {Reduction::none, Reduction::mean, Reduction::sum}) {
    const auto f = [reduction](const std::vector<Tensor>& in) {
      return mse_loss(in[0], in[1], {reduction});
    };
    const auto g = [reduction](const std::vector<Tensor>& in) {
      return l1_loss(in[0], in[1].t(), {reduction});
    };
    const Tensor x = random({3, 4}).requires_grad_();
    CHECK(gradcheck(f, {x, random({3, 4}).requires_grad_()}));
    CHECK(gradgradcheck(f, {x, random({3, 4}).requires_grad_()}));
    CHECK(gradcheck(f, {x, random({3, 4})}));
    CHECK(gradcheck(g, {x, random({4, 3}).requires_grad_()}));
  }
  Tensor x = tensor({1.0, 2.0}).requires_grad_();
  l1_loss(x, tensor({1.0, 5.0}), {Reduction::sum}).backward();
  CHECK(x.grad().equal(tensor({0.0, -1.0})));
}

TEST_CASE("many elements: float32's digits, and the same bits with any number of threads") {
  const std::int64_t n = 1000003;
  const Tensor x = full({n}, 0.1f), t = zeros({n});
  const double exact = static_cast<double>(0.1f * 0.1f);
  CHECK(std::abs(mse_loss(x, t).item<double>() - exact) <= 1e-7 * exact);
  const int before = num_threads();
  const Tensor a = random({n}, kFloat32), b = random({n}, kFloat32);
  std::vector<Tensor> results[2];
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    Tensor in = a.clone().requires_grad_();
    const Tensor loss = mse_loss(in, b);
    loss.backward();
    results[threads - 1] = {loss.detach(), in.grad()};
  }
  set_num_threads(before);
  CHECK(results[0][0].equal(results[1][0]));
  CHECK(results[0][1].equal(results[1][1]));
}

TEST_CASE("of nothing the mean is NaN, the sum 0") {
  const Tensor x = zeros({0, 2});
  CHECK(std::isnan(mse_loss(x, x).item<float>()));
  CHECK(mse_loss(x, x, {Reduction::sum}).item<float>() == 0.0f);
  CHECK(mse_loss(x, x, {Reduction::none}).sizes() == Shape({0, 2}));
  Tensor in = zeros({0, 2}).requires_grad_();
  mse_loss(in, x).backward();
  CHECK(in.grad().sizes() == Shape({0, 2}));
}

TEST_CASE("shapes and dtypes must agree: nothing is broadcast") {
  CHECK_THROWS_AS(mse_loss(zeros({5, 1}), zeros({5})), ShapeError);
  CHECK_THROWS_WITH(mse_loss(zeros({5}), zeros({4})),
                    "mse_loss: input is [5], target [4]; they must be equal, nothing is "
                    "broadcast: reshape one of them");
  CHECK_THROWS_AS(mse_loss(zeros({5}), zeros({5}, kFloat64)), DTypeError);
  CHECK_THROWS_AS(l1_loss(zeros({5}, kInt64), zeros({5}, kInt64)), DTypeError);
  CHECK_THROWS_AS(l1_loss(Tensor(), zeros({5})), ValueError);
}

// Where f is least between low and high, by golden section.
template <class F>
double best_constant(double low, double high, F f) {
  const double ratio = (std::sqrt(5.0) - 1) / 2;
  while (high - low > 1e-9) {
    const double a = high - ratio * (high - low), b = low + ratio * (high - low);
    (f(a) < f(b) ? high : low) = f(a) < f(b) ? b : a;
  }
  return (low + high) / 2;
}

// Loss of an error, and its slope.
template <class Loss>
std::pair<double, double> at_error(double error, const Loss& loss) {
  Tensor x = full({}, 5 + error, kFloat64).requires_grad_();
  const Tensor y = loss(x, full({}, 5.0, kFloat64));
  y.backward();
  return {y.template item<double>(), x.grad().template item<double>()};
}

TEST_CASE("§13 squared error: 4 costs 16, 1 costs 1; its best constant is the mean") {
  const auto mse = [](const Tensor& x, const Tensor& t) { return mse_loss(x, t); };
  CHECK(at_error(4, mse) == std::pair(16.0, 8.0));
  CHECK(at_error(-1, mse) == std::pair(1.0, -2.0));
  const Tensor data = tensor({1.0, 2.0, 2.5, 4.0, 20.0}, kFloat64);
  const double best = best_constant(
      0, 30, [&](double c) { return mse_loss(full_like(data, c), data).item<double>(); });
  CHECK(best == doctest::Approx(5.9).epsilon(1e-7));
}

TEST_CASE(
    "§14 absolute error: 4 costs 4, the slope is ±1 whatever the size; the best constant is "
    "the median") {
  const auto l1 = [](const Tensor& x, const Tensor& t) { return l1_loss(x, t); };
  CHECK(at_error(4, l1) == std::pair(4.0, 1.0));
  CHECK(at_error(-1e4, l1) == std::pair(1e4, -1.0));
  CHECK(at_error(0, l1) == std::pair(0.0, 0.0));
  const Tensor data = tensor({1.0, 2.0, 2.5, 4.0, 20.0}, kFloat64);
  const double best = best_constant(
      0, 30, [&](double c) { return l1_loss(full_like(data, c), data).item<double>(); });
  CHECK(best == doctest::Approx(2.5).epsilon(1e-7));
}

TEST_CASE("§15 Huber: square near, straight far, its slope never above δ") {
  const auto huber = [](double delta) {
    return [delta](const Tensor& x, const Tensor& t) {
      return losses::huber_loss(x, t, {.delta = delta});
    };
  };
  const auto smooth_l1 = [](double beta) {
    return [beta](const Tensor& x, const Tensor& t) {
      return losses::smooth_l1_loss(x, t, {.beta = beta});
    };
  };
  CHECK(at_error(0.5, huber(1)) == std::pair(0.125, 0.5));
  CHECK(at_error(4, huber(1)) == std::pair(3.5, 1.0));
  CHECK(at_error(-4, huber(1)) == std::pair(3.5, -1.0));
  CHECK(at_error(1, huber(1)) == std::pair(0.5, 1.0));  // both pieces meet, with one slope
  for (const double delta : {0.25, 1.0, 2.0}) {
    for (const double error : {-1e4, -3.0, -1.5, -0.5, 0.0, 0.125, 1.25, 2.0, 7.0}) {
      const auto [value, slope] = at_error(error, huber(delta));
      const auto [other, other_slope] = at_error(error, smooth_l1(delta));
      CHECK(value == doctest::Approx(delta * other).epsilon(1e-15));
      CHECK(slope == doctest::Approx(delta * other_slope).epsilon(1e-15));
      CHECK(std::abs(slope) <= delta);
    }
  }
  // The limits: all square, all straight.
  CHECK(at_error(3, huber(1e6)) == std::pair(4.5, 3.0));
  CHECK(at_error(3, smooth_l1(1e6)).first < 1e-5);
  CHECK(at_error(3, huber(1e-6)).first < 1e-5);
  CHECK(at_error(3, smooth_l1(1e-6)).first == doctest::Approx(3).epsilon(1e-6));
  CHECK(at_error(3, smooth_l1(0)) == std::pair(3.0, 1.0));
  CHECK(at_error(-3, smooth_l1(0)) == std::pair(3.0, -1.0));
  const Tensor x = random({3, 4}).requires_grad_(), t = random({4, 3}).requires_grad_();
  for (const double width : {0.5, 1.0}) {
    CHECK(gradgradcheck(
        [width](const std::vector<Tensor>& in) {
          return losses::huber_loss(in[0], in[1].t(), {.delta = width});
        },
        {x, t}));
  }
  CHECK_THROWS_WITH_AS(losses::huber_loss(x, x, {.delta = 0}),
                       "huber_loss: delta is 0; it must be above 0 and finite", ValueError);
  CHECK_THROWS_AS(losses::huber_loss(x, x, {.delta = -1}), ValueError);
  CHECK_THROWS_AS(losses::huber_loss(x, x, {.delta = std::nan("")}), ValueError);
  CHECK_THROWS_WITH_AS(losses::smooth_l1_loss(x, x, {.beta = -1}),
                       "smooth_l1_loss: beta is -1; it must be at least 0", ValueError);
}

TEST_CASE("log_cosh keeps the digits of small errors and does not overflow for large ones") {
  const auto log_cosh = [](const Tensor& x, const Tensor& t) {
    return losses::log_cosh_loss(x, t);
  };
  CHECK(at_error(1e4, log_cosh).first == doctest::Approx(1e4 - std::log(2.0)).epsilon(1e-15));
  CHECK(at_error(-1e4, log_cosh).second == -1.0);
  CHECK(at_error(0.5, log_cosh).first == doctest::Approx(std::log(std::cosh(0.5))).epsilon(1e-15));
  CHECK(at_error(1.5, log_cosh).second == doctest::Approx(std::tanh(1.5)).epsilon(1e-15));
  for (const DType dtype : {kFloat32, kFloat64}) {
    for (const double error : {1e-9, 1e-6, 1e-4, 0.01}) {
      const Tensor y = losses::log_cosh_loss(full({}, error, dtype), zeros({}, dtype));
      const double exact = error * error / 2 - std::pow(error, 4) / 12;
      CHECK(y.item<double>() ==
            doctest::Approx(exact).epsilon(dtype == kFloat32 ? 1e-6 : 1e-8).scale(0));
    }
  }
}

TEST_CASE("regression losses whose squares or rates overflow float32, though they do not") {
  const auto number = [](double value) { return full({}, value, kFloat32); };
  for (const double x : {89.0, 100.0}) {  // e^89 is infinite in float32
    const Tensor t = number(3).requires_grad_();
    losses::poisson_nll_loss(number(x), t, {.full = true}).backward();
    CHECK(t.grad().item<float>() == doctest::Approx(-x + std::log(3) + 1 / 6.0).epsilon(1e-7));
  }
  CHECK(losses::gaussian_nll_loss(number(1e20), number(0), number(1e30)).item<float>() ==
        doctest::Approx(5e9).epsilon(1e-7));
  CHECK(losses::smooth_l1_loss(number(1e25), number(0), {.beta = 1e30}).item<float>() ==
        doctest::Approx(5e19).epsilon(1e-7));
}

TEST_CASE("Poisson: the best rate is the mean count; Stirling's term only above 1") {
  const Tensor counts = tensor({0.0, 1.0, 3.0, 8.0}, kFloat64);
  for (const bool log_input : {true, false}) {
    const double best = best_constant(-1, 10, [&](double c) {
      const Tensor rate = full_like(counts, log_input ? c : std::max(c, 1e-3));
      return losses::poisson_nll_loss(rate, counts, {.log_input = log_input}).item<double>();
    });
    CHECK((log_input ? std::exp(best) : best) == doctest::Approx(3).epsilon(1e-6));
  }
  const auto full_minus_short = [&](const Tensor& t) {
    const Tensor x = zeros({}, kFloat64);
    return losses::poisson_nll_loss(x, t, {.full = true}).item<double>() -
           losses::poisson_nll_loss(x, t).item<double>();
  };
  CHECK(full_minus_short(tensor(0.0, kFloat64)) == 0.0);
  CHECK(full_minus_short(tensor(1.0, kFloat64)) == 0.0);
  CHECK(full_minus_short(tensor(10.0, kFloat64)) ==
        doctest::Approx(std::lgamma(11.0)).epsilon(1e-3));
  // A rate of 0 costs what ε leaves of it.
  CHECK(losses::poisson_nll_loss(tensor(0.0), tensor(1.0), {.log_input = false}).item<double>() ==
        doctest::Approx(-std::log(1e-8)));
  CHECK_THROWS_WITH_AS(losses::poisson_nll_loss(counts, counts, {.eps = -1}),
                       "poisson_nll_loss: eps is -1; it must be at least 0", ValueError);
}

TEST_CASE(
    "Gaussian: mean and variance of the data are the best; a small variance keeps a way out") {
  const Tensor data = tensor({1.0, 2.0, 6.0}, kFloat64);
  const auto loss = [&](double mean, double variance) {
    return losses::gaussian_nll_loss(full_like(data, mean), data, full_like(data, variance))
        .item<double>();
  };
  CHECK(best_constant(0, 9, [&](double c) { return loss(c, 2); }) ==
        doctest::Approx(3).epsilon(1e-6));
  CHECK(best_constant(0.1, 30, [&](double v) { return loss(3, v); }) ==
        doctest::Approx(14 / 3.0).epsilon(1e-6));
  // ln of the density itself, with `full`.
  CHECK(losses::gaussian_nll_loss(tensor(0.0), tensor(0.0), tensor(1.0), {.full = true})
            .item<double>() == doctest::Approx(0.918938533204673));

  // var 0 counts as ε, and its gradient says that it is too small.
  Tensor var = zeros({2}, kFloat64).requires_grad_();
  const Tensor x = tensor({1.0, 0.0}, kFloat64), t = zeros({2}, kFloat64);
  const Tensor y = losses::gaussian_nll_loss(x, t, var, {.eps = 0.5, .reduction = Reduction::none});
  CHECK(y[0].item<double>() == doctest::Approx(0.5 * (std::log(0.5) + 2)));
  y.backward(ones({2}, kFloat64));
  CHECK(var.grad().equal(tensor({0.5 * (2.0 - 4.0), 0.5 * 2.0}, kFloat64)));

  // One variance for a row, in either shape, is the same as repeating it.
  const Tensor in = random({3, 4}), to = random({3, 4}), rows = random({3}).square() + 0.5;
  Tensor a = rows.clone().requires_grad_(), b = rows.clone().unsqueeze(1).requires_grad_();
  Tensor c = rows.clone().unsqueeze(1).expand({3, 4}).contiguous().requires_grad_();
  const Tensor ya = losses::gaussian_nll_loss(in, to, a);
  const Tensor yb = losses::gaussian_nll_loss(in, to, b), yc = losses::gaussian_nll_loss(in, to, c);
  CHECK(ya.equal(yc));
  CHECK(yb.equal(yc));
  CHECK(Backprop(ya).tape()[0]->name() == "gaussian_nll_loss");
  CHECK(Backprop(ya).tape().size() == 1);
  for (const Tensor& loss_of : {ya, yb, yc}) loss_of.backward();
  CHECK((a.grad() - c.grad().sum(1)).abs().max().item<double>() < 1e-15);
  CHECK(b.grad().squeeze(1).equal(a.grad()));

  CHECK_THROWS_WITH_AS(
      losses::gaussian_nll_loss(x, t, tensor({1.0, -2.0}, kFloat64)),
      "gaussian_nll_loss: var [2] holds -2 (element 1); it must be a variance, which is not "
      "negative: take exp or softplus of what predicts it",
      ValueError);
  CHECK_THROWS_WITH_AS(losses::gaussian_nll_loss(in, to, ones({4}, kFloat64)),
                       "gaussian_nll_loss: var is [4] for an input [3, 4]; it must be of the same "
                       "shape, or its last dim 1 or left out",
                       ShapeError);
  CHECK_THROWS_AS(losses::gaussian_nll_loss(in, to, rows, {.eps = -1e-3}), ValueError);
}

}  // namespace
