#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/autograd/numbers.h>

namespace {

using namespace retrace;
using losses::quantile_crossing_penalty;
using losses::quantile_loss;
using losses::quantile_noncrossing;
using testing::gradient_of;
using testing::holds;
using testing::leaf;

Tensor number(double value) { return full({}, value, kFloat64); }

}  // namespace

TEST_CASE("§16 τ = 0.9: one too low costs 0.9, one too high 0.1") {
  CHECK(quantile_loss(number(4), number(5), 0.9).item<double>() == doctest::Approx(0.9));
  CHECK(quantile_loss(number(6), number(5), 0.9).item<double>() == doctest::Approx(0.1));
  const Tensor x = leaf({4, 6, 5}), t = leaf({5, 5, 5});
  const Tensor y = quantile_loss(x, t, 0.9, {Reduction::sum});
  y.backward();
  CHECK(holds(x.grad(), {-0.9, 0.1, 0.5 - 0.9}, 1e-15));  // equal: half way between both sides
  CHECK(holds(t.grad(), {0.9, -0.1, 0.9 - 0.5}, 1e-15));
}

TEST_CASE("§16 of the data 1 to 100 the best constant for τ = 0.9 is 90, at a mean loss of 4.5") {
  const Tensor data = arange(1, 101, kFloat64);
  const auto loss = [&](double c) {
    return quantile_loss(full_like(data, c), data, 0.9).item<double>();
  };
  CHECK(loss(90) == doctest::Approx(4.5).epsilon(1e-14));
  CHECK(loss(91) == doctest::Approx(4.5).epsilon(1e-14));
  CHECK(loss(90.5) == doctest::Approx(4.5).epsilon(1e-14));
  for (const double c : {1.0, 50.0, 89.0, 89.99, 91.01, 92.0, 100.0}) CHECK(loss(c) > 4.5 + 9e-5);
  // τ-quantiles of other levels: where the slope changes its sign.
  for (const double tau : {0.1, 0.25, 0.5}) {
    const auto slope = [&](double c) {
      const Tensor x = full_like(data, c).requires_grad_();
      quantile_loss(x, data, tau, {Reduction::sum}).backward();
      return x.grad().sum().item<double>();
    };
    CHECK(slope(100 * tau - 0.5) < 0);
    CHECK(slope(100 * tau + 1.5) > 0);
  }
}

TEST_CASE("§16 τ = ½ is half of the absolute error") {
  manual_seed(1);
  const Tensor x = randn({3, 4}, kFloat64), t = randn({3, 4}, kFloat64);
  for (const Reduction r : {Reduction::none, Reduction::mean, Reduction::sum})
    CHECK((quantile_loss(x, t, 0.5, {r}) * 2 - losses::l1_loss(x, t, {r}))
              .abs()
              .max()
              .item<double>() < 1e-15);
}

TEST_CASE("many levels at once are the single ones, column by column") {
  manual_seed(2);
  const std::vector<double> taus = {0.1, 0.5, 0.9};
  const Tensor x = randn({2, 4, 3}, kFloat64).requires_grad_();
  const Tensor t = randn({2, 4}, kFloat64).requires_grad_();
  const Tensor each = quantile_loss(x, t, taus, {Reduction::none});
  CHECK(each.sizes() == Shape{2, 4, 3});
  for (std::int64_t q = 0; q < 3; ++q) {
    const Tensor one = quantile_loss(x.detach().select(2, q), t.detach(),
                                     taus[static_cast<std::size_t>(q)], {Reduction::none});
    CHECK(each.detach().select(2, q).equal(one));
  }
  CHECK(quantile_loss(x, t, taus).item<double>() ==
        doctest::Approx(each.sum().item<double>() / 24).epsilon(1e-14));
  const Tensor mean = quantile_loss(x, t, taus);
  CHECK(Backprop(mean).tape().size() == 1);  // one node, though the targets are repeated
  mean.backward();
  CHECK(t.grad().sizes() == Shape{2, 4});
  CHECK((t.grad() + x.grad().sum(-1)).abs().max().item<double>() < 1e-15);
}

