// PPO, advantages, the group methods: clipping, divisors, padding, against loops written by hand.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/autograd/numbers.h>

#include <cmath>

namespace {

using namespace retrace;
using namespace retrace::losses;
using testing::holds;
using testing::kNan;
using testing::leaf;
using testing::message_of;
using testing::Numbers;

double at(const Tensor& x, std::int64_t i = 0) {
  return x.detach().contiguous().to_vector<double>()[static_cast<std::size_t>(i)];
}
bool near(double a, double b, double tolerance = 1e-12) {
  return std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b));
}
Tensor doubles(const Numbers& values) { return from_vector(values); }
Tensor tokens(const Numbers& values, std::int64_t rows) {
  return from_vector(values, Shape{rows, static_cast<std::int64_t>(values.size()) / rows});
}

// One token of ratio ρ and advantage A: the loss and its slope by the new log-probability.
struct Token {
  double loss, slope;
};
Token ppo(double ratio, double advantage) {
  const Tensor now = leaf({std::log(ratio)});
  const Tensor loss = ppo_policy_loss(now, doubles({0}), doubles({advantage}));
  loss.backward();
  return {at(loss), at(now.grad())};
}

// What is in padded places must not matter: NaN there, two rows of three tokens.
const Numbers kMask = {1, 1, 0, 1, 0, 0};
const Numbers kPadded = {-1, -2, kNan, -0.5, kNan, kNan};

}  // namespace

TEST_CASE("§32 the clipped surrogate at its three corners") {
  const Token up = ppo(1.5, 1), worse = ppo(1.5, -1), down = ppo(0.5, -1), first = ppo(1, 2);
  CHECK(near(up.loss, -1.2));  // the objective is minus the loss
  CHECK(up.slope == 0);
  CHECK(near(worse.loss, 1.5));
  CHECK(near(worse.slope, 1.5));
  CHECK(near(down.loss, 0.8));
  CHECK(down.slope == 0);
  CHECK(first.loss == -2);  // ρ = 1: the slope is -A
  CHECK(first.slope == -2);
  CHECK(near(ppo(0.5, 1).slope, -0.5));  // an unlikely good token may always rise
}

TEST_CASE("§32 a ratio that overflows is clipped where that helps, and nothing where A is 0") {
  for (const DType dtype : {kFloat64, kFloat32}) {
    const Tensor now = tensor({1e4, 1e4, -1e4, -1e4}, dtype).requires_grad_();
    const Tensor loss =
        ppo_policy_loss(now, zeros({4}, dtype), tensor({1.0, 0.0, 1.0, -1.0}, dtype));
    loss.backward();
    CHECK(near(at(loss), (-1.2 + 0 + 0 + 0.8) / 4, 1e-6));
    CHECK(holds(now.grad(), {0, 0, 0, 0}));
  }
  CHECK(std::isnan(ppo(kNan, 1).slope));  // a NaN that counts is not hidden
}

TEST_CASE("§32 the value loss: the larger error counts, the clipped one has no slope") {
  // value, old value, return -> loss, slope
  const double table[][5] = {{1.1, 1, 2, 0.405, -0.9},  // inside: v - R
                             {2, 1, 0, 2, 2},           // outside, unclipped larger
                             {2, 1, 3, 1.62, 0},        // outside, clipped larger
                             {1, 1, 1, 0, 0}};
  for (const auto& [v, old, target, loss, slope] : table) {
    const Tensor value = leaf({v});
    const Tensor got = ppo_value_loss(value, doubles({old}), doubles({target}));
    got.backward();
    CHECK(near(at(got), loss));
    CHECK(near(at(value.grad()), slope));
  }
}

