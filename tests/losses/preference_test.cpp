// Reward models and the losses that learn from preferences, against what their sources say.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/autograd/numbers.h>

#include <cmath>
#include <numbers>

namespace {

using namespace retrace;
using namespace retrace::losses;
using testing::holds;
using testing::kNan;
using testing::leaf;
using testing::message_of;
using testing::Numbers;

constexpr double kLn2 = std::numbers::ln2;

double sigma(double x) { return 1 / (1 + std::exp(-x)); }
double log_sigma(double x) { return std::min(x, 0.0) - std::log1p(std::exp(-std::abs(x))); }
double at(const Tensor& x, std::int64_t i = 0) {
  return x.detach().to_vector<double>()[static_cast<std::size_t>(i)];
}
Tensor doubles(const Numbers& values) { return from_vector(values); }
Tensor number(double value) { return full({}, value, kFloat64); }

const DpoLossType kAllTypes[] = {
    DpoLossType::sigmoid,      DpoLossType::robust,    DpoLossType::hinge,    DpoLossType::ipo,
    DpoLossType::ipo_mean,     DpoLossType::exo_pair,  DpoLossType::nca_pair, DpoLossType::bco_pair,
    DpoLossType::sigmoid_norm, DpoLossType::sppo_hard, DpoLossType::apo_zero, DpoLossType::apo_down,
    DpoLossType::discopop};

DpoOptions of_type(DpoLossType type, double beta = 0.1, std::int64_t n = 1) {
  return {.loss_type = type,
          .beta = beta,
          .label_smoothing = type == DpoLossType::exo_pair ? 1e-3 : 0.0,
          .chosen_lengths = full({n}, 2, kInt64),
          .rejected_lengths = full({n}, 4, kInt64)};
}

// One pair with these log-ratios: its loss, and the gradients to the policy's log-probabilities.
struct Slopes {
  double loss, chosen, rejected;
};
Slopes slopes(double c, double l, const DpoOptions& options) {
  const Tensor w = leaf({c - 3}), r = leaf({l - 5});
  dpo_loss(w, r, doubles({-3}), doubles({-5}), options).loss.backward();
  const DpoResult again = dpo_loss(w, r, doubles({-3}), doubles({-5}), options);
  return {at(again.loss), at(w.grad()), at(r.grad())};
}

bool near(double a, double b, double tolerance = 1e-12) {
  return std::abs(a - b) <= tolerance * std::max(1.0, std::abs(b));
}

}  // namespace

TEST_CASE("§31 equal rewards cost ln 2, a gap of 2 costs 0.126928") {
  CHECK(near(at(reward_loss(doubles({1.5, -4}), doubles({1.5, -4}))), kLn2));
  CHECK(near(at(reward_loss(doubles({2}), doubles({0}))), 0.126928, 1e-6));
  CHECK(near(at(reward_loss(doubles({3}), doubles({0}), {.margin = doubles({1})})), -log_sigma(2)));
}

TEST_CASE("§31 a constant added to both rewards changes nothing, unless they are centred") {
  const Tensor w = doubles({0.5, -1.25, 3}), l = doubles({1, 0.25, -2});
  const auto loss = [&](double shift, double centring) {
    return at(reward_loss(w + shift, l + shift, {.center_rewards_coefficient = centring}));
  };
  CHECK(loss(0, 0) == loss(64, 0));
  CHECK(loss(64, 0.01) > loss(0, 0.01));
  // κ times the mean square of the sums 1.5, -1, 1.
  CHECK(near(loss(0, 0.5) - loss(0, 0), 0.5 * (2.25 + 1 + 1) / 3));
}

TEST_CASE("§31 gradients of the reward loss: -σ(-Δ) and +σ(-Δ), each with 2κ(w + l)") {
  const double m = 0.5, k = 0.1;
  const Tensor w = leaf({1, -2}), l = leaf({0.5, 1}), margin = leaf({m, m});
  reward_loss(w, l, {.margin = margin, .center_rewards_coefficient = k}).backward();
  for (std::int64_t i = 0; i < 2; ++i) {
    const double d = at(w, i) - at(l, i) - m, centre = 2 * k * (at(w, i) + at(l, i));
    CHECK(near(at(w.grad(), i), (-sigma(-d) + centre) / 2));
    CHECK(near(at(l.grad(), i), (sigma(-d) + centre) / 2));
  }
  CHECK(!margin.grad().defined());
}

