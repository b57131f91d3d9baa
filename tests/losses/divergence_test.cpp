#include <doctest/doctest.h>

#include <numbers>

#include <retrace/retrace.h>
#include <retrace/tests/autograd/numbers.h>

namespace {

using namespace retrace;
using namespace retrace::losses;
using testing::gradient_of;
using testing::holds;
using testing::kInf;
using testing::leaf;
using testing::Numbers;

Tensor doubles(const Numbers& values) { return from_vector(values); }
double largest(const Tensor& x) { return x.detach().abs().max().item<double>(); }

// KL(p || q) of probabilities.
double kl(const Tensor& p, const Tensor& q) {
  return kl_div(q.log(), p, {.reduction = Reduction::sum}).item<double>();
}

}  // namespace

TEST_CASE("§21 P = (½, ½), Q = (0.9, 0.1): 0.510826 one way, 0.368064 the other, 0 when equal") {
  const Tensor p = doubles({0.5, 0.5}), q = doubles({0.9, 0.1});
  CHECK(kl(p, q) == doctest::Approx(0.510826).epsilon(1e-6));
  CHECK(kl(q, p) == doctest::Approx(0.368064).epsilon(1e-6));
  CHECK(kl(p, p) == 0.0);
  CHECK(
      kl_div(q.log(), q.log(), {.reduction = Reduction::sum, .log_target = true}).item<double>() ==
      0.0);
}

TEST_CASE("kl_div: batchmean is the divergence of distributions, mean is not") {
  manual_seed(1);
  const Tensor log_q = log_softmax(randn({5, 4}, kFloat64), 1);
  const Tensor log_p = log_softmax(randn({5, 4}, kFloat64), 1);
  const auto loss = [&](Reduction r) { return kl_div(log_q, log_p.exp(), {.reduction = r}); };
  const double sum = loss(Reduction::sum).item<double>();
  CHECK(sum > 0);
  CHECK(loss(Reduction::batchmean).item<double>() == doctest::Approx(sum / 5).epsilon(1e-14));
  CHECK(loss(Reduction::mean).item<double>() == doctest::Approx(sum / 20).epsilon(1e-14));
  for (const Reduction r : {Reduction::none, Reduction::sum, Reduction::mean, Reduction::batchmean})
    CHECK(largest(loss(r) - kl_div(log_q, log_p, {.reduction = r, .log_target = true})) < 1e-14);
  const Tensor x = log_q.clone().requires_grad_();
  kl_div(x, log_p.exp(), {.reduction = Reduction::batchmean}).backward();
  CHECK(largest(x.grad() + log_p.exp() / 5) < 1e-16);
}

TEST_CASE("a class of probability 0 costs nothing, whatever the other says of it") {
  const Tensor x = leaf({std::log(0.5), -kInf, std::log(0.5)});
  const Tensor y = kl_div(x, doubles({0.5, 0, 0.5}), {.reduction = Reduction::none});
  CHECK(holds(y, {0, 0, 0}));
  CHECK(holds(gradient_of(y, x, {1, 1, 1}), {-0.5, 0, -0.5}));
  const Tensor logs = kl_div(x, doubles({std::log(0.5), -kInf, std::log(0.5)}),
                             {.reduction = Reduction::none, .log_target = true});
  CHECK(holds(logs, {0, 0, 0}));
  // What the model holds to be impossible and yet happens costs infinitely much.
  CHECK(kl_div(x.detach(), doubles({0.25, 0.5, 0.25})).item<double>() == kInf);
}

TEST_CASE("cross-entropy is entropy and divergence: CE(q, p) = H(q) + KL(q || p)") {
  manual_seed(2);
  const Tensor z = randn({6, 5}, kFloat64), q = softmax(randn({6, 5}, kFloat64), 1);
  const double ce = cross_entropy(z, q).item<double>();
  const double entropy = -(q * q.log()).sum().item<double>() / 6;
  const double divergence =
      kl_div(log_softmax(z, 1), q, {.reduction = Reduction::batchmean}).item<double>();
  CHECK(ce == doctest::Approx(entropy + divergence).epsilon(1e-14));
}