TEST_CASE("§32 PPO's loss is its three terms, and one node") {
  manual_seed(5);
  const auto random = [](const Shape& sizes) { return randn(sizes, kFloat64); };
  const Shape sizes = {2, 3};
  const Tensor now = random(sizes).requires_grad_(), v = random(sizes).requires_grad_(),
               logits = random({2, 3, 4}).requires_grad_(), mask = tokens(kMask, 2);
  const PpoBatch batch = {random(sizes), random(sizes), random(sizes), random(sizes), mask};
  const Tensor loss = ppo_loss(now, v, logits, batch, {.value_coef = 0.5, .entropy_coef = 0.25});
  CHECK(Backprop(loss).tape().size() == 1);
  double entropy = 0;
  const Tensor p = logits.detach().softmax(-1);
  for (std::int64_t i = 0; i < 6; ++i)
    for (std::int64_t k = 0; k < 4; ++k)
      entropy -= kMask[static_cast<std::size_t>(i)] * at(p, 4 * i + k) * std::log(at(p, 4 * i + k));
  const double expected = at(ppo_policy_loss(now, batch.old_logps, batch.advantages, mask)) +
                          0.5 * at(ppo_value_loss(v, batch.old_values, batch.returns, mask)) -
                          0.25 * entropy / 3;
  CHECK(near(at(loss), expected));
  const PpoOptions plain = {.entropy_coef = 0};
  CHECK(near(at(ppo_loss(now, v, Tensor(), batch, plain)),
             at(ppo_policy_loss(now, batch.old_logps, batch.advantages, mask)) +
                 0.1 * at(ppo_value_loss(v, batch.old_values, batch.returns, mask))));
  // One action alone.
  const auto first = [](const Tensor& x) { return x.detach().select(0, 0).select(0, 0); };
  const Tensor alone = ppo_loss(first(now), first(v), first(logits),
                                {first(batch.old_logps), first(batch.advantages),
                                 first(batch.old_values), first(batch.returns)});
  const auto row = [&](const Tensor& x) { return first(x).unsqueeze(0); };
  CHECK(near(at(alone), at(ppo_loss(row(now), row(v), row(logits),
                                    {row(batch.old_logps), row(batch.advantages),
                                     row(batch.old_values), row(batch.returns)}))));
  // Classes that are taken out have no entropy, and no NaN.
  Tensor few = tensor({{{0.0, 0.0, -INFINITY, 1e4}, {0.0, 0.0, -INFINITY, -INFINITY}}}, kFloat64);
  few.requires_grad_();
  const Tensor zero = zeros({1, 2}, kFloat64);
  const Tensor uncertain = ppo_loss(zero, zero, few, {zero, zero, zero, zero});
  uncertain.backward();
  CHECK(near(at(uncertain), -0.01 * std::log(2) / 2));
  CHECK(holds(few.grad(), {1, 2, 4}, Numbers(8), 1e-15));
}

TEST_CASE("§32 what stands in padded places reaches no loss and no gradient") {
  const Tensor mask = tokens(kMask, 2), bad = tokens(kPadded, 2);
  const Tensor good = where(eq(mask, 0), 0.0, bad);
  const auto gradient_with = [&](const Tensor& constant, const auto& loss) {
    const Tensor x = constant.clone().requires_grad_();
    const Tensor y = loss(x, constant);
    y.backward();
    CHECK(std::isfinite(at(y)));
    return std::pair(at(y), x.grad());
  };
  const auto agree = [&](const auto& loss) {
    const auto clean = gradient_with(good, loss), dirty = gradient_with(bad, loss);
    CHECK(clean.first == dirty.first);
    CHECK(clean.second.equal(dirty.second));
    CHECK(!clean.second.equal(zeros({2, 3}, kFloat64)));
    for (std::int64_t i : {2, 4, 5}) CHECK(at(dirty.second, i) == 0);
  };
  const Tensor advantages = doubles({1, -2});
  agree([&](const Tensor& x, const Tensor& c) { return ppo_policy_loss(x, c, c, mask); });
  agree([&](const Tensor& x, const Tensor& c) {
    return ppo_value_loss(x, c, c + 1, mask.to(kBool));
  });
  agree([&](const Tensor& x, const Tensor& c) {
    const Tensor logits = x.unsqueeze(-1) * doubles({1, 2});
    return ppo_loss(x, x, logits, {c, c, c, c + 1, mask});
  });
  agree([&](const Tensor& x, const Tensor&) {
    return (masked_whiten(x, mask) * doubles({1, 2, 3})).sum();
  });
  for (const GrpoLossType type : {GrpoLossType::grpo, GrpoLossType::bnpo, GrpoLossType::dapo,
                                  GrpoLossType::dr_grpo, GrpoLossType::cispo}) {
    for (const RatioLevel level : {RatioLevel::token, RatioLevel::sequence}) {
      agree([&](const Tensor& x, const Tensor& c) {
        return grpo_loss(x, c, advantages, mask, c - 1,
                         {.beta = 0.1, .max_len = 3, .loss_type = type, .level = level});
      });
    }
  }
}