TEST_CASE("§33 policy = reference: ln 2, accuracy 0; a margin of β h = 1 costs 0.313262") {
  const Tensor w = doubles({-3, -40}), l = doubles({-8, -1});
  const DpoResult first = dpo_loss(w, l, w, l);
  CHECK(near(at(first.loss), kLn2));
  CHECK(holds(first.losses, {2}, {kLn2, kLn2}, 1e-15));
  CHECK(at(first.accuracy) == 0);  // ties are wrong
  CHECK(at(first.margin) == 0);
  CHECK(holds(first.chosen_rewards, {0, 0}));
  CHECK(near(slopes(7, -3, of_type(DpoLossType::sigmoid)).loss, 0.313262, 1e-6));
}

TEST_CASE("§33 the gradient raises the chosen and lowers the rejected by equal amounts") {
  for (const double x : {-30.0, -1.0, 0.0, 1.0, 30.0}) {
    const Slopes s = slopes(x, -x, of_type(DpoLossType::sigmoid));
    CHECK(s.chosen < 0);
    CHECK(s.rejected == -s.chosen);
  }
}

TEST_CASE("§33 gradients to the chosen log-probability, as the reference's table has them") {
  const double beta = 0.3, e = 0.2, c = 1.75, l = -0.5, h = c - l, x = beta * h;
  const auto smooth = [&](DpoLossType type, double smoothing) {
    DpoOptions options = of_type(type, beta);
    options.label_smoothing = smoothing;
    return slopes(c, l, options);
  };
  const auto opposite = [](const Slopes& s, double chosen) {
    return near(s.chosen, chosen) && near(s.rejected, -chosen);
  };
  CHECK(opposite(smooth(DpoLossType::sigmoid, 0), -beta * sigma(-x)));
  CHECK(opposite(smooth(DpoLossType::sigmoid, e), -beta * ((1 - e) * sigma(-x) - e * sigma(x))));
  CHECK(opposite(smooth(DpoLossType::robust, e),
                 -beta * ((1 - e) * sigma(-x) + e * sigma(x)) / (1 - 2 * e)));
  CHECK(opposite(smooth(DpoLossType::hinge, 0), -beta));
  CHECK(opposite(slopes(10, 0, of_type(DpoLossType::hinge, 0.1)), 0));  // at the kink
  CHECK(opposite(slopes(20, 0, of_type(DpoLossType::hinge, 0.1)), 0));
  CHECK(opposite(smooth(DpoLossType::ipo, 0), 2 * (h - 1 / (2 * beta))));
  CHECK(opposite(smooth(DpoLossType::exo_pair, e),
                 beta * sigma(x) * sigma(-x) * (x - std::log(1 - e) + std::log(e))));

  const double hm = c / 2 - l / 4;  // lengths 2 and 4
  const Slopes mean = smooth(DpoLossType::ipo_mean, 0), norm = smooth(DpoLossType::sigmoid_norm, 0);
  CHECK(near(mean.chosen, 2 * (hm - 1 / (2 * beta)) / 2));
  CHECK(near(mean.rejected, -2 * (hm - 1 / (2 * beta)) / 4));
  CHECK(near(norm.chosen, -beta * sigma(-beta * hm) / 2));
  CHECK(near(norm.rejected, beta * sigma(-beta * hm) / 4));

  const auto both = [](const Slopes& s, double chosen, double rejected) {
    return near(s.chosen, chosen) && near(s.rejected, rejected);
  };
  const double bc = beta * c, bl = beta * l;
  CHECK(both(smooth(DpoLossType::nca_pair, 0), beta * (sigma(bc) / 2 - sigma(-bc)),
             beta * sigma(bl) / 2));
  CHECK(both(smooth(DpoLossType::bco_pair, 0), -beta * sigma(-bc), beta * sigma(bl)));
  CHECK(both(smooth(DpoLossType::sppo_hard, 0), 2 * (c - 0.5 / beta), 2 * (l + 0.5 / beta)));
  CHECK(both(smooth(DpoLossType::apo_zero, 0), -beta * sigma(bc) * sigma(-bc),
             beta * sigma(bl) * sigma(-bl)));
  CHECK(both(smooth(DpoLossType::apo_down, 0),
             beta * (sigma(bc) * sigma(-bc) - sigma(x) * sigma(-x)), beta * sigma(x) * sigma(-x)));
  const double t = x / 0.05, gate = sigma(t) * sigma(-t) / 0.05;
  CHECK(opposite(smooth(DpoLossType::discopop, 0),
                 beta * (gate * (log_sigma(x) + std::exp(-x)) - sigma(-x) * sigma(-t) -
                         std::exp(-x) * sigma(t))));
}

