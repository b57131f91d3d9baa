#include <retrace/autograd/autograd.h>
#include <retrace/autograd/functional.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/losses/losses.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/messages.h>
#include <retrace/tests/random.h>

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

namespace {

using namespace retrace;
using losses::cross_entropy;
using losses::CrossEntropyOptions;
using losses::nll_loss;
using testing::message_of;

constexpr double kInf = std::numeric_limits<double>::infinity();

Tensor classes(std::int64_t count, const Shape& sizes) { return randint(0, count, sizes); }

std::vector<double> values(const Tensor& x) { return x.to_vector<double>(); }

void check_close(const std::vector<double>& a, const std::vector<double>& b, double tolerance) {
  REQUIRE(a.size() == b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    CAPTURE(i);
    if (std::isnan(b[i])) {
      CHECK(std::isnan(a[i]));
    } else {
      CHECK(std::abs(a[i] - b[i]) <= tolerance * (1 + std::abs(b[i])));
    }
  }
}

// Loss and gradient of each row by the definition. `q` holds the targets' probabilities.
struct Naive {
  std::vector<double> loss, gradient;
  Naive(const std::vector<double>& z, const std::vector<double>& q, const std::vector<double>& w) {
    const std::size_t k = w.size();
    for (std::size_t row = 0; row < z.size(); row += k) {
      long double best = -kInf, sum = 0, total = 0, value = 0;
      for (std::size_t c = 0; c < k; ++c) best = std::max<long double>(best, z[row + c]);
      for (std::size_t c = 0; c < k; ++c) sum += std::exp(z[row + c] - best);
      for (std::size_t c = 0; c < k; ++c) {
        const long double share = static_cast<long double>(w[c]) * q[row + c];
        total += share;
        if (share != 0) value -= share * (z[row + c] - best - std::log(sum));
      }
      loss.push_back(static_cast<double>(value));
      for (std::size_t c = 0; c < k; ++c)
        gradient.push_back(static_cast<double>(std::exp(z[row + c] - best) / sum * total -
                                               static_cast<long double>(w[c]) * q[row + c]));
    }
  }
};

// Class targets as probabilities; zeros for ignored ones.
std::vector<double> spread_out(const std::vector<std::int64_t>& targets, std::size_t k,
                               double smoothing, std::int64_t ignored) {
  std::vector<double> q;
  for (const std::int64_t t : targets) {
    for (std::size_t c = 0; c < k; ++c) {
      const double hard = static_cast<std::int64_t>(c) == t ? 1.0 - smoothing : 0.0;
      q.push_back(t == ignored ? 0.0 : hard + smoothing / static_cast<double>(k));
    }
  }
  return q;
}

TEST_CASE("cross_entropy agrees with its definition, for few classes and many") {
  for (const std::int64_t k : {1, 2, 3, 10, 31, 32, 33, 100, 1000, 1024, 1025, 2500}) {
    for (const double smoothing : {0.0, 0.2}) {
      for (const bool weighted : {false, true}) {
        for (const DType dtype : {kFloat32, kFloat64}) {
          CAPTURE(k);
          CAPTURE(smoothing);
          CAPTURE(weighted);
          const std::int64_t n = k > 500 ? 3 : 37;
          Tensor z = random({n, k}, dtype).mul_(3.0).requires_grad_();
          Tensor t = classes(k, {n});
          t.data_ptr<std::int64_t>()[1] = -100;
          const Tensor w = weighted ? rand({k}, dtype) + 0.1 : Tensor();
          const auto targets = t.to_vector<std::int64_t>();
          const auto weights =
              weighted ? values(w) : std::vector<double>(static_cast<std::size_t>(k), 1.0);
          const Naive naive(values(z), spread_out(targets, weights.size(), smoothing, -100),
                            weights);
          const double tolerance = dtype == kFloat32 ? 1e-5 : 1e-12;

          const Tensor each = cross_entropy(
              z, t, {.weight = w, .reduction = Reduction::none, .label_smoothing = smoothing});
          check_close(values(each), naive.loss, tolerance);
          CHECK(each.sizes() == Shape({n}));
          each.backward(ones({n}, dtype));
          check_close(values(z.grad()), naive.gradient, tolerance);

          double sum = 0, divisor = 0;
          for (const double loss : naive.loss) sum += loss;
          for (const std::int64_t target : targets)
            if (target != -100) divisor += weights[static_cast<std::size_t>(target)];
          z.zero_grad();
          const Tensor mean = cross_entropy(z, t, {.weight = w, .label_smoothing = smoothing});
          CHECK(std::abs(mean.item<double>() - sum / divisor) <= tolerance * (1 + sum / divisor));
          mean.backward();
          std::vector<double> gradient = naive.gradient;
          for (double& g : gradient) g /= divisor;
          check_close(values(z.grad()), gradient, tolerance);
          const Tensor total = cross_entropy(
              z, t, {.weight = w, .reduction = Reduction::sum, .label_smoothing = smoothing});
          CHECK(std::abs(total.item<double>() - sum) <= tolerance * (1 + sum));
        }
      }
    }
  }
}

TEST_CASE("probabilities as targets") {
  for (const std::int64_t k : {1, 3, 40, 1500}) {
    for (const double smoothing : {0.0, 0.3}) {
      CAPTURE(k);
      Tensor z = random({4, k}).requires_grad_();
      const Tensor q = rand({4, k}, kFloat64), w = rand({k}, kFloat64) + 0.1;
      std::vector<double> smoothed = values(q);
      for (double& v : smoothed) v = (1 - smoothing) * v + smoothing / static_cast<double>(k);
      const Naive naive(values(z), smoothed, values(w));
      const Tensor each = cross_entropy(
          z, q, {.weight = w, .reduction = Reduction::none, .label_smoothing = smoothing});
      check_close(values(each), naive.loss, 1e-12);
      each.backward(ones({4}, kFloat64));
      check_close(values(z.grad()), naive.gradient, 1e-12);
      double sum = 0;
      for (const double loss : naive.loss) sum += loss;
      const Tensor mean = cross_entropy(z, q, {.weight = w, .label_smoothing = smoothing});
      CHECK(std::abs(mean.item<double>() - sum / 4) <= 1e-12 * (1 + sum));  // not by the weights
    }
  }
  // A class that the mask takes out and the target does not name costs nothing.
  Tensor masked = tensor({{0.0, -kInf, 0.0}}).requires_grad_();
  const Tensor loss = cross_entropy(masked, tensor({{0.5, 0.0, 0.5}}));
  CHECK(loss.item<double>() == doctest::Approx(std::numbers::ln2));
  loss.backward();
  CHECK(masked.grad().equal(zeros({1, 3})));
}

TEST_CASE("known values") {
  const Tensor z = tensor({{2.0, 0.5, -1.0}}, kFloat64), t = tensor({0});
  CHECK(cross_entropy(z, t).item<double>() == doctest::Approx(0.241311).epsilon(1e-6));
  CHECK(cross_entropy(z, t, {.label_smoothing = 0.1}).item<double>() ==
        doctest::Approx(0.391311).epsilon(1e-6));
  CHECK(cross_entropy(zeros({7, 10}, kFloat64), classes(10, {7})).item<double>() ==
        doctest::Approx(std::log(10.0)).epsilon(1e-15));
  CHECK(cross_entropy(zeros({3, 1}), tensor({0, 0, 0})).item<double>() == 0.0);
}

TEST_CASE("one sample, and more dims behind the classes") {
  const Tensor z = random({5, 4}), t = classes(4, {5});
  const Tensor each = cross_entropy(z, t, {.reduction = Reduction::none});
  CHECK(cross_entropy(z[2], t[2], {.reduction = Reduction::none}).equal(each[2]));
  CHECK(cross_entropy(z[2], t[2]).equal(each[2]));

  // [2, 4, 3] holds the same rows as [6, 4], spread over places.
  const Tensor rows = random({6, 4}), targets = classes(4, {2, 3});
  const Tensor places = rows.view({2, 3, 4}).transpose(1, 2).contiguous();
  Tensor a = rows.clone().requires_grad_(), b = places.clone().requires_grad_();
  const Tensor u = random({2, 3});
  const Tensor la = cross_entropy(a, targets.view({6}), {.reduction = Reduction::none});
  const Tensor lb = cross_entropy(b, targets, {.reduction = Reduction::none});
  CHECK(lb.sizes() == Shape({2, 3}));
  CHECK(lb.detach().reshape({6}).equal(la.detach()));
  la.backward(u.view({6}));
  lb.backward(u);
  CHECK(b.grad().transpose(1, 2).reshape({6, 4}).equal(a.grad()));

  const Tensor deep = random({2, 3, 2, 2});
  const Tensor deep_t = classes(3, {2, 2, 2});
  const Tensor flat = deep.permute({0, 2, 3, 1}).reshape({8, 3});
  CHECK(cross_entropy(deep, deep_t).equal(cross_entropy(flat, deep_t.view({8}))));
}

TEST_CASE("strided logits, targets, weights and upstream gradients") {
  const Tensor plain = random({6, 5});
  const Tensor t = classes(5, {6}), w = rand({5}, kFloat64) + 0.5;
  const Tensor expected = cross_entropy(plain, t, {.weight = w, .reduction = Reduction::none});
  const Tensor strided_z = plain.t().contiguous().t();
  const Tensor strided_t = t.unsqueeze(1).expand({6, 2}).contiguous().select(1, 0);
  const Tensor strided_w = w.unsqueeze(1).expand({5, 3}).contiguous().select(1, 1);
  CHECK(cross_entropy(strided_z, strided_t, {.weight = strided_w, .reduction = Reduction::none})
            .equal(expected));
  const auto f = [&](const std::vector<Tensor>& in) {
    return cross_entropy(in[0].t(), t, {.weight = w, .reduction = Reduction::none});
  };
  CHECK(gradcheck(f, {random({5, 6}).requires_grad_()}));
  CHECK(gradcheck([&](const std::vector<Tensor>& in) { return cross_entropy(in[0], t); },
                  {random({6, 5}).requires_grad_()}));
  CHECK(gradcheck(
      [t = classes(3, {2, 4})](const std::vector<Tensor>& in) {
        return cross_entropy(in[0], t, {.label_smoothing = 0.1});
      },
      {random({2, 3, 4}).requires_grad_()}));
  CHECK(gradcheck(
      [q = rand({2, 3, 4}, kFloat64)](const std::vector<Tensor>& in) {
        return cross_entropy(in[0], q, {.reduction = Reduction::none, .label_smoothing = 0.1});
      },
      {random({2, 3, 4}).requires_grad_()}));
}

TEST_CASE("logits of any size give finite losses and gradients") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    Tensor z =
        tensor({{1e4, -1e4, 0.0}, {-1e4, 1e4, 1e4}, {3e4, 3e4, 3e4}}, dtype).requires_grad_();
    const Tensor each = cross_entropy(z, tensor({1, 1, 2}), {.reduction = Reduction::none});
    check_close(values(each), {2e4, std::numbers::ln2, std::log(3.0)}, 1e-7);
    each.backward(ones({3}, dtype));
    check_close(values(z.grad()), {1, -1, 0, 0, -0.5, 0.5, 1 / 3.0, 1 / 3.0, 1 / 3.0 - 1}, 1e-7);
    z.zero_grad();
    const Tensor smooth = cross_entropy(z, tensor({0, 1, 2}), {.label_smoothing = 0.3});
    CHECK(std::isfinite(smooth.item<double>()));
    smooth.backward();
    for (const double g : values(z.grad())) CHECK(std::isfinite(g));
  }
  // Far from the answer the digits of the difference count, not those of the logits.
  Tensor z = tensor({{10000.0, 10001.0}}).requires_grad_();
  const Tensor loss = cross_entropy(z, tensor({0}));
  CHECK(loss.item<double>() == doctest::Approx(1.3132616875182228).epsilon(1e-6));
  loss.backward();
  CHECK(z.grad()[0][1].item<double>() == doctest::Approx(0.7310585786300049).epsilon(1e-6));
}