TEST_CASE("§32 with nothing kept the losses are 0, and so are the gradients") {
  const Tensor none = zeros({2, 3}, kBool), x = zeros({2, 3}, kFloat64).requires_grad_();
  const Tensor c = full({2, 3}, kNan, kFloat64);
  const Tensor total =
      ppo_policy_loss(x, c, c, none) + ppo_value_loss(x, c, c, none) +
      ppo_loss(x, x, zeros({2, 3, 4}, kFloat64), {c, c, c, c, none}) +
      grpo_loss(x, c, doubles({1, 1}), none) +
      grpo_loss(x, c, doubles({1, 1}), none, c,
                {.beta = 1, .loss_type = GrpoLossType::grpo, .level = RatioLevel::sequence});
  total.backward();
  CHECK(at(total) == 0);
  CHECK(x.grad().equal(zeros({2, 3}, kFloat64)));
}

TEST_CASE("three estimates of the KL, and what they are as losses") {
  const Numbers deltas = {-2, -1e-9, 0, 1e-9, 0.5, 3};
  const Tensor r = zeros({6}, kFloat64);
  const auto check = [&](KlEstimator estimator, auto value, auto slope) {
    const Tensor p = leaf(deltas), y = kl_estimate(p, r, estimator);
    y.sum().backward();
    for (std::size_t i = 0; i < deltas.size(); ++i) {
      CHECK(near(at(y, static_cast<std::int64_t>(i)), value(deltas[i])));
      CHECK(near(at(p.grad(), static_cast<std::int64_t>(i)), slope(deltas[i])));
      if (estimator != KlEstimator::k1) CHECK(at(y, static_cast<std::int64_t>(i)) >= 0);
    }
  };
  check(
      KlEstimator::k1, [](double d) { return d; }, [](double) { return 1.0; });
  check(
      KlEstimator::k2, [](double d) { return d * d / 2; }, [](double d) { return d; });
  check(
      KlEstimator::k3, [](double d) { return std::exp(-d) - 1 + d; },
      [](double d) { return 1 - std::exp(-d); });
}

TEST_CASE("k1 and k3 estimate the KL without bias: their means under π are the sum over classes") {
  const Numbers p = {0.5, 0.3, 0.2}, q = {0.2, 0.2, 0.6};
  double kl = 0, k1 = 0, k3 = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    kl += p[i] * std::log(p[i] / q[i]);
    const Tensor lp = doubles({std::log(p[i])}), lq = doubles({std::log(q[i])});
    k1 += p[i] * at(kl_estimate(lp, lq));
    k3 += p[i] * at(kl_estimate(lp, lq, KlEstimator::k3));
  }
  CHECK(near(k1, kl));
  CHECK(near(k3, kl));
}

TEST_CASE("shaped rewards: minus the KL everywhere, the score at the last token") {
  const Tensor p = tokens({-1, -2, -3, -1, -1, -1}, 2), r = tokens({-2, -2, -1, -1, -2, -3}, 2);
  const Tensor rewards = kl_shaped_rewards(p.detach().requires_grad_(), r, doubles({5, -4}),
                                           tensor({2, 0}), {.kl_coef = 0.5});
  CHECK(holds(rewards, {2, 3}, {-0.5, 0, 1 + 5, 0 - 4, -0.5, -1}));
  CHECK(!rewards.requires_grad());
}

