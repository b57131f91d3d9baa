#include <retrace/autograd/autograd.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/losses/losses.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tests/random.h>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

namespace {

using namespace retrace;
using doctest::Approx;
using losses::clip_loss;
using losses::cross_entropy;
using losses::info_nce;
using losses::NegativesMode;
using losses::nt_xent;
using losses::siglip_loss;
using losses::sup_con;

bool all_zero(const Tensor& x) { return count_nonzero(x).item<std::int64_t>() == 0; }
bool all_finite(const Tensor& x) { return all(isfinite(x)).item<bool>(); }

Tensor units(const Tensor& x) { return x / norm(x, 2, -1, true); }

}  // namespace

TEST_CASE("§25 equal similarities cost log N, orthonormal pairs a known number") {
  for (const std::int64_t n : {1, 2, 10, 100}) {
    const Tensor same = ones({n, 3}, kFloat64);
    for (const bool symmetric : {false, true})
      CHECK(info_nce(same, same, {.symmetric = symmetric}).item<double>() ==
            Approx(std::log(static_cast<double>(n))));
  }
  const Tensor orthonormal = eye(4, kFloat64);
  for (const bool symmetric : {false, true}) {
    CHECK(info_nce(orthonormal, orthonormal, {.temperature = 1, .symmetric = symmetric})
              .item<double>() == Approx(0.743668).epsilon(1e-6));
    CHECK(info_nce(orthonormal, orthonormal, {.temperature = 0.07, .symmetric = symmetric})
              .item<double>() == Approx(1.8746e-6).epsilon(1e-4));
  }
}

TEST_CASE("§25 info_nce is the cross-entropy of similarities with targets 0, 1, 2, ...") {
  for (const std::int64_t n : {1, 5, 33, 70}) {
    for (const double temperature : {1.0, 0.07, 0.001}) {
      for (const bool symmetric : {false, true}) {
        CAPTURE(n);
        CAPTURE(temperature);
        CAPTURE(symmetric);
        Tensor q = random({n, 6}).requires_grad_(), k = random({n, 6}).requires_grad_();
        Tensor q2 = q.detach().clone().requires_grad_(), k2 = k.detach().clone().requires_grad_();
        const Tensor loss = info_nce(q, k, {.temperature = temperature, .symmetric = symmetric});
        const Tensor logits = units(q2).matmul(units(k2).t()) / temperature;
        Tensor same = cross_entropy(logits, arange(n));
        if (symmetric) same = (same + cross_entropy(logits.t(), arange(n))) / 2;
        CHECK(loss.item<double>() == Approx(same.item<double>()));
        loss.backward();
        same.backward();
        CHECK(allclose(q.grad(), q2.grad(), 1e-8, 1e-10));
        CHECK(allclose(k.grad(), k2.grad(), 1e-8, 1e-10));
      }
    }
  }
}

TEST_CASE(
    "a column far below all others loses no digits when rows and columns share exponentials") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    // Without normalisation similarities may differ by any amount: column 1 lies 4000 below.
    Tensor q = tensor({{1.0, 0.0}, {0.9, 0.2}, {0.8, 0.1}}, dtype).requires_grad_();
    Tensor k = tensor({{1.0, 0.0}, {-4000.0, 1.0}, {2.0, 0.0}}, dtype).requires_grad_();
    const Tensor loss = info_nce(q, k, {.temperature = 1, .normalize = false, .symmetric = true});
    Tensor q2 = q.detach().to(kFloat64).requires_grad_();
    Tensor k2 = k.detach().to(kFloat64).requires_grad_();
    const Tensor logits = q2.matmul(k2.t());
    const Tensor same =
        (cross_entropy(logits, arange(3)) + cross_entropy(logits.t(), arange(3))) / 2;
    CHECK(loss.item<double>() == Approx(same.item<double>()).epsilon(1e-6));
    loss.backward();
    same.backward();
    CHECK(allclose(q.grad().to(kFloat64), q2.grad(), 1e-5, 1e-6));
    CHECK(allclose(k.grad().to(kFloat64), k2.grad(), 1e-5, 1e-6));
  }
}

TEST_CASE("pairs that are almost sure have all digits of their loss and of their slopes") {
  // Both entries of each row and column differ by 20: the loss is log(1 + exp(-20)).
  constexpr double kLoss = 2.0611536203143808e-9, kSlope = 2.0611536181902037e-9;
  for (const DType dtype : {kFloat32, kFloat64}) {
    for (const bool symmetric : {false, true}) {
      const Tensor q = tensor({{1.0, 0.0}, {0.0, 1.0}}, dtype);
      const Tensor keys = tensor({{20.0, 0.0}, {0.0, 20.0}}, dtype).requires_grad_();
      const Tensor loss =
          info_nce(q, keys, {.temperature = 1, .normalize = false, .symmetric = symmetric});
      const double tolerance = dtype == kFloat32 ? 3e-7 : 1e-15;
      CHECK(std::abs(loss.item<double>() / kLoss - 1) < tolerance);
      loss.backward();
      for (const double slope :
           (keys.grad() * tensor({{-1.0, 1.0}, {1.0, -1.0}}, dtype)).to_vector<double>())
        CHECK(std::abs(slope / (kSlope / 2) - 1) < tolerance);
    }
  }
}