TEST_CASE("-inf takes a class out; a row of nothing else is NaN") {
  for (const std::int64_t k : {3, 50, 2000}) {
    Tensor z = zeros({2, k});
    z.data_ptr<float>()[1] = -std::numeric_limits<float>::infinity();
    z.data_ptr<float>()[k + 2] = -std::numeric_limits<float>::infinity();
    z.requires_grad_();
    const Tensor loss = cross_entropy(z, tensor({0, 1}), {.reduction = Reduction::none});
    const double left = static_cast<double>(k - 1);
    check_close(values(loss), {std::log(left), std::log(left)}, 1e-6);
    loss.backward(ones({2}));
    CHECK(z.grad()[0][1].item<float>() == 0.0f);
    CHECK(z.grad()[1][2].item<float>() == 0.0f);
    CHECK(z.grad()[0][0].item<double>() == doctest::Approx(1.0 / left - 1));
    const Tensor nothing = full({1, k}, -kInf);
    CHECK(std::isnan(cross_entropy(nothing, tensor({0})).item<double>()));
    Tensor nan = zeros({2, k});
    nan.data_ptr<float>()[k - 1] = std::numeric_limits<float>::quiet_NaN();
    const auto each = values(cross_entropy(nan, tensor({0, 0}), {.reduction = Reduction::none}));
    CHECK(std::isnan(each[0]));
    CHECK(!std::isnan(each[1]));
  }
}