TEST_CASE("advantages: λ = 0 is one step's surprise, λ = 1 the return less the value") {
  manual_seed(9);
  const std::int64_t rows = 3, steps = 6;
  const Tensor r = randn({rows, steps}, kFloat64), v = randn({rows, steps}, kFloat64),
               last = randn({rows}, kFloat64);
  const Numbers ends = {0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 1, 0};
  const Tensor dones = from_vector(ends, Shape{rows, steps});
  const double gamma = 0.9;
  const auto next_value = [&](std::int64_t row, std::int64_t t) {
    return t + 1 < steps ? at(v, row * steps + t + 1) : at(last, row);
  };
  const GaeResult td = gae(r, v, last, dones, {.gamma = gamma, .lam = 0});
  const GaeResult all = gae(r, v, last, dones.to(kBool), {.gamma = gamma, .lam = 1});
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t t = 0; t < steps; ++t) {
      const std::int64_t i = row * steps + t;
      const double end = ends[static_cast<std::size_t>(i)];
      CHECK(
          near(at(td.advantages, i), at(r, i) + gamma * next_value(row, t) * (1 - end) - at(v, i)));
      // The discounted rewards until the episode ends, or the value behind the last step.
      double sum = 0, weight = 1;
      std::int64_t s = t;
      for (; s < steps; ++s) {
        sum += weight * at(r, row * steps + s);
        weight *= gamma;
        if (ends[static_cast<std::size_t>(row * steps + s)] != 0) break;
      }
      if (s == steps) sum += weight * at(last, row);
      CHECK(near(at(all.advantages, i), sum - at(v, i)));
      CHECK(near(at(all.returns, i), sum));
    }
  }
}

TEST_CASE("advantages by the formula, from strided tensors, and blind to what is behind an end") {
  const Tensor r = tokens({1, 2, 3, 4}, 1), v = tokens({0.5, -1, 2, 1}, 1);
  const double g = 0.99, l = 0.9;
  const Numbers rewards = {1, 2, 3, 4}, values = {0.5, -1, 2, 1, 0};
  Numbers expected(4);
  for (std::size_t t = 0; t < 4; ++t) {
    for (std::size_t s = t; s < 4; ++s)
      expected[t] += std::pow(g * l, s - t) * (rewards[s] + g * values[s + 1] - values[s]);
  }
  const GaeResult result = gae(r, v, {}, {}, {.gamma = g, .lam = l});
  CHECK(holds(result.advantages, {1, 4}, expected, 1e-14));
  const GaeResult strided =
      gae(r.t().clone().t(), v.expand({1, 4}), {}, {}, {.gamma = g, .lam = l});
  CHECK(strided.advantages.equal(result.advantages));
  const GaeResult ended = gae(tokens({1, 2, kNan}, 1), tokens({0.5, -1, kNan}, 1), doubles({kNan}),
                              tokens({0, 1, 0}, 1));
  CHECK(at(ended.advantages, 1) == 3);
  CHECK(near(at(ended.advantages, 0), 1 - 1 - 0.5 + 0.95 * 3));
  CHECK(gae(zeros({0, 4}), zeros({0, 4})).returns.sizes() == Shape({0, 4}));
}

TEST_CASE("whitened values have mean 0 and variance 1 where they are kept, 0 elsewhere") {
  const Tensor x = tokens({1, 5, 9, -2, 3, 4}, 2), mask = tokens({1, 1, 0, 1, 1, 0}, 2);
  const double mean = 7.0 / 4, s = std::sqrt(((1 - mean) * (1 - mean) + (5 - mean) * (5 - mean) +
                                              (-2 - mean) * (-2 - mean) + (3 - mean) * (3 - mean)) /
                                                 3 +
                                             1e-8);
  CHECK(holds(masked_whiten(x, mask), {2, 3},
              {(1 - mean) / s, (5 - mean) / s, 0, (-2 - mean) / s, (3 - mean) / s, 0}, 1e-14));
  CHECK(holds(masked_whiten(x, mask.to(kBool), {.shift_mean = false}), {2, 3},
              {(1 - mean) / s + mean, (5 - mean) / s + mean, 0, (-2 - mean) / s + mean,
               (3 - mean) / s + mean, 0},
              1e-14));
  CHECK(Backprop(masked_whiten(leaf({1, 2, 3})).sum()).tape().size() == 2);  // and the sum
}

