#include <doctest/doctest.h>
#include <fmt/format.h>

#include <retrace/retrace.h>
#include <retrace/tests/autograd/numbers.h>

namespace {

using namespace retrace;
using namespace retrace::losses;
using testing::gradient_of;
using testing::holds;
using testing::leaf;
using testing::Numbers;

Tensor doubles(const Numbers& values) { return from_vector(values); }
double sigma(double x) { return 1 / (1 + std::exp(-x)); }

double largest(const Tensor& x) { return x.detach().abs().max().item<double>(); }

}  // namespace

TEST_CASE("§17 p = 0.9 of a yes costs 0.105361, p = 0.01 costs 4.605170") {
  const Tensor y = bce_loss(doubles({0.9, 0.01}), doubles({1, 1}), {.reduction = Reduction::none});
  CHECK(holds(y, {0.105361, 4.605170}, 1e-6));
  CHECK(holds(bce_loss(doubles({0.9, 0.01}), doubles({0, 0}), {.reduction = Reduction::none}),
              {2.302585, 0.010050}, 1e-6));
}

TEST_CASE("§17 from logits: exactly 1e4 at -1e4, and the gradient σ(x) - y") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    const Tensor x = tensor({-1e4, 1e4, 1e4, -1e4}, dtype).requires_grad_();
    const Tensor t = tensor({1.0, 0.0, 1.0, 0.0}, dtype);
    const Tensor y = bce_with_logits(x, t, {.reduction = Reduction::none});
    CHECK(y.equal(tensor({1e4, 1e4, 0.0, 0.0}, dtype)));
    y.backward(ones_like(y));
    CHECK(x.grad().equal(tensor({-1.0, 1.0, 0.0, 0.0}, dtype)));
  }
  const Tensor x = leaf({-3, -0.5, 0, 2, 5}), t = doubles({0, 1, 0.3, 0.9, 0});
  bce_with_logits(x, t, {.reduction = Reduction::sum}).backward();
  CHECK(holds(x.grad(), {sigma(-3), sigma(-0.5) - 1, 0.5 - 0.3, sigma(2) - 0.9, sigma(5)}, 1e-15));
}

TEST_CASE("losses and gradients of what is nearly certain keep their digits") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    const Tensor x = tensor({-20.0, 20.0}, dtype).requires_grad_();
    const Tensor y = bce_with_logits(x, tensor({0.0, 1.0}, dtype), {.reduction = Reduction::none});
    const double tail = std::exp(-20.0), close = dtype == kFloat32 ? 1e-6 : 1e-14;
    CHECK(y[0].item<double>() == doctest::Approx(std::log1p(tail)).epsilon(close).scale(0));
    CHECK(y[1].item<double>() == doctest::Approx(std::log1p(tail)).epsilon(close).scale(0));
    y.backward(ones_like(y));
    CHECK(x.grad()[0].item<double>() == doctest::Approx(sigma(-20)).epsilon(close).scale(0));
    CHECK(x.grad()[1].item<double>() == doctest::Approx(-sigma(-20)).epsilon(close).scale(0));
  }
}

TEST_CASE("the two forms of binary cross-entropy agree; so does cross-entropy of two classes") {
  manual_seed(1);
  const Tensor x = randn({6}, kFloat64), t = doubles({1, 0, 1, 1, 0, 0});
  const Tensor logits = bce_with_logits(x, t, {.reduction = Reduction::none});
  CHECK(largest(logits - bce_loss(x.sigmoid(), t, {.reduction = Reduction::none})) < 1e-14);
  const Tensor two = stack({zeros_like(x), x}, 1);
  CHECK(largest(logits - cross_entropy(two, t.to(kInt64), {.reduction = Reduction::none})) < 1e-14);
  CHECK(largest(logits - soft_margin_loss(x, 2 * t - 1, {Reduction::none})) < 1e-14);
}

TEST_CASE("probabilities of exactly 0 and 1") {
  const Tensor p = leaf({0, 1, 0, 1});
  const Tensor y = bce_loss(p, doubles({0, 1, 1, 0}), {.reduction = Reduction::none});
  CHECK(holds(y, {0, 0, 100, 100}));
  CHECK(holds(gradient_of(y, p, {1, 1, 1, 1}), {0, 0, -1e12, 1e12}, 1e-14));
}

