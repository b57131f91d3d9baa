// What models learn with one loss or another, in seconds.
#include <doctest/doctest.h>

#include <retrace/retrace.h>

#include <cmath>

namespace {

using namespace retrace;

// Steps of Adam down the loss.
template <class Loss>
void fit(const std::vector<Tensor>& parameters, std::int64_t steps, double lr, Loss loss) {
  optim::Adam optimizer(parameters, {.lr = lr});
  for (std::int64_t i = 0; i < steps; ++i) {
    optimizer.zero_grad();
    loss().backward();
    optimizer.step();
  }
}

double accuracy(const Tensor& guessed, const Tensor& answers) {
  return eq(guessed, answers).to(kFloat64).mean().item<double>();
}

}  // namespace

TEST_CASE("§01 layers without activations are one layer, however many") {
  manual_seed(1);
  const NoGradGuard no_grad;
  nn::Linear a(4, 7), b(7, 5), c(5, 3);
  for (nn::Linear* layer : {&a, &b, &c}) layer->to(kFloat64);
  const Tensor x = randn({10, 4}, kFloat64);
  const Tensor weight = c.weight.matmul(b.weight).matmul(a.weight);
  const Tensor bias = c.weight.matmul(b.weight.matmul(a.bias) + b.bias) + c.bias;
  CHECK((c(b(a(x))) - linear(x, weight, bias)).abs().max().item<double>() < 1e-14);
}

TEST_CASE(
    "§01 exclusive or: no stack of lines is right more than three times in four, one hidden "
    "layer is always") {
  const Tensor x = tensor({{0.0, 0.0}, {0.0, 1.0}, {1.0, 0.0}, {1.0, 1.0}});
  const Tensor answers = tensor({0, 1, 1, 0});
  const auto reached = [&](nn::Sequential net) {
    fit(net.parameters(), 300, 0.05, [&] { return losses::cross_entropy(net(x), answers); });
    const NoGradGuard no_grad;
    return accuracy(net(x).argmax(1), answers);
  };
  for (const std::uint64_t seed : {1u, 2u, 3u}) {
    CAPTURE(seed);
    manual_seed(seed);
    CHECK(reached({nn::Linear(2, 8), nn::Linear(8, 2)}) <= 0.75);
    CHECK(reached({nn::Linear(2, 8), nn::Linear(8, 8), nn::Linear(8, 2)}) <= 0.75);
    CHECK(reached({nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 2)}) == 1.0);
    CHECK(reached({nn::Linear(2, 16), nn::ReLU(), nn::Linear(16, 2)}) == 1.0);
  }
}

TEST_CASE(
    "§35 yes or no: a probability of a half is a logit of 0; what a line separates is learnt") {
  CHECK(tensor(0.0).sigmoid().item<double>() == 0.5);
  const Tensor logits = tensor({-3.0, -1e-3, 1e-3, 3.0});
  CHECK((logits > 0).equal(logits.sigmoid() > 0.5));
  manual_seed(2);
  const Tensor x = randn({200, 3}, kFloat64);
  const Tensor answers = (x.matmul(tensor({1.0, -2.0, 0.5}, kFloat64)) > 0.3).to(kFloat64);
  Tensor w = zeros({3}, kFloat64).requires_grad_(), b = zeros({}, kFloat64).requires_grad_();
  fit({w, b}, 400, 0.1, [&] { return losses::bce_with_logits(x.matmul(w) + b, answers); });
  const NoGradGuard no_grad;
  CHECK(accuracy((x.matmul(w) + b > 0).to(kFloat64), answers) == 1.0);
}

TEST_CASE("§36 one of several: probabilities sum to 1, and more for one is less for every other") {
  const Tensor z = tensor({0.3, -1.0, 2.0, 0.0}, kFloat64), more = tensor({0.0, 1.0, 0.0, 0.0});
  const Tensor p = softmax(z, 0), q = softmax(z + more.to(kFloat64), 0);
  CHECK(p.sum().item<double>() == doctest::Approx(1).epsilon(1e-15));
  for (std::int64_t k = 0; k < 4; ++k)
    CHECK((q[k].item<double>() > p[k].item<double>()) == (k == 1));
}

TEST_CASE("§37 several at once: labels do not take from each other, all may be nearly certain") {
  const Tensor z = tensor({0.3, -1.0, 2.0}, kFloat64);
  const Tensor more = z + tensor({0.0, 5.0, 0.0}, kFloat64);
  CHECK(z.sigmoid()[0].equal(more.sigmoid()[0]));
  CHECK(z.sigmoid()[2].equal(more.sigmoid()[2]));
  const Tensor logits = zeros({1, 3}).requires_grad_();
  fit({logits}, 200, 0.1, [&] { return losses::bce_with_logits(logits, ones({1, 3})); });
  for (const double p : logits.sigmoid().to_vector<double>()) CHECK(p > 0.99);
}

TEST_CASE(
    "§38 a quantity: one outlier moves the squared fit far, the absolute and Huber fits little") {
  Tensor x = linspace(-1, 1, 21, kFloat64), t = x * 2 + 1;
  t.data_ptr<double>()[20] += 50;
  const auto fitted = [&](Tensor (*loss)(const Tensor&, const Tensor&)) {
    Tensor w = zeros({}, kFloat64).requires_grad_(), b = zeros({}, kFloat64).requires_grad_();
    fit({w, b}, 1500, 0.02, [&] { return loss(x * w + b, t); });
    return std::abs(w.item<double>() - 2) + std::abs(b.item<double>() - 1);
  };
  const double squared =
      fitted([](const Tensor& a, const Tensor& b) { return losses::mse_loss(a, b); });
  const double absolute =
      fitted([](const Tensor& a, const Tensor& b) { return losses::l1_loss(a, b); });
  const double huber =
      fitted([](const Tensor& a, const Tensor& b) { return losses::huber_loss(a, b); });
  // Least squares itself: slope and offset of the outlier's share.
  const double xx = (x * x).sum().item<double>();
  CHECK(squared == doctest::Approx(50 / xx + 50.0 / 21).epsilon(1e-2));
  CHECK(absolute < 0.1);
  CHECK(huber < 0.5);
}

TEST_CASE("§38 an output without an activation exceeds any bound, one behind tanh does not") {
  Tensor free = zeros({1}, kFloat64).requires_grad_(),
         bounded = zeros({1}, kFloat64).requires_grad_();
  const Tensor target = full({1}, 300, kFloat64);
  fit({free}, 400, 2, [&] { return losses::mse_loss(free, target); });
  fit({bounded}, 400, 2, [&] { return losses::mse_loss(bounded.tanh(), target); });
  CHECK(free.item<double>() == doctest::Approx(300).epsilon(0.01));
  CHECK(bounded.tanh().item<double>() <= 1.0);
}