TEST_CASE("what is ignored counts for nothing, whatever its logits are") {
  Tensor z = tensor({{kInf, std::nan(""), 1.0}, {0.0, 0.0, 0.0}}).requires_grad_();
  const Tensor t = tensor({-1, 2});
  const Tensor loss = cross_entropy(z, t, {.ignore_index = -1});
  CHECK(loss.item<double>() == doctest::Approx(std::log(3.0)));
  loss.backward();
  CHECK(z.grad()[0].equal(zeros({3})));
  check_close(values(z.grad()[1]), {1 / 3.0, 1 / 3.0, 1 / 3.0 - 1}, 1e-6);
  // ignore_index may be one of the classes.
  CHECK(cross_entropy(zeros({2, 3}), tensor({0, 2}), {.ignore_index = 2}).item<double>() ==
        doctest::Approx(std::log(3.0)));

  // All of them: sum 0, none zeros, mean NaN; the gradient is 0.
  const Tensor all = tensor({-100, -100});
  for (const Reduction reduction : {Reduction::mean, Reduction::sum}) {
    Tensor x = random({2, 3}).requires_grad_();
    const Tensor y = cross_entropy(x, all, {.reduction = reduction});
    CHECK(std::isnan(y.item<double>()) == (reduction == Reduction::mean));
    if (reduction == Reduction::sum) CHECK(y.item<double>() == 0.0);
    y.backward();
    CHECK(x.grad().equal(zeros({2, 3}, kFloat64)));
  }
  CHECK(cross_entropy(random({2, 3}), all, {.reduction = Reduction::none})
            .equal(zeros({2}, kFloat64)));
}