TEST_CASE("the KL's coefficient goes up when the KL is above its target, by at most a fifth") {
  AdaptiveKL coefficient({.init = 0.5, .target = 4, .horizon = 1000});
  CHECK(coefficient.value() == 0.5);
  CHECK(near(coefficient.update(400, 100), 0.5 * 1.02));
  CHECK(near(coefficient.update(0, 100), 0.5 * 1.02 * 0.98));
  const double now = coefficient.value();
  CHECK(coefficient.update(4, 100) == now);
  CHECK(near(coefficient.update(4.4, 100), now * 1.01));
  CHECK(coefficient.update(100, 0) == coefficient.value());
}

TEST_CASE("group advantages: relative to the group, 0 where all are equal") {
  const Tensor rewards = doubles({1, 3, 0.1, 0.1});
  const double s = std::sqrt(2.0);
  CHECK(holds(group_advantages(rewards, 2), {4}, {-1 / (s + 1e-4), 1 / (s + 1e-4), 0, 0}, 1e-15));
  CHECK(holds(group_advantages(rewards, 2, {.scale = AdvantageScale::none}), {-1, 1, 0, 0}));
  const double batch = at(rewards.std());
  CHECK(holds(group_advantages(rewards, 2, {.scale = AdvantageScale::batch}), {4},
              {-1 / (batch + 1e-4), 1 / (batch + 1e-4), 0, 0}, 1e-15));
  CHECK(holds(group_advantages(full({6}, 0.1, kFloat32), 3, {.eps = 0}), {0, 0, 0, 0, 0, 0}));
  CHECK(holds(group_advantages(rewards, 1), {0, 0, 0, 0}));
  CHECK(group_advantages(zeros({0}), 3).sizes() == Shape({0}));
}

TEST_CASE("leave one out: G / (G - 1) times the distance to the mean") {
  const Numbers r = {1, -2, 5, 0.5, 0.25, 7};
  const Tensor got = rloo_advantages(doubles(r), 3);
  for (std::size_t i = 0; i < 6; ++i) {
    const std::size_t begin = i / 3 * 3;
    double others = 0, mean = 0;
    for (std::size_t j = begin; j < begin + 3; ++j) {
      mean += r[j] / 3;
      if (j != i) others += r[j] / 2;
    }
    CHECK(near(at(got, static_cast<std::int64_t>(i)), r[i] - others));
    CHECK(near(at(got, static_cast<std::int64_t>(i)), 1.5 * (r[i] - mean)));
  }
}

TEST_CASE("GRPO's divisors, on a mask of 2 and 1 tokens") {
  // At ρ = 1 a token is worth -A, and its slope is -A.
  const Tensor old = zeros({2, 3}, kFloat64), mask = tokens(kMask, 2);
  const double a = 3, b = -5;
  const auto run = [&](GrpoOptions options) {
    const Tensor now = zeros({2, 3}, kFloat64).requires_grad_();
    const Tensor loss = grpo_loss(now, old, doubles({a, b}), mask, {}, options);
    loss.backward();
    CHECK(Backprop(grpo_loss(now, old, doubles({a, b}), mask, {}, options)).tape().size() == 1);
    return std::pair(at(loss), now.grad());
  };
  const auto check = [&](GrpoOptions options, double weight_a, double weight_b) {
    const auto [loss, slope] = run(options);
    CHECK(near(loss, -2 * a * weight_a - b * weight_b));
    CHECK(holds(slope, {2, 3}, {-a * weight_a, -a * weight_a, 0, -b * weight_b, 0, 0}, 1e-15));
  };
  check({.loss_type = GrpoLossType::grpo}, 1.0 / 2 / 2, 1.0 / 2);
  check({.loss_type = GrpoLossType::bnpo}, 1.0 / 3, 1.0 / 3);
  check({.loss_type = GrpoLossType::dapo}, 1.0 / 3, 1.0 / 3);
  check({.num_tokens = 12, .loss_type = GrpoLossType::dapo}, 1.0 / 12, 1.0 / 12);
  check({.max_len = 8, .loss_type = GrpoLossType::dr_grpo}, 1.0 / 16, 1.0 / 16);
  check({.loss_type = GrpoLossType::grpo, .level = RatioLevel::sequence}, 1.0 / 4, 1.0 / 2);
  // CISPO: -min(ρ, ε_h) A · new, whose slope is -min(1, 0.2) A.
  const auto [loss, slope] = run({.loss_type = GrpoLossType::cispo});
  CHECK(loss == 0);
  CHECK(holds(slope, {2, 3}, {-0.2 * a / 3, -0.2 * a / 3, 0, -0.2 * b / 3, 0, 0}, 1e-15));
}