TEST_CASE("weights broadcast, multiply, and do not enter the divisor") {
  manual_seed(2);
  const Tensor x = randn({4, 3}, kFloat64), t = rand({4, 3}, kFloat64);
  const Tensor plain = bce_with_logits(x, t, {.reduction = Reduction::none});
  for (const Tensor& w : {doubles({1, 2, 0}), doubles({3, 0, 1, 5}).unsqueeze(1), doubles({2.5})[0],
                          rand({4, 3}, kFloat64)}) {
    const Tensor weighted = bce_with_logits(x, t, {.weight = w, .reduction = Reduction::none});
    CHECK(largest(weighted - plain * w) < 1e-15);
    CHECK(bce_with_logits(x, t, {.weight = w}).item<double>() ==
          doctest::Approx((plain * w).sum().item<double>() / 12).epsilon(1e-14));
    CHECK(largest(bce_loss(x.sigmoid(), t, {.weight = w, .reduction = Reduction::none}) -
                  plain * w) < 1e-14);
  }
  // pos_weight: of the part that says yes.
  const Tensor p = doubles({1, 10, 0.5});
  const Tensor yes = bce_with_logits(x, ones_like(x), {.reduction = Reduction::none});
  const Tensor no = bce_with_logits(x, zeros_like(x), {.reduction = Reduction::none});
  const Tensor both = bce_with_logits(x, t, {.reduction = Reduction::none, .pos_weight = p});
  CHECK(largest(both - (t * p * yes + (1 - t) * no)) < 1e-14);
  // Weights are constants, even when they want a gradient; so are targets.
  const Tensor wants = x.clone().requires_grad_();
  const Tensor w = doubles({1, 2, 3}).requires_grad_(), labels = t.clone().requires_grad_();
  bce_with_logits(wants, labels, {.weight = w, .pos_weight = w}).backward();
  bce_loss(wants.sigmoid(), labels, {.weight = w}).backward();
  CHECK(wants.grad().defined());
  CHECK(!w.grad().defined());
  CHECK(!labels.grad().defined());
}

TEST_CASE("§19 focal: p_t = 0.9 with γ = 2 costs a hundredth of cross-entropy; γ = 0 is it") {
  const double logit = std::log(9.0);
  const auto focal = [&](double alpha, double gamma) {
    return focal_loss_binary(doubles({logit, -logit}), doubles({1, 0}),
                             {.alpha = alpha, .gamma = gamma});
  };
  CHECK(holds(focal(-1, 2), {0.00105361, 0.00105361}, 1e-8));
  CHECK(holds(focal(0.25, 2), {0.000263401, 0.000790204}, 1e-9));
  manual_seed(3);
  const Tensor x = randn({4, 3}, kFloat64), t = rand({4, 3}, kFloat64);
  CHECK(largest(focal_loss_binary(x, t, {.alpha = -1, .gamma = 0}) -
                bce_with_logits(x, t, {.reduction = Reduction::none})) < 1e-15);
  // By default the values, balanced by 0.25, as in torchvision.
  CHECK(focal_loss_binary(x, t).equal(
      focal_loss_binary(x, t, {.alpha = 0.25, .gamma = 2, .reduction = Reduction::none})));
}

TEST_CASE("focal: the gradient by the formula, and none left where it is certain") {
  for (const double gamma : {0.0, 0.3, 1.0, 2.0, 5.0}) {
    CAPTURE(gamma);
    for (const double t : {0.0, 1.0}) {
      const Tensor x = leaf({-2, -0.1, 0, 1.5});
      focal_loss_binary(x, full({4}, t, kFloat64),
                        {.alpha = 0.3, .gamma = gamma, .reduction = Reduction::sum})
          .backward();
      Numbers expected;
      for (const double v : {-2.0, -0.1, 0.0, 1.5}) {
        const double s = 2 * t - 1, q = sigma(s * v), a = t > 0 ? 0.3 : 0.7;
        expected.push_back(s * a * std::pow(1 - q, gamma) * (gamma * q * std::log(q) - (1 - q)));
      }
      CHECK(holds(x.grad(), expected, 1e-13));
    }
    const Tensor sure = leaf({1e4, -1e4, 800, -800});
    const Tensor y = focal_loss_binary(sure, doubles({1, 0, 1, 0}), {.gamma = gamma});
    CHECK(holds(y, {0, 0, 0, 0}));
    CHECK(holds(gradient_of(y, sure, {1, 1, 1, 1}), {0, 0, 0, 0}));
  }
}