TEST_CASE("an empty batch") {
  const Tensor z = zeros({0, 3}), t = zeros({0}, kInt64);
  CHECK(cross_entropy(z, t, {.reduction = Reduction::none}).sizes() == Shape({0}));
  CHECK(cross_entropy(z, t, {.reduction = Reduction::sum}).item<float>() == 0.0f);
  CHECK(std::isnan(cross_entropy(z, t).item<float>()));
  Tensor x = zeros({0, 3}).requires_grad_();
  cross_entropy(x, t, {.reduction = Reduction::sum}).backward();
  CHECK(x.grad().sizes() == Shape({0, 3}));
}

TEST_CASE("cross_entropy gives the same bits with one thread and two") {
  const int before = num_threads();
  for (const std::int64_t k : {10, 1000, 5000}) {
    const std::int64_t n = 200000 / k;
    const Tensor z0 = random({n, k}, kFloat32), t = classes(k, {n});
    std::vector<Tensor> results[2];
    for (const int threads : {1, 2}) {
      set_num_threads(threads);
      Tensor z = z0.clone().requires_grad_();
      const Tensor loss = cross_entropy(z, t, {.label_smoothing = 0.1});
      loss.backward();
      results[threads - 1] = {loss.detach(), z.grad()};
    }
    CHECK(results[0][0].equal(results[1][0]));
    CHECK(results[0][1].equal(results[1][1]));
  }
  set_num_threads(before);
}