TEST_CASE("§33 every loss type is finite at ±1e4, and so are its gradients, in both dtypes") {
  for (const DType dtype : {kFloat64, kFloat32}) {
    for (const DpoLossType type : kAllTypes) {
      const Tensor w = tensor({1e4, -1e4, 1e4, -1e4}, dtype).requires_grad_(),
                   l = tensor({-1e4, 1e4, 1e4, -1e4}, dtype).requires_grad_(),
                   zero = zeros({4}, dtype);
      const DpoResult result = dpo_loss(w, l, zero, zero, of_type(type, 1.0, 4));
      result.loss.backward();
      INFO(static_cast<int>(type));
      for (const Tensor& x : {result.losses, w.grad(), l.grad()})
        for (std::int64_t i = 0; i < 4; ++i) CHECK(std::isfinite(at(x, i)));
    }
    const Tensor zero = zeros({2}, dtype);
    const Tensor w = tensor({1e4, -1e4}, dtype);
    CHECK(holds(dpo_loss(w, zero, zero, zero, {.beta = 1}).losses, {0, 1e4}));
    CHECK(holds(dpo_loss(w, zero, zero, zero, of_type(DpoLossType::discopop, 1, 2)).losses,
                {0, 1e4}));
    CHECK(holds(reward_loss(w, zero, {.reduction = Reduction::none}), {0, 1e4}));
    CHECK(holds(simpo_loss(w, zero, {.beta = 1, .gamma = 0, .reduction = Reduction::none}),
                {0, 1e4}));
  }
}

TEST_CASE("§34 KTO costs one half at h = z, IPO nothing at h = 1/(2β)") {
  const KtoResult kto =
      kto_loss(doubles({-2, -5}), doubles({-3, -6}), tensor({1, 0}), number(1), {.beta = 0.7});
  CHECK(holds(kto.losses, {0.5, 0.5}));
  CHECK(at(kto.loss) == 0.5);
  const Slopes least = slopes(3, -2, of_type(DpoLossType::ipo));  // β = 0.1: h = 5
  CHECK(least.loss == 0);
  CHECK(least.chosen == 0);
  for (const double beta : {0.25, 0.5, 2.0}) {
    CHECK(slopes(1 / (2 * beta), 0, of_type(DpoLossType::ipo, beta)).loss == 0);
    CHECK(slopes(1 / (2 * beta) + 0.1, 0, of_type(DpoLossType::ipo, beta)).loss > 0);
    CHECK(slopes(1 / (2 * beta) - 0.1, 0, of_type(DpoLossType::ipo, beta)).loss > 0);
  }
}

TEST_CASE("§34 KTO: gradients of good and bad responses, and z from mismatched pairs") {
  const double beta = 0.5, good = 1.3, bad = 0.8, z = 0.4;
  const Tensor policy = leaf({-1, -3}), reference = leaf({-2, -2.5});
  const Tensor kl = number(z).requires_grad_();
  const KtoResult result =
      kto_loss(policy, reference, tensor({true, false}), kl,
               {.beta = beta, .desirable_weight = good, .undesirable_weight = bad});
  result.loss.backward();
  const double x = beta * (1 - z), y = beta * (-0.5 - z);
  CHECK(holds(result.losses, {2}, {good * (1 - sigma(x)), bad * (1 - sigma(-y))}, 1e-15));
  CHECK(near(at(policy.grad(), 0), -good * beta * sigma(x) * sigma(-x) / 2));
  CHECK(near(at(policy.grad(), 1), bad * beta * sigma(y) * sigma(-y) / 2));
  CHECK(!reference.grad().defined());
  CHECK(!kl.grad().defined());
  CHECK(at(kto_kl(doubles({-1, -2}), doubles({-2, -2}))) == 0.5);
  CHECK(at(kto_kl(doubles({-3, -2}), doubles({-2, -2}))) == 0);
  CHECK(!kto_kl(leaf({-1, -2}), doubles({-2, -2})).requires_grad());
  CHECK(message_of<ShapeError>([] {
          kto_kl(zeros({2}), zeros({3}));
        }).starts_with("kto_kl: policy is [2], reference [3]; "));
}