TEST_CASE("DAPO is BNPO when the batch is whole, and half batches add up to it") {
  manual_seed(2);
  const Tensor now = randn({4, 5}, kFloat64) * 0.3, old = randn({4, 5}, kFloat64) * 0.3,
               a = randn({4}, kFloat64), mask = gt(randn({4, 5}), 0);
  const double n = mask.sum().item<double>();
  const auto part = [&](std::int64_t from, std::int64_t count) {
    return at(grpo_loss(now.narrow(0, from, count), old.narrow(0, from, count),
                        a.narrow(0, from, count), mask.narrow(0, from, count), {},
                        {.num_tokens = n}));
  };
  const double whole = at(grpo_loss(now, old, a, mask, {}, {.loss_type = GrpoLossType::bnpo}));
  CHECK(at(grpo_loss(now, old, a, mask)) == whole);
  CHECK(near(part(0, 2) + part(2, 2), whole));
}

TEST_CASE("GRPO's token: clipped above and below apart, capped, and held near the reference") {
  const auto token = [](double ratio, double a, GrpoOptions options, double reference = 0) {
    const Tensor now = leaf({std::log(ratio)}, {1, 1});
    const Tensor loss = grpo_loss(now, zeros({1, 1}, kFloat64), doubles({a}), {},
                                  full({1, 1}, reference, kFloat64), options);
    loss.backward();
    return Token{at(loss), at(now.grad())};
  };
  const auto is = [](const Token& t, double loss, double slope) {
    return near(t.loss, loss) && near(t.slope, slope);
  };
  CHECK(is(token(1.25, 2, {.eps_high = 0.28}), -2.5, -2.5));
  CHECK(is(token(1.5, 2, {.eps_high = 0.28}), -2.56, 0));
  CHECK(is(token(0.5, -2, {.eps_low = 0.3}), 1.4, 0));
  CHECK(is(token(9, -2, {}), 18, 18));                   // a bad token that became likely
  CHECK(is(token(9, -2, {.delta = 4}), 8, 0));           // is not punished without bound
  CHECK(is(token(1.15, -2, {.delta = 1.1}), 2.3, 2.3));  // the clip bound is the smaller here
  CHECK(is(token(1.15, 2, {.delta = 1.1}), -2.2, 0));
  // k3 = exp(r - new) - 1 + new - r, with slope 1 - exp(r - new).
  CHECK(is(token(1, 0, {.beta = 0.5}, 0.4), 0.5 * (std::exp(0.4) - 1 - 0.4),
           0.5 * (1 - std::exp(0.4))));
  CHECK(is(token(1, 2, {.beta = 0.5}, 0), -2, -2));
}