TEST_CASE("contrastive losses are finite at ±1e4, at τ = 1e-3 and for vectors of zeros") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    for (const double size : {0.0, 1e4}) {
      CAPTURE(size);
      Tensor a = (random({4, 3}, dtype) * size).detach().requires_grad_();
      Tensor b = (random({4, 3}, dtype) * size).detach().requires_grad_();
      Tensor scale = tensor(std::log(100.0), dtype).requires_grad_();
      const Tensor bias = tensor(-10.0, dtype), labels = tensor({0, 0, 1, 1});
      for (const Tensor& loss :
           {info_nce(a, b, {.temperature = 1e-3}),
            info_nce(a, b, {.temperature = 1e-3, .symmetric = true}),
            info_nce(a, b, {.temperature = 1, .normalize = false, .symmetric = true}),
            nt_xent(a, b, {.temperature = 1e-3}), sup_con(a, labels, {.temperature = 1e-3}),
            clip_loss(a, b, scale), siglip_loss(a, b, scale, bias)}) {
        CHECK(std::isfinite(loss.item<double>()));
        a.zero_grad();
        loss.backward();
        CHECK(all_finite(a.grad()));
      }
    }
  }
}

TEST_CASE("explicit negatives stand behind the key; without any the loss is 0") {
  const Tensor q = random({4, 3}), k = random({4, 3}), shared = random({5, 3});
  const Tensor right = (units(q) * units(k)).sum(-1, true) / 0.1;
  const Tensor wrong = units(q).matmul(units(shared).t()) / 0.1;
  const Tensor expected = cross_entropy(cat({right, wrong}, 1), zeros({4}, kInt64));
  CHECK(info_nce(q, k, {.negatives = shared}).item<double>() == Approx(expected.item<double>()));
  // The same ones for each query, given to each.
  CHECK(info_nce(q, k,
                 {.negatives = shared.unsqueeze(0).expand({4, 5, 3}),
                  .negatives_mode = NegativesMode::own})
            .item<double>() == Approx(expected.item<double>()));
  CHECK(info_nce(q, k, {.negatives = zeros({0, 3}, kFloat64)}).item<double>() == 0.0);
  CHECK(info_nce(q, k,
                 {.negatives = zeros({4, 0, 3}, kFloat64), .negatives_mode = NegativesMode::own})
            .item<double>() == 0.0);
}

TEST_CASE("sup_con with one positive each is nt_xent") {
  Tensor a = random({5, 4}).requires_grad_(), b = random({5, 4}).requires_grad_();
  const Tensor labels = cat({arange(5), arange(5)});
  for (const double temperature : {0.07, 1.0}) {
    a.zero_grad();
    const Tensor one = nt_xent(a, b, {.temperature = temperature});
    one.backward();
    const Tensor gradient = a.grad().clone();
    a.zero_grad();
    const Tensor other = sup_con(cat({a, b}), labels, {.temperature = temperature});
    other.backward();
    CHECK(one.item<double>() == Approx(other.item<double>()));
    CHECK(allclose(a.grad(), gradient, 1e-8, 1e-10));
  }
}

TEST_CASE("sup_con agrees with its definition, and anchors without a positive do not count") {
  const Tensor x = random({6, 3}), labels = tensor({0, 0, 0, 1, 1, 7});
  const Tensor z = units(x).matmul(units(x).t()) / 0.3;
  double sum = 0;
  for (std::int64_t a = 0; a < 5; ++a) {
    double others = 0, positives = 0, count = 0;
    for (std::int64_t j = 0; j < 6; ++j)
      if (j != a) others += std::exp(z[a][j].item<double>());
    for (std::int64_t j = 0; j < 6; ++j) {
      if (j == a || !labels[j].equal(labels[a])) continue;
      positives += std::log(others) - z[a][j].item<double>();
      count += 1;
    }
    sum += positives / count;
  }
  CHECK(sup_con(x, labels, {.temperature = 0.3}).item<double>() == Approx(sum / 5));
  CHECK(sup_con(x, labels, {.temperature = 0.3, .base_temperature = 0.1}).item<double>() ==
        Approx(3 * sum / 5));
}

