#include <retrace/autograd/autograd.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/losses/losses.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/random.h>

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace {

using namespace retrace;
using doctest::Approx;
using losses::contrastive_loss;
using losses::mine_triplets;
using losses::triplet_margin_loss;
using losses::triplet_margin_with_distance_loss;
using losses::triplet_mined_loss;
using losses::triplet_semihard_loss;
using losses::TripletMining;

std::vector<double> values(const Tensor& x) { return x.to_vector<double>(); }

bool all_zero(const Tensor& x) { return count_nonzero(x).item<std::int64_t>() == 0; }
bool all_finite(const Tensor& x) { return all(isfinite(x)).item<bool>(); }

Tensor point(double x, double y = 0) { return tensor({{x, y}}, kFloat64); }

constexpr TripletMining kKinds[] = {TripletMining::batch_hard, TripletMining::all_valid,
                                    TripletMining::violating, TripletMining::semihard,
                                    TripletMining::hard};

}  // namespace

TEST_CASE("§23 a triplet costs what its negative is too close by") {
  Tensor a = point(0).requires_grad_(), p = point(0.5).requires_grad_();
  Tensor near = point(0, 1.2).requires_grad_(), far = point(0, 1.5).requires_grad_();
  const Tensor loss = triplet_margin_loss(a, p, near, {.eps = 0});
  CHECK(loss.item<double>() == Approx(0.3));
  loss.backward();
  // Towards the positive, away from the negative, by unit vectors.
  CHECK(values(a.grad())[0] == Approx(-1));
  CHECK(values(a.grad())[1] == Approx(1));
  CHECK(values(p.grad())[0] == Approx(1));
  CHECK(values(near.grad())[1] == Approx(-1));

  a.zero_grad();
  // At the margin itself, and beyond, nothing is left.
  for (const double distance : {1.5, 4.0}) {
    const Tensor none = triplet_margin_loss(a, p, point(0, distance), {.eps = 0});
    CHECK(none.item<double>() == 0.0);
    none.backward();
    CHECK(all_zero(a.grad()));
    a.zero_grad();
  }
}

TEST_CASE("§23 an anchor that is its positive has a finite gradient") {
  Tensor a = point(1, 2).requires_grad_(), p = point(1, 2).requires_grad_();
  triplet_margin_loss(a, p, point(1, 2.5)).backward();
  CHECK(all_finite(a.grad()));
  CHECK(values(p.grad())[0] == Approx(-1 / std::sqrt(2.0)));  // eps points along the diagonal
  CHECK(
      triplet_margin_loss(point(1, 2), point(1, 2), point(1, 2.5), {.margin = 1}).item<double>() ==
      Approx(0.5).epsilon(1e-5));

  // The distances without eps have gradient 0 there.
  for (const losses::DistanceFunction& distance :
       {losses::DistanceFunction(euclidean_distance), losses::DistanceFunction(manhattan_distance),
        losses::DistanceFunction(squared_euclidean_distance)}) {
    p.zero_grad();
    triplet_margin_with_distance_loss(a, p, point(9), {.distance_function = distance, .margin = 50})
        .backward();
    CHECK(all_zero(p.grad()));
  }
}

TEST_CASE("swap takes the negative's distance from the positive where that is smaller") {
  const Tensor a = point(0), p = point(1), n = point(1.5);
  CHECK(triplet_margin_loss(a, p, n, {.eps = 0}).item<double>() == Approx(0.5));
  CHECK(triplet_margin_loss(a, p, n, {.eps = 0, .swap = true}).item<double>() == Approx(1.5));
  Tensor positive = point(1).requires_grad_();
  triplet_margin_loss(a, positive, n, {.eps = 0, .swap = true}).backward();
  CHECK(values(positive.grad())[0] == Approx(2));  // away from both others
}

TEST_CASE("a distance of one's own may have parameters, which learn") {
  Tensor scale = tensor(2.0, kFloat64).requires_grad_();
  const auto distance = [&](const Tensor& x, const Tensor& y) {
    return euclidean_distance(x, y) * scale;
  };
  const Tensor a = point(0), p = point(1), n = point(0, 1.25);
  const Tensor loss = triplet_margin_with_distance_loss(a, p, n, {.distance_function = distance});
  CHECK(loss.item<double>() == Approx(0.5));
  loss.backward();
  CHECK(scale.grad().item<double>() == Approx(-0.25));

  // Options outlive what they were made from.
  losses::TripletMarginWithDistanceLossOptions options;
  {
    const double factor = 3;
    options.distance_function = [factor](const Tensor& x, const Tensor& y) {
      return manhattan_distance(x, y) * factor;
    };
  }
  CHECK(triplet_margin_with_distance_loss(a, p, n, options).item<double>() == Approx(0.25));
}