TEST_CASE("one ratio for a sequence is the geometric mean of its tokens' ratios") {
  const Tensor now = leaf({0.1, -0.05, 7, 0.3, 0.02, -0.1}, {2, 3});
  const Tensor old = zeros({2, 3}, kFloat64), mask = tokens({1, 1, 0, 1, 1, 1}, 2);
  const Tensor loss = grpo_loss(now, old, doubles({2, -3}), mask, {},
                                {.loss_type = GrpoLossType::grpo, .level = RatioLevel::sequence});
  loss.backward();
  const double first = std::exp(0.025), second = std::exp(0.22 / 3);
  CHECK(near(at(loss), (-2 * first + 3 * second) / 2));
  CHECK(holds(now.grad(), {2, 3}, {-first / 2, -first / 2, 0, second / 2, second / 2, second / 2},
              1e-14));
}

TEST_CASE("RLOO's loss clips ratios of whole responses; constants get no gradient") {
  const Tensor now = leaf({std::log(1.5), std::log(1.5), std::log(0.9), std::log(0.5)});
  const Tensor old = zeros({4}, kFloat64).requires_grad_(), a = leaf({1, -1, 2, -1});
  const Tensor loss = rloo_loss(now, old, a);
  loss.backward();
  CHECK(near(at(loss), -(1.2 - 1.5 + 1.8 - 0.8) / 4));
  CHECK(holds(now.grad(), {4}, {0, 1.5 / 4, -1.8 / 4, 0}, 1e-15));
  CHECK(!old.grad().defined());
  CHECK(!a.grad().defined());
  const Tensor x = leaf({-1, -2}, {1, 2}), c = leaf({-1, -2.1}, {1, 2}), worth = leaf({1});
  (grpo_loss(x, c, worth, {}, c, {.beta = 1}) + ppo_policy_loss(x, c, c) + ppo_value_loss(x, c, c) +
   ppo_loss(x, x, {}, {c, c, c, c}, {.entropy_coef = 0}) + kl_estimate(x, c).sum())
      .backward();
  CHECK(x.grad().defined());
  CHECK(!c.grad().defined());
  CHECK(!worth.grad().defined());
}