TEST_CASE("§34 ORPO: ½ against ¼ is an odds ratio of 3, which costs 0.287682") {
  const Tensor w = doubles({std::log(0.5)}), l = doubles({std::log(0.25)});
  const OrpoResult result = orpo_loss(w, l, number(0), {.beta = 1});
  CHECK(near(at(result.log_odds), std::log(3)));
  CHECK(near(at(result.loss), 0.287682, 1e-6));
  CHECK(near(at(orpo_loss(w, l, number(1.5)).loss), 1.5 + 0.1 * std::log(4.0 / 3)));
}

TEST_CASE("§34 ORPO: gradients, on both branches of log(1 - exp a)") {
  const double beta = 0.5;
  for (const auto& [a, b] : {std::pair(-0.1, -2.0), {-2.0, -0.1}, {-0.6931, -0.6932}}) {
    const Tensor w = leaf({a}), l = leaf({b}), nll = number(2).requires_grad_();
    const OrpoResult result = orpo_loss(w, l, nll, {.beta = beta});
    result.loss.backward();
    const double r = at(result.log_odds);
    CHECK(near(r, a - std::log1p(-std::exp(a)) - b + std::log1p(-std::exp(b))));
    CHECK(near(at(w.grad()), -beta * sigma(-r) / (1 - std::exp(a))));
    CHECK(near(at(l.grad()), beta * sigma(-r) / (1 - std::exp(b))));
    CHECK(at(nll.grad()) == 1);
  }
}

TEST_CASE("§34 ORPO: certainty gives numbers, however certain") {
  for (const DType dtype : {kFloat64, kFloat32}) {
    for (const double certain : {0.0, -1e-30, -1e-8}) {
      const Tensor w = tensor({certain, -2.0, -1e4, certain}, dtype).requires_grad_(),
                   l = tensor({-2.0, certain, certain, certain}, dtype).requires_grad_();
      const OrpoResult result = orpo_loss(w, l, full({}, 1, dtype));
      result.loss.backward();
      for (const Tensor& x : {result.log_odds, w.grad(), l.grad()})
        for (std::int64_t i = 0; i < 4; ++i) CHECK(std::isfinite(at(x, i)));
      CHECK(std::isfinite(at(result.loss)));
      CHECK(at(result.log_odds, 3) == 0);
    }
  }
  // The chosen one's slope has a limit, minus β times the odds of the other.
  const Tensor w = leaf({0}), l = leaf({-2});
  orpo_loss(w, l, number(0), {.beta = 1}).loss.backward();
  CHECK(near(at(w.grad()), -1 / std::expm1(2), 1e-9));
}

TEST_CASE("SimPO and CPO: values, gradients, smoothing") {
  const double beta = 2, gamma = 0.5, e = 0.1, d = 0.7, x = beta * d - gamma;
  const Tensor w = leaf({-1}), l = leaf({-1.7}), nll = number(3).requires_grad_();
  const Tensor simpo = simpo_loss(w, l, {.beta = beta, .gamma = gamma, .label_smoothing = e});
  CHECK(near(at(simpo), -(1 - e) * log_sigma(x) - e * log_sigma(-x)));
  simpo.backward();
  CHECK(near(at(w.grad()), -beta * ((1 - e) * sigma(-x) - e * sigma(x))));
  CHECK(near(at(l.grad()), -at(w.grad())));
  w.grad().zero_();
  const Tensor cpo = cpo_loss(w, l, nll, {.beta = beta, .nll_coef = 0.5});
  CHECK(near(at(cpo), -log_sigma(beta * d) + 1.5));
  cpo.backward();
  CHECK(near(at(w.grad()), -beta * sigma(-beta * d)));
  CHECK(at(nll.grad()) == 0.5);
  // A reference that does not care makes DPO CPO without its NLL.
  CHECK(
      near(at(dpo_loss(w, l, {}, {}, {.beta = beta, .reference_free = true}).loss), at(cpo) - 1.5));
}