TEST_CASE("Jensen-Shannon: symmetric, 0 for equals, ln 2 for what has nothing in common") {
  manual_seed(3);
  const Tensor a = randn({5, 4}, kFloat64), b = randn({5, 4}, kFloat64);
  const Tensor ab = js_divergence(a, b, {.reduction = Reduction::none});
  CHECK(largest(ab - js_divergence(b, a, {.reduction = Reduction::none})) < 1e-16);
  for (const double v : ab.to_vector<double>()) CHECK((v > 0 && v < std::numbers::ln2));
  CHECK(largest(js_divergence(a, a + 7, {.reduction = Reduction::none})) < 1e-15);  // logits
  // By its definition, of two KL divergences to the mixture.
  const Tensor p = softmax(a, 1), q = softmax(b, 1), m = (p + q) / 2;
  const Tensor to_p = kl_div(m.log(), p, {.reduction = Reduction::none}).sum(1);
  const Tensor to_q = kl_div(m.log(), q, {.reduction = Reduction::none}).sum(1);
  CHECK(largest(ab - (to_p + to_q) / 2) < 1e-15);
  CHECK(js_divergence(a, b).item<double>() == doctest::Approx(ab.mean().item<double>()));
  CHECK(largest(js_divergence(log_softmax(a, 1), log_softmax(b, 1),
                              {.from_logits = false, .reduction = Reduction::none}) -
                ab) < 1e-15);
  const Tensor far = leaf({1e4, -1e4}), near = leaf({-1e4, 1e4});
  const Tensor apart = js_divergence(far, near);
  CHECK(apart.item<double>() == doctest::Approx(std::numbers::ln2).epsilon(1e-15));
  apart.backward();
  CHECK(largest(far.grad()) == 0.0);
  // Impossible classes: of one, and of both.
  const Tensor sure = doubles({0, -kInf, -kInf}),
               half = doubles({std::log(0.5), std::log(0.5), -kInf});
  CHECK(js_divergence(sure, half, {.from_logits = false}).item<double>() ==
        doctest::Approx(0.75 * std::log(4 / 3.0)).epsilon(1e-14));
}

TEST_CASE("cosine similarity: 1, 0 and -1; lengths do not matter; zeros give 0") {
  const Tensor a = doubles({3, 4}), zero = zeros({2}, kFloat64);
  CHECK(cosine_similarity(a, a, 0).item<double>() == doctest::Approx(1).epsilon(1e-15));
  CHECK(cosine_similarity(a, doubles({-4, 3}), 0).item<double>() == 0.0);
  CHECK(cosine_similarity(a, a * -100, 0).item<double>() == doctest::Approx(-1).epsilon(1e-15));
  CHECK(cosine_similarity(a, zero, 0).item<double>() == 0.0);
  const Tensor x = zeros({2}, kFloat64).requires_grad_();
  cosine_similarity(x, zero, 0).backward();
  CHECK(x.grad().equal(zero));
  const Tensor rows = doubles({1, 0, 0, 1}).view({2, 2});
  CHECK(holds(cosine_similarity(rows.unsqueeze(1), a, -1), {2, 1}, {0.6, 0.8}, 1e-15));
  CHECK(cosine_similarity(rows, rows).sizes() == Shape{2});  // dim 1, as in PyTorch
  CHECK_THROWS_AS(cosine_similarity(rows, zeros({3}, kFloat64)), ShapeError);
  CHECK_THROWS_AS(cosine_similarity(a, a), IndexError);
  CHECK_THROWS_WITH_AS(cosine_similarity(a, a, 0, -1),
                       "cosine_similarity: eps is -1; it must not be negative", ValueError);
}

TEST_CASE("cosine embedding: 1 - cos for pairs, what exceeds the margin for others") {
  const Tensor a = leaf({3, 4, 3, 4, 3, 4, 3, 4}, {4, 2});
  const Tensor b = leaf({3, 4, 4, -3, 6, 8, 0, 1}, {4, 2}), t = doubles({1, 1, -1, -1});
  const Tensor y = cosine_embedding_loss(a, b, t, {.margin = 0.3, .reduction = Reduction::none});
  CHECK(holds(y, {0, 1, 0.7, 0.5}, 1e-12));
  // On the margin and below it there is no gradient.
  for (const double margin : {0.0, 0.5}) {
    const Tensor upright = leaf({2, 0});
    cosine_embedding_loss(upright, doubles({0, 3}), full({}, -1, kFloat64), {.margin = margin})
        .backward();
    CHECK(largest(upright.grad()) == 0.0);
  }
  // Vectors of zeros: finite, and 1 for a pair.
  const Tensor zero = zeros({2}, kFloat64).requires_grad_();
  const Tensor of_zero = cosine_embedding_loss(zero, zeros({2}, kFloat64), ones({}, kFloat64));
  CHECK(of_zero.item<double>() == 1.0);
  of_zero.backward();
  CHECK(isfinite(zero.grad()).all().item<bool>());
}