TEST_CASE("triplet losses refuse other shapes and a negative margin") {
  const Tensor a = zeros({2, 3});
  CHECK_THROWS_WITH_AS(
      triplet_margin_loss(a, zeros({2, 4}), a),
      "triplet_margin_loss: anchor is [2, 3], positive [2, 4]; they must be equal, "
      "nothing is broadcast: reshape one of them",
      ShapeError);
  CHECK_THROWS_WITH_AS(triplet_margin_loss(a, a, zeros({2, 4})),
                       "triplet_margin_loss: anchor is [2, 3], negative [2, 4]; they must be "
                       "equal, nothing is broadcast: reshape one of them",
                       ShapeError);
  CHECK_THROWS_WITH_AS(triplet_margin_loss(a, a, a, {.margin = -1}),
                       "triplet_margin_loss: margin is -1; it must be at least 0", ValueError);
  CHECK_THROWS_WITH_AS(triplet_margin_loss(a, a, a, {.p = 0}),
                       "triplet_margin_loss: p is 0; it must be positive", ValueError);
  CHECK_THROWS_AS(triplet_margin_loss(tensor(1.0), tensor(1.0), tensor(1.0)), ShapeError);
  CHECK_THROWS_AS(triplet_margin_loss(a, a, a, {.reduction = Reduction::batchmean}), ValueError);
  CHECK_THROWS_WITH_AS(
      triplet_mined_loss(a, zeros({3}, kInt64)),
      "triplet_mined_loss: embeddings are [2, 3], labels [3]; they must be [N, D] and [N], one "
      "label for each row",
      ShapeError);
  CHECK_THROWS_WITH_AS(losses::triplet_mining_from_string("easy"),
                       "mine_triplets: kind 'easy' is not known; use one of 'batch_hard', "
                       "'all_valid', 'violating', 'semihard', 'hard'",
                       ValueError);
}

TEST_CASE("mining agrees with loops over all triplets") {
  const std::int64_t n = 12;
  const Tensor x = random({n, 3}), labels = randint(0, 4, {n});
  const double margin = 0.6;
  const auto label = [&](std::int64_t i) { return labels[i].item<std::int64_t>(); };
  const auto distance = [&](std::int64_t i, std::int64_t j) {
    return norm(x[i] - x[j]).item<double>();
  };
  for (const TripletMining kind : kKinds) {
    std::vector<std::int64_t> expected;
    for (std::int64_t a = 0; a < n; ++a) {
      std::vector<std::int64_t> hardest = {a, -1, -1};
      for (std::int64_t p = 0; p < n; ++p) {
        if (p == a || label(p) != label(a)) continue;
        if (hardest[1] < 0 || distance(a, p) > distance(a, hardest[1])) hardest[1] = p;
        for (std::int64_t m = 0; m < n; ++m) {
          if (label(m) == label(a)) continue;
          if (hardest[2] < 0 || distance(a, m) < distance(a, hardest[2])) hardest[2] = m;
          const double gap = distance(a, m) - distance(a, p);
          if (kind == TripletMining::all_valid ||
              (kind == TripletMining::violating && gap <= margin) ||
              (kind == TripletMining::semihard && gap > 0 && gap <= margin) ||
              (kind == TripletMining::hard && gap <= 0))
            expected.insert(expected.end(), {a, p, m});
        }
      }
      if (kind == TripletMining::batch_hard && hardest[1] >= 0 && hardest[2] >= 0)
        expected.insert(expected.end(), hardest.begin(), hardest.end());
    }
    const Tensor found = mine_triplets(x, labels, {.kind = kind, .margin = margin});
    CHECK(found.to_vector<std::int64_t>() == expected);
    CHECK(found.size(1) == 3);
    REQUIRE(!expected.empty());

    // The loss is that of the triplets.
    const auto column = [&](std::int64_t k) { return x.index_select(0, found.select(1, k)); };
    const Tensor same =
        triplet_margin_loss(column(0), column(1), column(2), {.margin = margin, .eps = 0});
    CHECK(triplet_mined_loss(x, labels, {.kind = kind, .margin = margin}).item<double>() ==
          Approx(same.item<double>()));
    const Tensor gap =
        euclidean_distance(column(0), column(1)) - euclidean_distance(column(0), column(2));
    CHECK(triplet_mined_loss(x, labels, {.kind = kind, .margin = margin, .soft = true})
              .item<double>() == Approx(softplus(gap).mean().item<double>()));
  }
}

