#include <doctest/doctest.h>

#include <cmath>

#include <retrace/autograd/autograd.h>
#include <retrace/data/tasks/gumbel_rewards.h>
#include <retrace/losses/preference.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/data/near.h>

using namespace retrace;
using namespace retrace::data;

namespace {

constexpr std::int64_t kPairs = 40'000;

// The reward of an item with x₃ = 0, so that z = x₁.
double reward_at(double z) {
  return GumbelRewards().rewards(tensor({{z, 0.5, 0.0}}, kFloat64)).item<double>();
}

}  // namespace

TEST_CASE("Gumbel rewards: items and rewards are distributed as is said") {
  for (const std::int64_t features : {3, 8}) {
    const GumbelRewards task({.features = features});
    Generator generator(1);
    const TensorDataset pairs = task.sample(kPairs, generator);
    CHECK(pairs.inputs.sizes() == Shape{kPairs, 2, features});
    CHECK(pairs.inputs.dtype() == kFloat32);
    const Tensor items = pairs.inputs.reshape({2 * kPairs, features});
    CHECK(near(mean_of(items), 0, 1, 2 * kPairs * features));
    CHECK(near(mean_of(items.square()), 1, std::sqrt(2.0), 2 * kPairs * features));
    // If r is Gumbel, u = exp(-exp(-r)) is uniform: its powers have the means 1 / (n + 1).
    const Tensor r = task.rewards(items), u = (-(-r).exp()).exp();
    CHECK(r.dtype() == kFloat64);
    for (int n = 1; n <= 3; ++n)
      CHECK(near(u.pow(n).mean().item<double>(), 1.0 / (n + 1),
                 std::sqrt(1.0 / (2 * n + 1) - 1.0 / ((n + 1) * (n + 1))), 2 * kPairs));
    CHECK(near(r.mean().item<double>(), 0.5772156649, M_PI / std::sqrt(6.0), 2 * kPairs));
    // u does not depend on x₃ alone, nor on another feature alone.
    for (std::int64_t i = 1; i < features; ++i)
      CHECK(near(((u - 0.5) * items.select(1, i).to(kFloat64)).mean().item<double>(), 0,
                 1 / std::sqrt(12.0), 2 * kPairs));
  }
}

TEST_CASE("Gumbel rewards: the floor is half a nat, the ceiling three quarters") {
  const GumbelRewards task;
  Generator generator(2);
  const TensorDataset pairs = task.sample(kPairs, generator);
  const Tensor r = task.rewards(pairs.inputs.reshape({2 * kPairs, 3})).view({kPairs, 2});
  const Tensor margins = r.select(1, 0) - r.select(1, 1);
  CHECK(allclose(pairs.targets.to(kFloat64), margins, 1e-6, 1e-6));
  CHECK(near_share(mean_of(gt(margins, 0)), task.accuracy_ceiling(), kPairs));
  CHECK(near(task.oracle_loss(pairs), task.population_floor(), 0.5, kPairs));
  CHECK(task.oracle_loss(pairs) ==
        doctest::Approx(losses::reward_loss(r.select(1, 0), r.select(1, 1)).item<double>())
            .epsilon(1e-12));
  // p = σ(margin) of what was preferred has density 2p; the entropy of a uniform p is 1/2.
  const Tensor p = margins.sigmoid();
  CHECK(near(p.mean().item<double>(), 2.0 / 3, std::sqrt(1.0 / 18), kPairs));
  const Tensor entropy = -(p * p.log() + (1 - p) * (1 - p).log());
  CHECK(near(entropy.mean().item<double>(), 0.5, 0.187, kPairs));
}

TEST_CASE("Gumbel rewards: the function, and its tails") {
  CHECK(reward_at(0) == doctest::Approx(-std::log(std::log(2.0))).epsilon(1e-14));
  const GumbelRewards task;
  const double z = (0.4 + 1.5 * -2) / std::sqrt(5);
  CHECK(task.rewards(tensor({{0.4, 1.5, -2.0}}, kFloat64)).item<double>() ==
        doctest::Approx(-std::log(-std::log(std::erfc(-z / std::sqrt(2.0)) / 2))).epsilon(1e-12));
  // Far out, the upper tail is Q = φ(z) / z (1 - 1/z² + 3/z⁴ - ...): r is -ln Q above, and below
  // -ln(-ln Q).
  for (const double far : {10.0, 20.0, 36.0}) {
    const double square = far * far;
    const double log_tail = -square / 2 - std::log(far * std::sqrt(2 * M_PI)) +
                            std::log1p(-1 / square + 3 / (square * square));
    CHECK(reward_at(far) == doctest::Approx(-log_tail).epsilon(1e-6));
    CHECK(reward_at(-far) == doctest::Approx(-std::log(-log_tail)).epsilon(1e-6));
  }
  double below = -1e9;
  for (double at = -36; at <= 36; at += 0.5) {
    CHECK(reward_at(at) > below);
    below = reward_at(at);
  }
}

TEST_CASE("Gumbel rewards: the same seed gives the same pairs; what makes no sense is refused") {
  const GumbelRewards task;
  Generator first(3), second(3);
  CHECK(task.sample(10, first).inputs.equal(task.sample(10, second).inputs));
  CHECK(task.sample(0).size() == 0);
  CHECK_THROWS_AS(GumbelRewards({.features = 2}), ValueError);
  CHECK_THROWS_AS(task.rewards(zeros({4, 2})), ShapeError);
  CHECK_THROWS_AS(task.rewards(zeros({4, 2, 3})), ShapeError);
  CHECK_THROWS_AS(task.oracle_loss({zeros({4, 3}), zeros({4})}), ShapeError);
  CHECK_THROWS_AS(task.oracle_loss({zeros({4, 2, 4}), zeros({4})}), ShapeError);
  CHECK_THROWS_AS(task.oracle_loss(task.sample(0)), ShapeError);
}