TEST_CASE("cosine embedding of vectors of any size: their direction alone counts") {
  const auto check = [](const Numbers& a, const Numbers& b, double loss, const Numbers& gradient) {
    const Tensor x = from_vector(a).to(kFloat32).requires_grad_(), y = from_vector(b).to(kFloat32);
    const Tensor of_pair = cosine_embedding_loss(x, y, ones({}));
    of_pair.backward();
    CHECK(std::abs(of_pair.item<double>() - loss) < 1e-7);
    CHECK(holds(x.grad() * a[0], gradient, 2e-7));
  };
  for (const double size : {1.0, 1e7, 1e10, 1e20, 1e38}) {
    CAPTURE(size);
    check({size, size}, {size, size}, 0, {0, 0});
    check({size, size}, {1, 1}, 0, {0, 0});
    check({size, 2 * size}, {2 * size, size}, 0.2, {-0.24, 0.12});
  }
}

TEST_CASE("what divergences refuse") {
  const Tensor x = zeros({2, 3}), scalar = tensor(0.0);
  CHECK_THROWS_WITH_AS(kl_div(x, zeros({2, 4}), {.reduction = Reduction::batchmean}),
                       "kl_div: input is [2, 3], target [2, 4]; they must be equal, nothing is "
                       "broadcast: reshape one of them",
                       ShapeError);
  CHECK_THROWS_WITH_AS(kl_div(scalar, scalar, {.reduction = Reduction::batchmean}),
                       "kl_div: reduction 'batchmean' divides by the size of dim 0, the input is "
                       "[]; use 'sum'",
                       ShapeError);
  CHECK_THROWS_AS(kl_div(x, x.to(kFloat64)), DTypeError);
  CHECK_THROWS_WITH_AS(js_divergence(x, zeros({3})),
                       "js_divergence: p is [2, 3], q [3]; they must be equal, nothing is "
                       "broadcast: reshape one of them",
                       ShapeError);
  CHECK_THROWS_WITH_AS(js_divergence(scalar, scalar),
                       "js_divergence: the inputs are []; their last dim must be that of the "
                       "distributions",
                       ShapeError);
  CHECK_THROWS_WITH_AS(
      cosine_embedding_loss(x, x, ones({3})),
      "cosine_embedding_loss: targets are [3] for inputs [2, 3]; they must be [2], "
      "one for each pair",
      ShapeError);
  CHECK_THROWS_AS(cosine_embedding_loss(x, zeros({3}), ones({2})), ShapeError);
  CHECK_THROWS_AS(cosine_embedding_loss(x, x, zeros({2})), ValueError);
  CHECK_THROWS_WITH_AS(cosine_embedding_loss(x, x, ones({2}), {.margin = 2}),
                       "cosine_embedding_loss: margin is 2; it must be in [-1, 1]", ValueError);
  CHECK_THROWS_AS(cosine_embedding_loss(x, x, ones({2}), {.margin = -1.5}), ValueError);
}

TEST_CASE("divergences of what is nearly equal keep their digits in float32") {
  Generator generator(5);
  const Tensor a = randn({200, 10}, kFloat64, &generator).to(kFloat32);
  for (const double distance : {1e-1, 1e-3, 1e-5}) {
    const Tensor b = (a + distance * randn({200, 10}, kFloat32, &generator)).detach();
    const Tensor p = log_softmax(a.to(kFloat64), 1), q = log_softmax(b.to(kFloat64), 1);
    const double exact = js_divergence(p, q).item<double>();
    const Tensor each =
        js_divergence(p.to(kFloat32), q.to(kFloat32), {.reduction = Reduction::none});
    CAPTURE(distance);
    // The logarithms themselves have 24 bits.
    const double noise = 1e-7 * distance + 1e-3 * exact;
    CHECK(std::abs(each.mean().item<double>() - exact) < noise);
  }
  const Tensor near = tensor({0x1p-10, 0.0, -0x1p-11}, kFloat32);
  CHECK(js_divergence(near, zeros({3})).item<double>() ==
        doctest::Approx(4.636455238e-8).scale(0).epsilon(5e-7));
  CHECK(largest(js_divergence(a, a, {.reduction = Reduction::none})) == 0);
}