TEST_CASE("where there is no triplet the losses are 0 with zero gradient") {
  for (const Tensor& labels : {tensor({0, 1, 2}), tensor({5, 5, 5})}) {
    Tensor x = random({3, 2}).requires_grad_();
    for (const TripletMining kind : kKinds) {
      CHECK(mine_triplets(x, labels, {.kind = kind}).sizes() == Shape({0, 3}));
      for (const bool soft : {false, true}) {
        x.zero_grad();
        const Tensor loss = triplet_mined_loss(x, labels, {.kind = kind, .soft = soft});
        CHECK(loss.item<double>() == 0.0);
        loss.backward();
        CHECK(all_zero(x.grad()));
      }
    }
    x.zero_grad();
    const Tensor loss = triplet_semihard_loss(x, labels);
    CHECK(loss.item<double>() == 0.0);
    loss.backward();
    CHECK(all_zero(x.grad()));
  }
  CHECK(triplet_mined_loss(zeros({0, 2}), zeros({0}, kInt64)).item<double>() == 0.0);
}

TEST_CASE("coinciding embeddings and large ones have finite gradients") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    for (const double size : {0.0, 1e4}) {
      Tensor x = full({4, 3}, size, dtype);
      if (size > 0) x[3].fill_(-size);
      x.requires_grad_();
      const Tensor labels = tensor({0, 0, 1, 1});
      for (const bool soft : {false, true}) {
        x.zero_grad();
        triplet_mined_loss(x, labels, {.kind = TripletMining::all_valid, .soft = soft}).backward();
        CHECK(all_finite(x.grad()));
      }
      x.zero_grad();
      triplet_semihard_loss(x, labels, {.squared = true}).backward();
      CHECK(all_finite(x.grad()));
    }
  }
}

TEST_CASE("§24 similar pairs cost half their distance squared, others what the margin lacks") {
  const auto loss_of = [](double distance, bool similar, Tensor& x) {
    return contrastive_loss(x, point(0, distance), tensor({similar ? 1 : 0}));
  };
  Tensor x = point(0).requires_grad_();
  CHECK(loss_of(2, true, x).item<double>() == Approx(2.0));
  CHECK(loss_of(0.4, false, x).item<double>() == Approx(0.18));
  const Tensor beyond = loss_of(1.5, false, x);
  CHECK(beyond.item<double>() == 0.0);
  beyond.backward();
  CHECK(all_zero(x.grad()));
  x.zero_grad();
  loss_of(0.4, false, x).backward();
  CHECK(values(x.grad())[1] == Approx(0.6));  // away from the point above: downhill is -0.6
  x.zero_grad();
  const Tensor same = loss_of(0, false, x);
  CHECK(same.item<double>() == 0.5);
  same.backward();
  CHECK(all_zero(x.grad()));
}

TEST_CASE("contrastive labels are 0 and 1 of any dtype, either way round") {
  const Tensor a = random({3, 2}), b = random({3, 2});
  const Tensor expected = contrastive_loss(a, b, tensor({1, 0, 1}));
  CHECK(contrastive_loss(a, b, tensor({true, false, true})).equal(expected));
  CHECK(contrastive_loss(a, b, tensor({1.0, 0.0, 1.0}, kFloat64)).equal(expected));
  CHECK(contrastive_loss(a, b, tensor({0, 1, 0}), {.similar_label = 0}).equal(expected));
  CHECK_THROWS_WITH_AS(contrastive_loss(a, b, tensor({1, -1, 1})),
                       "contrastive_loss: label [3] holds -1 (element 1); it must be 0 or 1",
                       ValueError);
  CHECK_THROWS_WITH_AS(contrastive_loss(a, b, tensor({1, 0})),
                       "contrastive_loss: x1 is [3, 2], label [2]; they must be [N, D] and [N], "
                       "one label for each pair",
                       ShapeError);
  CHECK_THROWS_WITH_AS(contrastive_loss(a, b, tensor({1, 0, 1}), {.margin = -1}),
                       "contrastive_loss: margin is -1; it must be at least 0", ValueError);
}

TEST_CASE("embeddings that are not numbers are not taken for perfect ones") {
  using losses::TripletMining;
  const Tensor labels = tensor({0, 0, 1, 1});
  for (const double bad : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    Tensor x = tensor({{0.0, 1.0}, {2.0, 0.5}, {1.0, 3.0}, {-1.0, 2.0}});
    x[1][0] = bad;
    for (const auto kind :
         {TripletMining::batch_hard, TripletMining::all_valid, TripletMining::violating,
          TripletMining::semihard, TripletMining::hard}) {
      const double loss = triplet_mined_loss(x, labels, {.kind = kind}).item<double>();
      CAPTURE(static_cast<int>(kind));
      CAPTURE(loss);
      CHECK_FALSE(std::isfinite(loss));
    }
  }
}