TEST_CASE("the slopes of a quantile near 0 or 1 are -τ and 1 - τ to the last bit of float32") {
  const auto slope = [](double x, double tau) {
    Tensor at = tensor(x, kFloat32).requires_grad_();
    quantile_loss(at, tensor(0.0, kFloat32), tau).backward();
    return at.grad().item<float>();
  };
  const std::vector<double> taus = {1e-3, 1e-10, 1e-50, 1 - 1e-10};
  Tensor below = full({4}, -1, kFloat32).requires_grad_(), above = ones({4}).requires_grad_();
  for (const Tensor& x : {below, above})
    quantile_loss(x, tensor(0.0, kFloat32), taus, {Reduction::sum}).backward();
  for (std::size_t q = 0; q < taus.size(); ++q) {
    const float tau = static_cast<float>(taus[q]), rest = static_cast<float>(1 - taus[q]);
    CHECK(slope(-1, taus[q]) == -tau);
    CHECK(slope(1, taus[q]) == rest);
    CHECK(below.grad()[static_cast<std::int64_t>(q)].item<float>() == -tau);
    CHECK(above.grad()[static_cast<std::int64_t>(q)].item<float>() == rest);
  }
}

TEST_CASE("non-crossing quantiles ascend for any numbers, and are what the formula says") {
  const Tensor raw = leaf({1, 0, -2, -1e4, 1e4, -1e4, 5, 800, 30}, {3, 3});
  const Tensor q = quantile_noncrossing(raw);
  const double sp0 = std::log(2.0), sp2 = std::log1p(std::exp(-2.0));
  CHECK(holds(q, {3, 3}, {1, 1 + sp0, 1 + sp0 + sp2, -1e4, 0, 0, 5, 805, 835}, 1e-14));
  const Tensor g = gradient_of(q, raw, {0, 0, 1, 0, 0, 1, 1, 1, 1});
  const double s2 = 1 / (1 + std::exp(2.0));
  CHECK(holds(g, {3, 3}, {1, 0.5, s2, 1, 1, 0, 3, 2, 1}, 1e-12));
  CHECK(quantile_crossing_penalty(q.detach()).item<double>() == 0.0);
  CHECK(holds(quantile_noncrossing(leaf({3, 4}, {2, 1})), {2, 1}, {3, 4}));
}

TEST_CASE("the crossing penalty is what stands in the wrong order") {
  const Tensor q = leaf({1, 3, 2, 0, 0, 4}, {2, 3});
  const Tensor each = quantile_crossing_penalty(q, {Reduction::none});
  CHECK(holds(each, {2, 2}, {0, 1, 0, 0}));
  CHECK(quantile_crossing_penalty(q).item<double>() == 0.25);
  CHECK(quantile_crossing_penalty(q, {Reduction::sum}).item<double>() == 1.0);
  // Equal neighbours do not cross: no gradient.
  CHECK(holds(gradient_of(each, q, {1, 1, 1, 1}), {2, 3}, {0, 1, -1, 0, 0, 0}));
}

TEST_CASE("what quantile losses refuse") {
  const Tensor x = zeros({4, 3}), t = zeros({4});
  for (const double tau : {0.0, 1.0, -0.1, 1.5, std::nan("")})
    CHECK_THROWS_AS(quantile_loss(x, x, tau), ValueError);
  CHECK_THROWS_WITH(quantile_loss(x, x, 1.5),
                    "quantile_loss: tau is 1.5; it must be between 0 and 1, both excluded");
  CHECK_THROWS_AS(quantile_loss(x, t, {0.1, 0.5, 1.0}), ValueError);
  CHECK_THROWS_WITH_AS(quantile_loss(x, t, {0.1, 0.9}),
                       "quantile_loss: input is [4, 3] for targets [4] and 2 levels; it must be "
                       "[4, 2], a column for each level",
                       ShapeError);
  CHECK_THROWS_AS(quantile_loss(x, zeros({3}), {0.1, 0.5, 0.9}), ShapeError);
  CHECK_THROWS_AS(quantile_loss(x, t.to(kFloat64), {0.1, 0.5, 0.9}), DTypeError);
  CHECK_THROWS_AS(quantile_loss(x, t, 0.5), ShapeError);
  CHECK_THROWS_WITH_AS(quantile_noncrossing(zeros({2, 0})),
                       "quantile_noncrossing: the input is [2, 0]; its last dim must hold at least "
                       "one number",
                       ShapeError);
  CHECK_THROWS_AS(quantile_noncrossing(tensor(1.0)), ShapeError);
  CHECK_THROWS_WITH_AS(quantile_crossing_penalty(zeros({2, 1})),
                       "quantile_crossing_penalty: the input is [2, 1]; its last dim must hold two "
                       "quantiles or more",
                       ShapeError);
  CHECK_THROWS_AS(quantile_crossing_penalty(zeros({2, 2}, kInt64)), DTypeError);
}
