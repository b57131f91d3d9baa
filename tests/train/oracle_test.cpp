// What a perfect model would say.
#include <doctest/doctest.h>

#include <retrace/retrace.h>

using namespace retrace;

TEST_CASE("smallest finds each element's own minimum, at a kink and at an end too") {
  const Tensor centres = tensor({-3.5, 0.0, 1e-3, 2.25, 7.0}, kFloat64);
  const auto parabola = [&](const Tensor& x) { return (x - centres).square(); };
  const Tensor low = full({5}, -4.0, kFloat64), high = full({5}, 5.0, kFloat64);
  const std::vector<double> found = train::smallest(parabola, low, high).to_vector<double>();
  const std::vector<double> expected = {-3.5, 0.0, 1e-3, 2.25, 5.0};  // 7 lies outside
  for (std::size_t i = 0; i < 5; ++i) CHECK(std::abs(found[i] - expected[i]) < 1e-7);
  const auto kinked = [&](const Tensor& x) { return abs(x - centres); };
  const std::vector<double> kinks = train::smallest(kinked, low, high).to_vector<double>();
  for (std::size_t i = 0; i < 5; ++i) CHECK(std::abs(kinks[i] - expected[i]) < 1e-7);
  CHECK_THROWS_AS(train::smallest(kinked, low, zeros({4}, kFloat64)), ShapeError);
}

TEST_CASE("the score with the least cross-entropy is the log odds, and costs their entropy") {
  const Tensor logits = linspace(-6, 6, 49).to(kFloat64), one = ones_like(logits);
  const Tensor p = sigmoid(logits);
  const auto risk = [&](const Tensor& s) {
    return p * losses::bce_with_logits(s, one, {.reduction = Reduction::none}) +
           (1 - p) * losses::bce_with_logits(s, 0 * one, {.reduction = Reduction::none});
  };
  const Tensor best = train::smallest(risk, -40 * one, 40 * one);
  CHECK(max(abs(best - logits)).item<double>() < 1e-5);
  const Tensor entropy = -(p * log(p) + (1 - p) * log(1 - p));
  CHECK(max(abs(risk(best) - entropy)).item<double>() < 1e-12);
}

TEST_CASE("the true probabilities of the discs' labels lose what the oracle does") {
  const data::Discs discs;
  Generator generator(3);
  const data::TensorDataset rows = discs.sample(2000, generator);
  const Tensor p = discs.probabilities(rows.inputs).to(kFloat64);
  const double loss =
      losses::bce_loss(p, rows.targets.to(kFloat64), {.reduction = Reduction::sum}).item<double>();
  CHECK(loss / 2000 == doctest::Approx(discs.oracle_loss(rows)).epsilon(1e-6));
}

TEST_CASE("rows of a rare class are drawn as often as all others") {
  const Tensor labels = tensor({0, 0, 0, 2, 0, 2});
  const Tensor weights = data::row_weights(labels, 3).to(kFloat64);
  CHECK(weights.sizes() == labels.sizes());
  const auto of = [&](std::int64_t c) { return (weights * eq(labels, c).to(kFloat64)).sum(); };
  CHECK(of(0).item<double>() == doctest::Approx(of(2).item<double>()));
  CHECK_THROWS_AS(data::row_weights(labels, 2), IndexError);
}