TEST_CASE("orpo and cpo: of each pair by itself") {
  const Tensor w = tensor({-0.4, -1.5, -0.1}), l = tensor({-0.9, -0.2, -3.0}), nll = -w;
  const OrpoResult orpo = orpo_loss(w, l, nll, {.beta = 0.7, .reduction = Reduction::none});
  CHECK(orpo.loss.sizes() == Shape{3});
  CHECK(allclose(orpo.loss.mean(), orpo_loss(w, l, nll.mean(), {.beta = 0.7}).loss, 1e-6, 1e-6));
  const CpoOptions options = {.beta = 0.7, .nll_coef = 0.3, .reduction = Reduction::none};
  const Tensor cpo = cpo_loss(w, l, nll, options);
  CHECK(cpo.sizes() == Shape{3});
  CHECK(
      allclose(cpo.mean(), cpo_loss(w, l, nll.mean(), {.beta = 0.7, .nll_coef = 0.3}), 1e-6, 1e-6));
  CHECK(message_of<ShapeError>([&] { cpo_loss(w, l, nll.mean(), options); }) ==
        "cpo_loss: nll is [], chosen [3]; without a reduction give one number a pair");
  CHECK_THROWS_AS(orpo_loss(w, l, nll, {}), ShapeError);
  CHECK(message_of<ValueError>([&] {
          orpo_loss(w, l, Tensor(), {.reduction = Reduction::none});
        }).starts_with("orpo_loss: "));
}

TEST_CASE("DPO: references, lengths and metrics get and give no gradient; one node and its mean") {
  const Tensor w = leaf({-1, -2}), l = leaf({-2, -1}), rw = leaf({-1.5, -1.5}), rl = leaf({-3, -3});
  DpoOptions options = of_type(DpoLossType::ipo_mean, 0.5, 2);
  options.chosen_lengths = leaf({2, 3});
  const DpoResult result = dpo_loss(w, l, rw, rl, options);
  for (const Tensor& metric :
       {result.chosen_rewards, result.rejected_rewards, result.accuracy, result.margin})
    CHECK(!metric.requires_grad());
  CHECK(holds(result.chosen_rewards, {0.25, -0.25}));
  CHECK(holds(result.rejected_rewards, {0.5, 1}));
  CHECK(at(result.accuracy) == 0);
  CHECK(at(result.margin) == -0.75);
  CHECK(Backprop(result.loss).tape().size() == 2);
  CHECK(Backprop(result.loss).tape()[1]->name() == "dpo_loss");
  result.loss.backward();
  CHECK(w.grad().defined());
  for (const Tensor& constant : {rw, rl, options.chosen_lengths}) CHECK(!constant.grad().defined());
  // An empty response has log-probability 0, and its length counts as 1.
  DpoOptions empty = of_type(DpoLossType::ipo_mean, 0.5);
  empty.rejected_lengths = zeros({1}, kInt64);
  CHECK(
      near(at(dpo_loss(doubles({-1}), doubles({0}), doubles({-3}), doubles({0}), empty).loss), 0));
  CHECK(std::isnan(at(dpo_loss(zeros({0}), zeros({0}), zeros({0}), zeros({0})).loss)));
}

TEST_CASE("losses over preferences: first and second derivatives") {
  manual_seed(3);
  const auto random = [] { return randn({3}, kFloat64).requires_grad_(); };
  const Tensor r = randn({3}, kFloat64), q = randn({3}, kFloat64);
  for (const DpoLossType type : kAllTypes) {
    INFO(static_cast<int>(type));
    const auto f = [&](const std::vector<Tensor>& in) {
      return std::vector<Tensor>{dpo_loss(in[0], in[1], r, q, of_type(type, 0.2, 3)).losses};
    };
    CHECK(gradcheck(f, {random(), random()}));
    CHECK(gradgradcheck(f, {random(), random()}));
  }
}