TEST_CASE("sup_con without positives is 0 with zero gradient; of equal labels it is defined") {
  for (const std::int64_t n : {0, 1, 3}) {
    Tensor x = random({n, 2}).requires_grad_();
    const Tensor loss = sup_con(x, arange(n));
    CHECK(loss.item<double>() == 0.0);
    loss.backward();
    CHECK(all_zero(x.grad()));
  }
  Tensor x = random({4, 2}).requires_grad_();
  const Tensor loss = sup_con(x, zeros({4}, kInt64), {.temperature = 1});
  CHECK(loss.item<double>() > std::log(3.0) - 1e-12);
  loss.backward();
  CHECK(all_finite(x.grad()));
}

TEST_CASE("clip_loss is symmetric info_nce at the temperature that its scale says") {
  const Tensor a = random({6, 4}), b = random({6, 4});
  const Tensor log_scale = tensor(std::log(1 / 0.07), kFloat64);
  CHECK(clip_loss(a, b, log_scale).item<double>() ==
        Approx(info_nce(a, b, {.temperature = 0.07, .symmetric = true}).item<double>()));
  CHECK(clip_loss(a, b, log_scale).item<double>() ==
        Approx(clip_loss(b, a, log_scale).item<double>()));
}

TEST_CASE("siglip_loss sums over all pairs and divides by the rows") {
  const Tensor a = random({3, 4}), b = random({3, 4});
  const Tensor z = units(a).matmul(units(b).t()) * std::exp(0.5) - 2.0;
  double sum = 0;
  for (std::int64_t i = 0; i < 3; ++i) {
    for (std::int64_t j = 0; j < 3; ++j)
      sum += std::log1p(std::exp((i == j ? -1 : 1) * z[i][j].item<double>()));
  }
  CHECK(siglip_loss(a, b, tensor(0.5, kFloat64), tensor(-2.0, kFloat64)).item<double>() ==
        Approx(sum / 3));
}

TEST_CASE("contrastive losses have the same bits with any number of threads") {
  const Tensor a = random({300, 16}, kFloat32).requires_grad_();
  const Tensor b = random({300, 16}, kFloat32).requires_grad_();
  const int before = num_threads();
  std::vector<Tensor> results;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    a.zero_grad();
    b.zero_grad();
    const Tensor loss = info_nce(a, b, {.temperature = 0.07, .symmetric = true});
    loss.backward();
    results.insert(results.end(), {loss.detach(), a.grad(), b.grad()});
  }
  set_num_threads(before);
  for (std::size_t k = 0; k < 3; ++k) {
    CHECK(results[k].equal(results[k + 3]));
    CHECK(results[k].equal(results[k + 6]));
  }
}

TEST_CASE("contrastive losses are one node each, and refuse what does not fit") {
  Tensor a = random({2, 3}).requires_grad_();
  const Tensor b = random({2, 3}), number = tensor(0.0, kFloat64);
  CHECK(info_nce(a, b).get().producer->name() == "info_nce");
  CHECK(nt_xent(a, b).get().producer->name() == "nt_xent");
  CHECK(sup_con(a, tensor({0, 0})).get().producer->name() == "sup_con");
  CHECK(clip_loss(a, b, number).get().producer->name() == "clip_loss");
  CHECK(siglip_loss(a, b, number, number).get().producer->name() == "siglip_loss");

  CHECK_THROWS_WITH_AS(info_nce(a, random({3, 3})),
                       "info_nce: query is [2, 3], keys [3, 3]; both must be [N, D], a row for "
                       "each row",
                       ShapeError);
  CHECK_THROWS_WITH_AS(info_nce(a, b, {.temperature = 0}),
                       "info_nce: temperature is 0; it must be positive", ValueError);
  CHECK_THROWS_WITH_AS(info_nce(a, b, {.negatives = random({2, 4})}),
                       "info_nce: negatives are [2, 4] for queries [2, 3]; in mode 'shared' they "
                       "must be [M, D]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(info_nce(a, b, {.negatives = random({2, 3}), .symmetric = true}),
                       "info_nce: `symmetric` is for the keys of the other rows; give no negatives",
                       ValueError);
  CHECK_THROWS_WITH_AS(sup_con(a, tensor({0, 1, 2})),
                       "sup_con: embeddings are [2, 3], labels [3]; they must be [N, D] and [N], "
                       "one label for each row",
                       ShapeError);
  CHECK_THROWS_WITH_AS(clip_loss(a, b, zeros({1}, kFloat64)),
                       "clip_loss: log_scale is [1]; it must be one number, 0-d", ShapeError);
  CHECK_THROWS_WITH_AS(losses::negatives_mode_from_string("mine"),
                       "info_nce: negatives_mode 'mine' is not known; use one of 'shared', 'own'",
                       ValueError);
}