TEST_CASE("reinforcement learning refuses what makes no sense, in words") {
  const Tensor x = zeros({2, 3}), y = zeros({2, 4}), a = zeros({2});
  CHECK(message_of<ShapeError>([&] { ppo_policy_loss(x, y, x); }) ==
        "ppo_policy_loss: new_logps is [2, 3], old_logps [2, 4]; they must be equal, nothing is "
        "broadcast: reshape one of them");
  CHECK(message_of<ShapeError>([&] { ppo_policy_loss(x, x, x, y); }) ==
        "ppo_policy_loss: the mask is [2, 4], the rest [2, 3]; give one truth value a token");
  CHECK(message_of<DTypeError>([&] { ppo_policy_loss(x, x, x, x.to(kFloat64)); }) ==
        "ppo_policy_loss: the mask is float64 [2, 3], the rest float32 [2, 3]; convert it with "
        ".to(kBool)");
  CHECK(message_of<ValueError>([&] { ppo_policy_loss(x, x, x, {}, {.clip = -0.1}); }) ==
        "ppo_policy_loss: clip is -0.1; it must be at least 0");
  CHECK(message_of<ValueError>([&] { ppo_value_loss(x, x, x, {}, {.clip = kNan}); }) ==
        "ppo_value_loss: clip is nan; it must be at least 0");
  CHECK(message_of<ShapeError>([&] {
          ppo_loss(x, x, zeros({2, 4, 5}), {x, x, x, x});
        }) ==
        "ppo_loss: new_logps is [2, 3], logits [2, 4, 5]; they must have the same sizes and one "
        "dim of classes more");
  CHECK(message_of<ValueError>([&] {
          ppo_loss(x, x, {}, {x, x, x, x});
        }) ==
        "ppo_loss: argument 0 is an undefined tensor (default-constructed or moved from); give it "
        "a value first");
  CHECK(message_of<ShapeError>([&] { grpo_loss(x, x, x); }) ==
        "grpo_loss: new_logps is [2, 3], advantages [2, 3]; they must be [B, T] and [B]");
  CHECK(message_of<ValueError>([&] { grpo_loss(x, x, a, {}, {}, {.beta = 0.1}); }) ==
        "grpo_loss: argument 1 is an undefined tensor (default-constructed or moved from); give it "
        "a value first");
  CHECK(message_of<ValueError>(
            [&] { grpo_loss(x, x, a, {}, {}, {.loss_type = GrpoLossType::dr_grpo}); }) ==
        "grpo_loss: loss_type 'dr_grpo' divides by max_len, which is 0; give the longest "
        "length that a response may have");
  CHECK(message_of<ValueError>([&] { grpo_loss(x, x, a, {}, {}, {.delta = 0.0}); }) ==
        "grpo_loss: delta is 0; it must be above 0 and finite");
  CHECK(message_of<ValueError>([&] { grpo_loss(x, x, a, {}, {}, {.num_tokens = 0.0}); }) ==
        "grpo_loss: num_tokens is 0; it must be above 0 and finite");
  CHECK(message_of<ValueError>([] { grpo_loss_type_from_string("gspo"); }) ==
        "grpo_loss: loss_type 'gspo' is not known; use one of 'grpo', 'bnpo', 'dapo', 'dr_grpo', "
        "'cispo'");
  CHECK(message_of<ValueError>([] { ratio_level_from_string("word"); }) ==
        "grpo_loss: level 'word' is not known; use one of 'token', 'sequence'");
  CHECK(message_of<ValueError>([] { kl_estimator_from_string("k4"); }) ==
        "kl_estimate: estimator 'k4' is not known; use one of 'k1', 'k2', 'k3'");
  CHECK(message_of<ValueError>([] { advantage_scale_from_string("all"); }) ==
        "group_advantages: scale 'all' is not known; use one of 'group', 'batch', 'none'");
  CHECK(message_of<IndexError>([&] {
          kl_shaped_rewards(x, x, a, tensor({1, 3}));
        }) == "kl_shaped_rewards: a last token is 3; responses have 3 tokens, 0 the first");
  CHECK(message_of<ShapeError>([&] { kl_shaped_rewards(x, x, a, tensor({1})); }) ==
        "kl_shaped_rewards: logps is [2, 3], scores [2], last [1]; they must be [B, T], [B] and "
        "[B]");
  CHECK(message_of<ValueError>([&] { gae(x, x, {}, {}, {.gamma = 1.5}); }) ==
        "gae: gamma is 1.5; it must be in [0, 1]");
  CHECK(message_of<ShapeError>([&] { gae(a, a); }) == "gae: rewards is [2]; it must be [B, T]");
  CHECK(message_of<ShapeError>([&] { gae(x, x, zeros({3})); }) ==
        "gae: rewards is [2, 3], last_value [3]; they must be [B, T] and [B]");
  CHECK(message_of<ValueError>([&] {
          masked_whiten(x, zeros({2, 3}, kBool));
        }) ==
        "masked_whiten: 0 of the values [2, 3] are kept; a variance needs two: whiten more of "
        "them");
  CHECK(message_of<ValueError>([&] { masked_whiten(zeros({1})); }) ==
        "masked_whiten: 1 of the values [1] are kept; a variance needs two: whiten more of them");
  CHECK(message_of<ShapeError>([] { group_advantages(zeros({5}), 2); }) ==
        "group_advantages: rewards is [5]; it must be [B], B a multiple of the group, 2");
  CHECK(message_of<ValueError>([] { group_advantages(zeros({4}), 0); }) ==
        "group_advantages: the group is 0; it must be at least 1");
  CHECK(message_of<ValueError>([] { rloo_advantages(zeros({4}), 1); }) ==
        "rloo_advantages: the group is 1; it must be at least 2");
  CHECK(message_of<ValueError>([] { AdaptiveKL({.target = 0}); }) ==
        "AdaptiveKL: target is 0; it must be above 0 and finite");
  CHECK(message_of<ValueError>([] { AdaptiveKL().update(kNan, 1); }) ==
        "AdaptiveKL: kl is nan; it must be finite");
  CHECK(message_of<ValueError>([] { AdaptiveKL().update(1, -1); }) ==
        "AdaptiveKL: n_steps is -1; it must be at least 0");
}