TEST_CASE("the mean of many rows keeps float32's digits") {
  const std::int64_t n = 300000;
  CHECK(cross_entropy(zeros({n, 3}), zeros({n}, kInt64)).item<double>() ==
        doctest::Approx(std::log(3.0)).epsilon(1e-7));
}

TEST_CASE("cross_entropy refuses what it cannot use, before any arithmetic") {
  const Tensor z = zeros({2, 3});
  CHECK_THROWS_AS(cross_entropy(z, tensor({0, 3})), IndexError);
  CHECK(message_of([&] {
          cross_entropy(z, tensor({0, 3}));
        }).starts_with("cross_entropy: target 3 (element 1 of [2]) is outside [0, 3)"));
  CHECK_THROWS_AS(cross_entropy(z, tensor({-1, 0})), IndexError);
  CHECK(message_of([&] {
          cross_entropy(z, tensor({0, 1, 2}));
        }).starts_with("cross_entropy: targets are [3] for an input [2, 3]"));
  CHECK_THROWS_AS(cross_entropy(z, tensor({0, 1, 2})), ShapeError);
  CHECK_THROWS_AS(cross_entropy(z, zeros({2, 3}, kInt64)), ShapeError);
  CHECK_THROWS_AS(cross_entropy(z, zeros({2})), DTypeError);
  CHECK(message_of([&] {
          cross_entropy(z, zeros({2}));
        }).find("must be class indices, int64 [2]") != std::string::npos);
  CHECK_THROWS_AS(cross_entropy(z, zeros({2}, kBool)), DTypeError);
  CHECK_THROWS_AS(cross_entropy(z, zeros({2, 3}, kFloat64)), DTypeError);
  CHECK_THROWS_AS(cross_entropy(zeros({2, 3}, kInt64), tensor({0, 1})), DTypeError);
  CHECK_THROWS_AS(cross_entropy(tensor(1.0), tensor(0)), ShapeError);
  CHECK_THROWS_AS(cross_entropy(zeros({2, 0}), tensor({0, 1})), ShapeError);
  CHECK_THROWS_AS(cross_entropy(z, tensor({0, 1}), {.weight = ones({4})}), ShapeError);
  CHECK_THROWS_AS(cross_entropy(z, tensor({0, 1}), {.weight = ones({3}, kFloat64)}), DTypeError);
  for (const double smoothing : {-0.1, 1.5, std::nan("")})
    CHECK_THROWS_AS(cross_entropy(z, tensor({0, 1}), {.label_smoothing = smoothing}), ValueError);
  CHECK_THROWS_AS(cross_entropy(z, z, {.ignore_index = 1}), ValueError);
  CHECK_THROWS_WITH(losses::reduction_from_string("nll_loss", "avg"),
                    "nll_loss: reduction 'avg' is not known; use 'none', 'mean' or 'sum'");
}