TEST_CASE("§20 hinge: inside the margin it counts, on its edge and beyond it does not") {
  const Tensor x = leaf({2, 1, 0.25, -3, 0.25}), t = doubles({1, 1, 1, 1, -1});
  const Tensor y = hinge_loss(x, t, {.reduction = Reduction::none});
  CHECK(holds(y, {0, 0, 0.75, 4, 1.25}));
  CHECK(holds(gradient_of(y, x, {1, 1, 1, 1, 1}), {0, 0, -1, -1, 1}));
  const Tensor squared = hinge_loss(x, t, {.squared = true, .reduction = Reduction::none});
  CHECK(holds(squared, {0, 0, 0.5625, 16, 1.5625}));
  CHECK(holds(gradient_of(squared, x, {1, 1, 1, 1, 1}), {0, 0, -1.5, -8, 2.5}));
  CHECK(holds(hinge_loss(x, t, {.margin = 0.25, .reduction = Reduction::none}),
              {0, 0, 0, 3.25, 0.5}));
}

TEST_CASE("hinge embedding and ranking: both sides of their corners") {
  const Tensor d = leaf({0.25, 1, 3, 0.25}), t = doubles({-1, -1, -1, 1});
  const Tensor y = hinge_embedding_loss(d, t, {.reduction = Reduction::none});
  CHECK(holds(y, {0.75, 0, 0, 0.25}));
  CHECK(holds(gradient_of(y, d, {1, 1, 1, 1}), {-1, 0, 0, 1}));

  const Tensor a = leaf({1, 1, 1, 1}), b = leaf({0, 0.5, 2, 0}), r = doubles({1, 1, 1, -1});
  const Tensor ranked = margin_ranking_loss(a, b, r, {.margin = 0.5, .reduction = Reduction::none});
  CHECK(holds(ranked, {0, 0, 1.5, 1.5}));
  CHECK(holds(gradient_of(ranked, a, {1, 1, 1, 1}), {0, 0, -1, 1}));
  b.zero_grad();
  margin_ranking_loss(a, b, r, {.margin = 0.5, .reduction = Reduction::sum}).backward();
  CHECK(holds(b.grad(), {0, 0, 1, -1}));
}

TEST_CASE("multilabel soft margin averages over the labels, then over rows") {
  manual_seed(4);
  const Tensor x = randn({4, 3}, kFloat64), t = (rand({4, 3}, kFloat64) > 0.5).to(kFloat64);
  const Tensor w = doubles({1, 2, 4});
  const Tensor rows = bce_with_logits(x, t, {.weight = w, .reduction = Reduction::none}).mean(1);
  const auto loss = [&](Reduction r) {
    return multilabel_soft_margin_loss(x, t, {.weight = w, .reduction = r});
  };
  CHECK(largest(loss(Reduction::none) - rows) < 1e-15);
  CHECK(largest(loss(Reduction::sum) - rows.sum()) < 1e-14);
  CHECK(largest(loss(Reduction::mean) - rows.mean()) < 1e-15);
  CHECK(multilabel_soft_margin_loss(x[0], t[0], {.weight = w, .reduction = Reduction::none})
            .equal(loss(Reduction::none)[0]));
  CHECK_THROWS_WITH_AS(multilabel_soft_margin_loss(tensor(1.0), tensor(1.0)),
                       "multilabel_soft_margin_loss: the input is []; its last dim must hold at "
                       "least one label",
                       ShapeError);
}