TEST_CASE("losses over preferences refuse what makes no sense, in words") {
  const Tensor a = zeros({2}), b = zeros({3}), d = zeros({2}, kFloat64);
  const auto refused = [&](const DpoOptions& options) {
    return message_of<ValueError>([&] { dpo_loss(a, a, a, a, options); });
  };
  CHECK(message_of<ShapeError>([&] { dpo_loss(a, b, a, a); }) ==
        "dpo_loss: policy_chosen is [2], policy_rejected [3]; they must be equal, nothing is "
        "broadcast: reshape one of them");
  CHECK(message_of<ShapeError>([&] { dpo_loss(a, a, a, b); }) ==
        "dpo_loss: policy_chosen is [2], reference_rejected [3]; they must be equal, nothing is "
        "broadcast: reshape one of them");
  CHECK(message_of<DTypeError>([&] { dpo_loss(a, a, d, a); }) ==
        "dpo_loss: operands are float32 [2] and float64 [2]; convert one with .to(float32)");
  CHECK(refused({.beta = 0}) == "dpo_loss: beta is 0; it must be above 0 and finite");
  CHECK(refused({.beta = kNan}) == "dpo_loss: beta is nan; it must be above 0 and finite");
  CHECK(refused({.label_smoothing = 1.5}) ==
        "dpo_loss: label_smoothing is 1.5; for loss_type 'sigmoid' it must be in [0, 1]");
  CHECK(refused({.loss_type = DpoLossType::robust, .label_smoothing = 0.5}) ==
        "dpo_loss: label_smoothing is 0.5; for loss_type 'robust' it must be at least 0 and below "
        "1/2");
  CHECK(refused({.loss_type = DpoLossType::exo_pair}) ==
        "dpo_loss: label_smoothing is 0; for loss_type 'exo_pair' it must be above 0 and below 1, "
        "0.001 say");
  CHECK(refused({.loss_type = DpoLossType::ipo, .label_smoothing = 0.1}) ==
        "dpo_loss: label_smoothing is 0.1; for loss_type 'ipo' it must be 0, it has none");
  CHECK(refused({.discopop_tau = 0}) ==
        "dpo_loss: discopop_tau is 0; it must be above 0 and finite");
  CHECK(refused({.loss_type = DpoLossType::ipo_mean}) ==
        "dpo_loss: this loss_type is per token, and chosen_lengths is undefined; give the number "
        "of tokens of each response");
  CHECK(message_of<ShapeError>(
            [&] { dpo_loss(a, a, a, a, of_type(DpoLossType::sigmoid_norm, 0.1, 3)); }) ==
        "dpo_loss: chosen_lengths is [3], the log-probabilities [2]; give one length a "
        "response");
  CHECK(message_of<ValueError>([] { dpo_loss_type_from_string("nonsense"); }) ==
        "dpo_loss: loss_type 'nonsense' is not known; use one of 'sigmoid', 'robust', 'hinge', "
        "'ipo', 'ipo_mean', 'sigmoid_norm', 'exo_pair', 'nca_pair', 'bco_pair', 'sppo_hard', "
        "'apo_zero', 'apo_down', 'discopop'");
  CHECK(message_of<ValueError>([&] { reward_loss(a, a, {.center_rewards_coefficient = -1}); }) ==
        "reward_loss: center_rewards_coefficient is -1; it must be at least 0");
  CHECK(message_of<ShapeError>([&] { reward_loss(a, a, {.margin = b}); }) ==
        "reward_loss: chosen is [2], margin [3]; they must be equal, nothing is broadcast: reshape "
        "one of them");
  CHECK(
      message_of<ValueError>([&] {
        kto_loss(a, a, tensor({1, 2}), zeros({}));
      }) ==
      "kto_loss: label [2] holds 2 (element 1); it must be 1 for a good response, 0 for a bad one");
  CHECK(message_of<ShapeError>([&] {
          kto_loss(a, a, tensor({1, 0}), zeros({1}));
        }) == "kto_loss: kl is [1]; it must be one number, 0-d: take its mean()");
  CHECK(message_of<ShapeError>([&] {
          kto_loss(a, a, tensor({1, 0, 1}), zeros({}));
        }) ==
        "kto_loss: policy is [2], label [3]; they must be equal, nothing is broadcast: reshape one "
        "of them");
  CHECK(testing::says(
      message_of<ShapeError>([&] { orpo_loss(a, a, a, {.reduction = Reduction::sum}); }),
      "take its sum()"));
  CHECK(message_of<ShapeError>([&] { orpo_loss(a, a, a); }) ==
        "orpo_loss: nll is [2]; it must be one number, 0-d: take its mean()");
  CHECK(message_of<ValueError>([&] { simpo_loss(a, a, {.label_smoothing = -0.1}); }) ==
        "simpo_loss: label_smoothing is -0.1; it must be in [0, 1]");
  CHECK(message_of<ValueError>([&] { cpo_loss(a, a, zeros({}), {.nll_coef = kNan}); }) ==
        "cpo_loss: nll_coef is nan; it must be at least 0");
}