TEST_CASE("nll_loss of log-probabilities is cross_entropy of them") {
  const Tensor z = random({6, 4}), w = rand({4}, kFloat64) + 0.5;
  Tensor t = classes(4, {6});
  t.data_ptr<std::int64_t>()[3] = -100;
  // log p = -L with each class as the target in turn.
  Tensor log_p = zeros({6, 4}, kFloat64);
  for (std::int64_t k = 0; k < 4; ++k) {
    const Tensor each = cross_entropy(z, full({6}, k, kInt64), {.reduction = Reduction::none});
    for (std::int64_t r = 0; r < 6; ++r)
      log_p.data_ptr<double>()[r * 4 + k] = -each.data_ptr<double>()[r];
  }
  for (const Reduction reduction : {Reduction::none, Reduction::mean, Reduction::sum}) {
    check_close(values(nll_loss(log_p, t, {.weight = w, .reduction = reduction})),
                values(cross_entropy(z, t, {.weight = w, .reduction = reduction})), 1e-13);
    CHECK(gradcheck(
        [&](const std::vector<Tensor>& in) {
          return nll_loss(in[0], t, {.weight = w, .reduction = reduction});
        },
        {log_p.clone().requires_grad_()}));
  }
  const Tensor places = random({2, 3, 4}), place_t = classes(3, {2, 4});
  CHECK(gradcheck([&](const std::vector<Tensor>& in) { return nll_loss(in[0], place_t); },
                  {places.clone().requires_grad_()}));
  CHECK(nll_loss(places, place_t)
            .equal(nll_loss(places.transpose(1, 2).reshape({8, 3}), place_t.view({8}))));
  CHECK_THROWS_AS(nll_loss(log_p, tensor({0, 1, 2, 3, 4, 0})), IndexError);
  CHECK_THROWS_AS(nll_loss(log_p, zeros({6})), DTypeError);
  CHECK_THROWS_AS(nll_loss(log_p, tensor({0})), ShapeError);
}

TEST_CASE("the Hessian of cross-entropy is diag(p) - p pᵀ, times Σ w q") {
  const Tensor z = random({1, 5}), v = random({1, 5}), weight = random({5}).abs() + 0.1;
  const Tensor p = softmax(z, 1);
  const Tensor expected = p * (v - (p * v).sum(1, true));
  const auto product = [&](const CrossEntropyOptions& options, const Tensor& target) {
    return hvp([&](const auto& in) { return cross_entropy(in[0], target, options); }, {z}, {v})
        .products[0];
  };
  check_close(values(product({}, tensor({3}))), values(expected), 1e-14);
  check_close(values(product({.label_smoothing = 0.3}, tensor({3}))), values(expected), 1e-14);
  check_close(values(product({}, softmax(random({1, 5}), 1))), values(expected), 1e-14);
  check_close(values(product({.weight = weight, .reduction = Reduction::sum}, tensor({3}))),
              values(expected * weight[3].item<double>()), 1e-14);
  // Of one row of two: half of it. An ignored one has none.
  const Tensor two = cat({z, z}), both = cat({v, v});
  const auto f = [&](const auto& in) { return cross_entropy(in[0], tensor({3, -100})); };
  const Tensor rows = hvp(f, {two}, {both}).products[0];
  check_close(values(rows[0]), values(expected), 1e-14);
  CHECK(rows[1].equal(zeros({5}, kFloat64)));
  const auto none = [&](const auto& in) { return cross_entropy(in[0], tensor({-100, -100})); };
  CHECK(hvp(none, {two}, {both}).products[0].equal(zeros({2, 5}, kFloat64)));
  // Impossible classes, of logit -inf, neither.
  const Tensor hidden = tensor({{0.5, -kInf, 1.0}}, kFloat64);
  const auto g = [&](const auto& in) { return cross_entropy(in[0], tensor({2})); };
  const Tensor of_hidden = hvp(g, {hidden}, {ones({1, 3}, kFloat64)}).products[0];
  check_close(values(of_hidden), {0, 0, 0}, 1e-15);
}

}  // namespace