TEST_CASE("what losses for two classes refuse") {
  const Tensor x = zeros({2, 3}), t = zeros({2, 3}), two = zeros({2});
  CHECK_THROWS_WITH_AS(bce_with_logits(x, zeros({2, 4})),
                       "bce_with_logits: input is [2, 3], target [2, 4]; they must be equal, "
                       "nothing is broadcast: reshape one of them",
                       ShapeError);
  CHECK_THROWS_AS(bce_with_logits(x, zeros({3})), ShapeError);
  CHECK_THROWS_AS(bce_with_logits(x, t.to(kFloat64)), DTypeError);
  CHECK_THROWS_WITH_AS(
      bce_with_logits(x, t, {.weight = ones({5, 2, 3})}),
      "bce_with_logits: weight is [5, 2, 3] for an input [2, 3]; it must broadcast "
      "to the input's shape",
      ShapeError);
  CHECK_THROWS_AS(bce_with_logits(x, t, {.pos_weight = ones({2})}), ShapeError);
  CHECK_THROWS_WITH_AS(bce_with_logits(x, t, {.pos_weight = ones({3}, kFloat64)}),
                       "bce_with_logits: pos_weight is float64 [3], the input float32 [2, 3]; "
                       "convert it with .to(float32)",
                       DTypeError);
  CHECK_THROWS_WITH_AS(bce_loss(tensor({0.5, 1.5}), two),
                       "bce_loss: input [2] holds 1.5 (element 1); it must be a probability in "
                       "[0, 1]; for logits use bce_with_logits",
                       ValueError);
  CHECK_THROWS_AS(bce_loss(tensor({-0.1, 0.5}), two), ValueError);
  // Targets of -1 and 1 would be learnt without end.
  const Tensor half = full({2}, 0.5), signs = tensor({1.0, -1.0});
  CHECK_THROWS_WITH_AS(bce_with_logits(half, signs),
                       "bce_with_logits: target [2] holds -1 (element 1); it must be in [0, 1]: "
                       "turn labels y of -1 and 1 into (y + 1) / 2",
                       ValueError);
  for (const Tensor& wrong : {signs, tensor({0.0, 1.5}), tensor({0.0, 5.0})}) {
    CHECK_THROWS_AS(bce_loss(half, wrong), ValueError);
    CHECK_THROWS_AS(focal_loss_binary(half, wrong), ValueError);
    CHECK_THROWS_AS(multilabel_soft_margin_loss(half.view({1, 2}), wrong.view({1, 2})), ValueError);
  }
  CHECK(std::isnan(bce_with_logits(half, tensor({std::nan(""), 0.0})).item<double>()));
  CHECK_THROWS_AS(bce_loss(tensor({std::nan(""), 0.5}), two), ValueError);
  CHECK_THROWS_AS(bce_loss(x, two), ShapeError);
  CHECK_THROWS_WITH_AS(focal_loss_binary(x, t, {.gamma = -1}),
                       "focal_loss_binary: gamma is -1; it must be at least 0", ValueError);
  CHECK_THROWS_WITH_AS(focal_loss_binary(x, t, {.alpha = 1.5}),
                       "focal_loss_binary: alpha is 1.5; it must be in [0, 1], or negative for no "
                       "balance",
                       ValueError);
  CHECK_THROWS_WITH_AS(
      hinge_loss(two, tensor({1.0, 0.0})),
      "hinge_loss: target [2] holds 0 (element 1); it must be -1 or 1: turn labels "
      "y of 0 and 1 into 2 y - 1",
      ValueError);
  CHECK_THROWS_AS(soft_margin_loss(two, two), ValueError);
  CHECK_THROWS_AS(hinge_embedding_loss(two, two), ValueError);
  CHECK_THROWS_AS(margin_ranking_loss(two, two, two), ValueError);
  CHECK_THROWS_WITH_AS(margin_ranking_loss(two, two, ones({2, 1})),
                       "margin_ranking_loss: input1 is [2], target [2, 1]; they must be equal, "
                       "nothing is broadcast: reshape one of them",
                       ShapeError);
  for (const double m : {testing::kNan, testing::kInf, -testing::kInf}) {
    const auto refusal = [](auto&& call) { return testing::message_of<ValueError>(call); };
    CHECK(refusal([&] { hinge_loss(two, ones({2}), {.margin = m}); }) ==
          fmt::format("hinge_loss: margin is {}; it must be finite", m));
    CHECK(refusal([&] { hinge_embedding_loss(two, ones({2}), {.margin = m}); }) ==
          fmt::format("hinge_embedding_loss: margin is {}; it must be finite", m));
    CHECK(refusal([&] { margin_ranking_loss(two, two, ones({2}), {.margin = m}); }) ==
          fmt::format("margin_ranking_loss: margin is {}; it must be finite", m));
  }
}
