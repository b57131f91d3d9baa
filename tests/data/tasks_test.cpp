#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include <retrace/data/tasks/agreement_grammar.h>
#include <retrace/data/tasks/discs.h>
#include <retrace/data/tasks/exponential_noise.h>
#include <retrace/data/tasks/gaussians.h>
#include <retrace/data/tasks/latent_classes.h>
#include <retrace/data/tasks/markov_chain.h>
#include <retrace/data/tasks/spiral.h>
#include <retrace/data/tasks/triplets.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/data/near.h>
#include <retrace/tests/messages.h>

using namespace retrace;
using namespace retrace::data;

namespace {

constexpr std::int64_t kRows = 40'000;

}  // namespace

// Gaussians -----------------------------------------------------------------------------------

TEST_CASE("gaussians: the floors that are known") {
  CHECK(matches(Gaussians().population_floor(), 0.356316, 6));
  CHECK(matches(Gaussians().error_floor(), 0.158655, 6));
  CHECK(matches(Gaussians().roc_auc_ceiling(), 0.921350, 6));
  // Whatever the dims; and the two classes are alike.
  CHECK(Gaussians({.features = 1}).population_floor() ==
        doctest::Approx(Gaussians().population_floor()).epsilon(1e-14));
  CHECK(Gaussians({.positives = 0.1}).population_floor() ==
        doctest::Approx(Gaussians({.positives = 0.9}).population_floor()).epsilon(1e-12));
  // Clouds on top of each other: the entropy of the shares, and the smaller share.
  const Gaussians alike({.distance = 1e-6, .positives = 0.2});
  CHECK(alike.population_floor() ==
        doctest::Approx(-0.2 * std::log(0.2) - 0.8 * std::log(0.8)).epsilon(1e-9));
  CHECK(alike.error_floor() == doctest::Approx(0.2));
}

TEST_CASE("gaussians: the floors of any shares, against the entropy of the posterior") {
  for (const double positives : {0.5, 0.1, 0.02}) {
    CAPTURE(positives);
    const Gaussians task({.distance = 2, .positives = positives});
    // Along the means alone, density p(x) and posterior q: E[h(q)], E[min(q, 1-q)].
    const double step = 1e-4;
    double entropy = 0, error = 0;
    for (double x = -12; x < 12; x += step) {
      const double one = positives * std::exp(-(x - 1) * (x - 1) / 2);
      const double zero = (1 - positives) * std::exp(-(x + 1) * (x + 1) / 2);
      const double density = (one + zero) / std::sqrt(2 * M_PI), q = one / (one + zero);
      entropy -= step * density * (q * std::log(q) + (1 - q) * std::log1p(-q));
      error += step * density * std::min(q, 1 - q);
    }
    CHECK(task.population_floor() == doctest::Approx(entropy).epsilon(1e-8));
    CHECK(task.error_floor() == doctest::Approx(error).epsilon(1e-6));
    CHECK(task.population_mean([](auto&&, const Tensor& labels) { return labels; }) ==
          doctest::Approx(positives).epsilon(1e-12));
  }
}

TEST_CASE("gaussians: samples follow their definition") {
  for (const double positives : {0.5, 0.1}) {
    CAPTURE(positives);
    const Gaussians task({.features = 3, .distance = 1.5, .positives = positives});
    Generator generator(4);
    const TensorDataset data = task.sample(kRows, generator);
    CHECK(data.inputs.sizes() == Shape({kRows, 3}));
    CHECK(data.inputs.dtype() == kFloat32);
    CHECK(data.targets.dtype() == kInt64);
    CHECK(near_share(mean_of(data.targets), positives, kRows));
    // Each coordinate times the label's sign: mean Δ / (2√3), variance 1.
    const auto x = data.inputs.to_vector<double>();
    const auto y = data.targets.to_vector<std::int64_t>();
    const double mean = 1.5 / (2 * std::sqrt(3.0));
    for (std::size_t i = 0; i < 3; ++i) {
      double sum = 0, squares = 0;
      for (std::size_t row = 0; row < y.size(); ++row) {
        const double signed_x = x[3 * row + i] * (y[row] == 1 ? 1 : -1);
        sum += signed_x;
        squares += (signed_x - mean) * (signed_x - mean);
      }
      CHECK(near(sum / kRows, mean, 1, kRows));
      CHECK(near(squares / kRows, 1, std::sqrt(2.0), kRows));
    }
    // Log odds by hand, errors of their sign, and the oracle's loss.
    const auto logits = task.logits(data.inputs).to_vector<double>();
    double errors = 0, loss = 0, squares = 0;
    for (std::size_t row = 0; row < y.size(); ++row) {
      const double by_hand = std::log(positives / (1 - positives)) +
                             2 * mean * (x[3 * row] + x[3 * row + 1] + x[3 * row + 2]);
      CHECK(std::abs(logits[row] - by_hand) < 1e-9);
      const double p = 1 / (1 + std::exp(-by_hand));
      const double row_loss = -std::log(y[row] == 1 ? p : 1 - p);
      errors += (by_hand > 0) != (y[row] == 1);
      loss += row_loss;
      squares += row_loss * row_loss;
    }
    loss /= kRows;
    CHECK(near_share(errors / kRows, task.error_floor(), kRows));
    CHECK(task.oracle_loss(data) == doctest::Approx(loss).epsilon(1e-9));
    CHECK(near(loss, task.population_floor(), std::sqrt(squares / kRows - loss * loss), kRows));
  }
}

// Discs ---------------------------------------------------------------------------------------

TEST_CASE("discs: the floors and ceilings that are known") {
  const Discs discs;
  CHECK(matches(discs.population_floor(), 1.144823, 6));
  CHECK(matches(discs.exact_match_ceiling(), 0.690413, 6));
  for (std::size_t k = 0; k < 4; ++k) {
    const double floors[] = {0.198515, 0.325083, 0.198515, 0.422709};
    const double shares[] = {0.183881, 0.129711, 0.175084, 0.084931};
    const Disc disc = discs.options().discs[k];
    CHECK(matches(Discs({.discs = {disc}}).population_floor(), floors[k], 6));
    CHECK(matches(discs.shares()[k], shares[k], 6));
  }
  CHECK(matches(discs.kept(), 0.747, 3));
  CHECK(matches(discs.micro_f1_ceiling(), 0.75175, 5));
  CHECK(matches(discs.macro_f1_ceiling(), 0.73368, 5));
  CHECK(matches(discs.constant_loss(), 2.0507, 4));
}

TEST_CASE("discs: without a margin shares are areas") {
  const Discs discs({.margin = 0});
  CHECK(discs.kept() == doctest::Approx(1).epsilon(1e-12));
  for (std::size_t k = 0; k < 4; ++k) {
    const double radius = discs.options().discs[k].radius;
    CHECK(std::abs(discs.shares()[k] - M_PI * radius * radius / 4) < 1e-6);
  }
  CHECK(matches(discs.micro_f1_ceiling(), 0.78071, 5));
  // One disc and its ring, whose areas are known: F1 as in the closed form.
  const Discs one({.discs = {{0, 0, 0.5, 0.05}}, .margin = 0.1});
  const double inside = M_PI * 0.4 * 0.4 / 4, ring = M_PI * (0.36 - 0.16) / 4;
  CHECK(std::abs(one.kept() - (1 - ring)) < 1e-6);
  CHECK(std::abs(one.shares()[0] - inside / (1 - ring)) < 1e-6);
  const double radius = std::sqrt(0.3 * 4 / M_PI);  // ρ = 0.3
  CHECK(matches(Discs({.discs = {{0, 0, radius, 0.05}}, .margin = 0}).f1_ceiling(0), 0.9194, 4));
}

TEST_CASE("discs: samples follow their definition") {
  const Discs discs;
  Generator generator(8);
  const TensorDataset data = discs.sample(kRows, generator);
  CHECK(data.inputs.sizes() == Shape({kRows, 2}));
  CHECK(data.targets.sizes() == Shape({kRows, 4}));
  const auto xy = data.inputs.to_vector<double>();
  const auto given = data.targets.to_vector<double>();
  const auto truth = discs.inside(data.inputs).to_vector<double>();
  std::vector<double> inside(4), wrong(4), on(4);
  double exact = 0, loss = 0, squares = 0;
  for (std::size_t row = 0; row < kRows; ++row) {
    double row_loss = 0;
    bool all_right = true;
    for (std::size_t k = 0; k < 4; ++k) {
      const Disc& disc = discs.options().discs[k];
      const double distance = std::hypot(xy[2 * row] - disc.x, xy[2 * row + 1] - disc.y);
      CHECK(std::abs(distance - disc.radius) > 0.05 - 1e-6);
      CHECK(truth[4 * row + k] == (distance < disc.radius ? 1 : 0));
      const bool is_wrong = given[4 * row + k] != truth[4 * row + k];
      inside[k] += truth[4 * row + k];
      on[k] += given[4 * row + k];
      wrong[k] += is_wrong;
      all_right &= !is_wrong;
      row_loss -= std::log(is_wrong ? disc.noise : 1 - disc.noise);
    }
    exact += all_right;
    loss += row_loss;
    squares += row_loss * row_loss;
  }
  double hits = 0, errors = 0;
  for (std::size_t k = 0; k < 4; ++k) {
    const double noise = discs.options().discs[k].noise, share = discs.shares()[k];
    CHECK(near_share(inside[k] / kRows, share, kRows));
    CHECK(near_share(wrong[k] / kRows, noise, kRows));
    CHECK(near_share(on[k] / kRows, share * (1 - noise) + (1 - share) * noise, kRows));
    errors += wrong[k];
    hits += on[k] + inside[k] - wrong[k];  // 2 TP = labels + predictions - FP - FN
  }
  CHECK(hits / (hits + errors) == doctest::Approx(discs.micro_f1_ceiling()).epsilon(0.01));
  CHECK(near_share(exact / kRows, discs.exact_match_ceiling(), kRows));
  loss /= kRows;
  CHECK(discs.oracle_loss(data) == doctest::Approx(loss).epsilon(1e-10));
  CHECK(near(loss, discs.population_floor(), std::sqrt(squares / kRows - loss * loss), kRows));
}

TEST_CASE("discs: of the points drawn, the share that is kept is known") {
  // Each draw takes two numbers for the point, and one a label for a point that is kept.
  const Discs discs;
  Generator generator(5);
  const std::uint64_t before = generator.position();
  Generator one(5);
  one.next_uniform();
  const double per_number = static_cast<double>(one.position());
  discs.sample(kRows, generator);
  const double numbers = static_cast<double>(generator.position() - before) / per_number;
  const double draws = (numbers - 4.0 * kRows) / 2;
  CHECK(near_share(kRows / draws, discs.kept(), static_cast<std::int64_t>(draws)));
}

// Exponential noise ---------------------------------------------------------------------------

TEST_CASE("exponential noise: the floors that are known") {
  const ExponentialNoise task;
  CHECK(matches(task.population_floor(0.1), 0.028447, 6));
  CHECK(matches(task.population_floor(0.5), 0.103972, 6));
  CHECK(matches(task.population_floor(0.9), 0.069078, 6));
  double sum = 0;
  for (const double level : {0.1, 0.5, 0.9}) sum += task.population_floor(level);
  CHECK(matches(sum / 3, 0.067166, 6));
  CHECK(task.mse_floor() == doctest::Approx(0.098).epsilon(1e-12));
}

TEST_CASE("exponential noise: curves where they can be worked out by hand") {
  const ExponentialNoise task;
  const Tensor x = tensor({{0.0}, {0.5}, {-1.0}});
  const auto close = [](const Tensor& curve, std::vector<double> expected) {
    const auto values = curve.to_vector<double>();
    return std::equal(values.begin(), values.end(), expected.begin(), expected.end(),
                      [](double a, double b) { return std::abs(a - b) < 1e-12; });
  };
  CHECK(close(task.mean(x), {0, 1, 0}));
  // s = 0.2, 0.275, 0.5, and quantile τ of E is 1 at τ = 1 - 1/e.
  CHECK(close(task.quantile(x, 1 - std::exp(-1.0)), {0, 1, 0}));
  const double median = std::log(2.0) - 1;
  CHECK(close(task.quantile(x, 0.5), {0.2 * median, 1 + 0.275 * median, 0.5 * median}));
  // Huber's fit goes from the median to the mean.
  CHECK(std::abs(task.huber(x, 1e-9)[2].item<double>() - 0.5 * median) < 1e-8);
  CHECK(std::abs(task.huber(x, 1e3)[2].item<double>()) < 1e-8);
}

TEST_CASE("exponential noise: huber's curve minimises the mean of huber's loss") {
  const ExponentialNoise task;
  const double delta = 0.2, x = 0.5, s = 0.275;
  const auto mean_loss = [&](double fit) {
    double sum = 0;
    const double step = 1e-3;
    for (double e = step / 2; e < 40; e += step) {
      const double error = std::abs(1 + s * (e - 1) - fit);
      sum +=
          step * std::exp(-e) * (error < delta ? error * error / 2 : delta * (error - delta / 2));
    }
    return sum;
  };
  const double fit = task.huber(tensor({{x}}), delta)[0].item<double>();
  CHECK(mean_loss(fit) < mean_loss(fit - 1e-3));
  CHECK(mean_loss(fit) < mean_loss(fit + 1e-3));
}

TEST_CASE("exponential noise: samples follow their definition") {
  const ExponentialNoise task;
  Generator generator(2);
  const TensorDataset data = task.sample(kRows, generator);
  CHECK(data.inputs.sizes() == Shape({kRows, 1}));
  CHECK(data.targets.sizes() == Shape({kRows}));
  const auto x = data.inputs.to_vector<double>(), y = data.targets.to_vector<double>();
  CHECK(near(mean_of(data.inputs), 0, std::sqrt(1.0 / 3), kRows));
  CHECK(near(mean_of(data.inputs.square()), 1.0 / 3, std::sqrt(4.0 / 45), kRows));
  for (const double level : {0.1, 0.5, 0.9}) {
    CAPTURE(level);
    const auto q = task.quantile(data.inputs, level).to_vector<double>();
    double below = 0, loss = 0, squares = 0;
    for (std::size_t row = 0; row < kRows; ++row) {
      below += y[row] <= q[row];
      const double error = y[row] - q[row];
      const double pinball = error > 0 ? level * error : (level - 1) * error;
      loss += pinball;
      squares += pinball * pinball;
    }
    loss /= kRows;
    CHECK(near_share(below / kRows, level, kRows));
    CHECK(task.oracle_loss(data, level) == doctest::Approx(loss).epsilon(1e-12));
    CHECK(
        near(loss, task.population_floor(level), std::sqrt(squares / kRows - loss * loss), kRows));
  }
  const auto mean = task.mean(data.inputs).to_vector<double>();
  double error = 0, squares = 0, fourths = 0;
  for (std::size_t row = 0; row < kRows; ++row) {
    const double square = (y[row] - mean[row]) * (y[row] - mean[row]);
    error += y[row] - mean[row];
    squares += square;
    fourths += square * square;
  }
  CHECK(near(error / kRows, 0, std::sqrt(0.098), kRows));
  const double mse = squares / kRows;
  CHECK(near(mse, task.mse_floor(), std::sqrt(fourths / kRows - mse * mse), kRows));
}

// Latent classes ------------------------------------------------------------------------------

TEST_CASE("latent classes: floors, ceilings and simplex values that are known") {
  struct Row {
    std::int64_t classes, batch;
    double floor, ceiling, at_07, at_1, at_2, at_5;
  };
  for (const Row& row : {Row{10, 32, 1.316887, 0.301770, 1.316888, 1.317016, 1.349591, 1.941668},
                         Row{10, 64, 1.929090, 0.156066, 1.929091, 1.929224, 1.963109, 2.586089},
                         Row{10, 128, 2.585147, 0.078125, 2.585148, 2.585282, 2.619291, 3.254730},
                         Row{20, 64, 1.324993, 0.300774, 1.324998, 1.325482, 1.413950, 2.428530}}) {
    CAPTURE(row.classes);
    CAPTURE(row.batch);
    const LatentClasses task({.classes = row.classes});
    CHECK(matches(task.population_floor(row.batch), row.floor, 6));
    CHECK(matches(task.retrieval_ceiling(row.batch), row.ceiling, 6));
    CHECK(matches(task.population_floor(row.batch, {.temperature = 0.07}), row.at_07, 6));
    CHECK(matches(task.population_floor(row.batch, {.temperature = 0.1}), row.at_1, 6));
    CHECK(matches(task.population_floor(row.batch, {.temperature = 0.2}), row.at_2, 6));
    CHECK(matches(task.population_floor(row.batch, {.temperature = 0.5}), row.at_5, 6));
    // (C/N) (1 - (1 - 1/C)^N)
    const auto c = static_cast<double>(row.classes), n = static_cast<double>(row.batch);
    CHECK(task.retrieval_ceiling(row.batch) ==
          doctest::Approx(c / n * (1 - std::pow(1 - 1 / c, n))).epsilon(1e-12));
  }
  CHECK(matches(LatentClasses().population_floor(32, {.views = 2}), 1.839809, 6));
  CHECK(matches(LatentClasses().retrieval_ceiling(32, 2), 0.195685, 6));
  CHECK(LatentClasses().population_floor(1) == 0);
}

TEST_CASE("latent classes: the oracle of a batch, by hand and on average") {
  const LatentClasses task;
  const Tensor labels = tensor({3, 3, 3, 0, 0, 7});
  CHECK(task.oracle_loss(labels) ==
        doctest::Approx((3 * std::log(3.0) + 2 * std::log(2.0)) / 6).epsilon(1e-12));
  CHECK(task.oracle_loss(labels, {.views = 2}) ==
        doctest::Approx((3 * std::log(5.0) + 2 * std::log(3.0)) / 6).epsilon(1e-12));
  // Embeddings at the corners of a simplex have the product -1/9 with those of other classes.
  const double t = 0.5, same = std::exp(1 / t), other = std::exp(-1 / (9 * t));
  const auto loss = [&](double views, double collisions) {
    return -std::log(same / ((1 + views * collisions) * same + views * (5 - collisions) * other));
  };
  for (const std::int64_t views : {1, 2}) {
    const auto v = static_cast<double>(views);
    CHECK(task.oracle_loss(labels, {.temperature = t, .views = views}) ==
          doctest::Approx((3 * loss(v, 2) + 2 * loss(v, 1) + loss(v, 0)) / 6).epsilon(1e-12));
  }

  Generator generator(6);
  constexpr std::int64_t kBatches = 1000;
  double sum = 0, squares = 0;
  for (std::int64_t i = 0; i < kBatches; ++i) {
    const double batch = task.oracle_loss(task.sample(32, generator).labels);
    sum += batch;
    squares += batch * batch;
  }
  const double mean = sum / kBatches;
  CHECK(
      near(mean, task.population_floor(32), std::sqrt(squares / kBatches - mean * mean), kBatches));
}

TEST_CASE("latent classes: views are noisy centres") {
  const LatentClasses task;
  CHECK(task.centres().sizes() == Shape({10, 16}));
  CHECK(task.centres().equal(LatentClasses().centres()));
  CHECK_FALSE(task.centres().equal(LatentClasses({.seed = 1}).centres()));
  Generator generator(3);
  const Views views = task.sample(4000, generator);
  const auto labels = views.labels.to_vector<std::int64_t>();
  const auto centres = task.centres().to_vector<double>();
  std::vector<double> counts(10);
  std::int64_t nearest_is_right = 0;
  double squares = 0, product = 0;
  const auto first = views.first.to_vector<double>(), second = views.second.to_vector<double>();
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const auto label = static_cast<std::size_t>(labels[row]);
    counts[label] += 1;
    std::vector<double> distances(10);
    for (std::size_t i = 0; i < 16; ++i) {
      for (std::size_t c = 0; c < 10; ++c) {
        distances[c] += std::pow(first[16 * row + i] - centres[16 * c + i], 2);
      }
      product += (first[16 * row + i] - centres[16 * label + i]) *
                 (second[16 * row + i] - centres[16 * label + i]);
    }
    squares += distances[label];
    nearest_is_right +=
        std::min_element(distances.begin(), distances.end()) - distances.begin() == labels[row];
  }
  constexpr std::int64_t kNumbers = 4000 * 16;
  CHECK(near(squares / kNumbers, 0.09, 0.09 * std::sqrt(2.0), kNumbers));
  CHECK(near(product / kNumbers, 0, 0.09, kNumbers));  // the two views' noises are independent
  for (const double count : counts) CHECK(near_share(count / 4000, 0.1, 4000));
  CHECK(nearest_is_right >= 3990);
}

TEST_CASE("triplets: the floors that are known") {
  CHECK(Triplets().population_floor() == doctest::Approx(0.1).epsilon(1e-12));
  CHECK(matches(Triplets().largest_distance(), 2.2222, 4));
  CHECK(matches(Triplets({.squared = false}).largest_distance(), 1.4907, 4));
  CHECK(Triplets({.margin = 2.4}).population_floor() == doctest::Approx(0.4).epsilon(1e-12));
  CHECK(Triplets({.margin = 0.5, .squared = false}).population_floor() ==
        doctest::Approx(0.05).epsilon(1e-12));
  CHECK(Triplets().oracle_loss(tensor({true, false, false, true})) == 0.5);
  CHECK(Triplets({.margin = 2.4}).oracle_loss(tensor({false})) ==
        doctest::Approx(2.4 - 20.0 / 9).epsilon(1e-12));
}

TEST_CASE("triplets: positives share the class, negatives do by chance") {
  const Triplets task;
  Generator generator(9);
  const TripletViews data = task.sample(4000, generator);
  CHECK(data.anchor.sizes() == Shape({4000, 16}));
  CHECK(near_share(mean_of(data.collision), 0.1, 4000));
  // Views of one class differ by √2 · 0.3 in each feature, of two classes by far more.
  const auto collision = data.collision.to_vector<bool>();
  const auto a = data.anchor.to_vector<double>(), p = data.positive.to_vector<double>(),
             n = data.negative.to_vector<double>();
  std::int64_t mistaken = 0;
  for (std::size_t row = 0; row < 4000; ++row) {
    double to_positive = 0, to_negative = 0;
    for (std::size_t i = 16 * row; i < 16 * row + 16; ++i) {
      to_positive += (a[i] - p[i]) * (a[i] - p[i]);
      to_negative += (a[i] - n[i]) * (a[i] - n[i]);
    }
    mistaken += to_positive > 7;
    mistaken += (to_negative < 7) != collision[row];
  }
  CHECK(mistaken <= 40);
  CHECK(task.oracle_loss(data.collision) ==
        doctest::Approx(mean_of(data.collision)).epsilon(1e-12));
}

// All -----------------------------------------------------------------------------------------

TEST_CASE("tasks that make no sense are refused") {
  const double nan = std::nan("");
  CHECK_THROWS_AS(Gaussians({.features = 0}), ValueError);
  CHECK_THROWS_AS(Gaussians({.distance = 0}), ValueError);
  for (const double share : {0.0, 1.0, nan})
    CHECK_THROWS_AS(Gaussians({.positives = share}), ValueError);
  CHECK_THROWS_AS(Gaussians().logits(zeros({3, 9})), ShapeError);
  CHECK_THROWS_AS(Gaussians().oracle_loss(Gaussians().sample(0)), ShapeError);

  CHECK_THROWS_AS(Discs({.discs = {}}), ValueError);
  CHECK_THROWS_AS(Discs({.discs = {{0.6, 0, 0.5, 0.1}}}), ValueError);
  for (const double noise : {0.0, 0.5, nan}) {
    CHECK_THROWS_AS(Discs({.discs = {{0, 0, 0.5, noise}}}), ValueError);
  }
  for (const double margin : {-0.1, 2.0, nan})
    CHECK_THROWS_AS(Discs({.margin = margin}), ValueError);
  CHECK_THROWS_AS(Discs().f1_ceiling(4), IndexError);
  CHECK_THROWS_AS(Discs().inside(zeros({2, 3})), ShapeError);
  CHECK_THROWS_AS(Discs().oracle_loss({zeros({2, 2}), zeros({2, 3})}), ShapeError);

  for (const double level : {0.0, 1.0, nan}) {
    CHECK_THROWS_AS(ExponentialNoise().population_floor(level), ValueError);
    CHECK_THROWS_AS(ExponentialNoise().quantile(zeros({1, 1}), level), ValueError);
  }
  CHECK_THROWS_AS(ExponentialNoise().huber(zeros({1, 1}), 0), ValueError);
  CHECK_THROWS_AS(ExponentialNoise().mean(zeros({3})), ShapeError);
  CHECK_THROWS_AS(ExponentialNoise().oracle_loss({zeros({2, 1}), zeros({2, 1})}, 0.5), ShapeError);

  CHECK_THROWS_AS(LatentClasses({.classes = 1}), ValueError);
  CHECK_THROWS_AS(LatentClasses({.features = 0}), ValueError);
  CHECK_THROWS_AS(LatentClasses({.noise = nan}), ValueError);
  CHECK_THROWS_AS(LatentClasses().population_floor(0), ValueError);
  CHECK_THROWS_AS(LatentClasses().population_floor(8, {.views = 3}), ValueError);
  CHECK_THROWS_AS(LatentClasses().population_floor(8, {.temperature = -1}), ValueError);
  CHECK_THROWS_AS(LatentClasses().oracle_loss(tensor({1, 10})), IndexError);
  CHECK_THROWS_AS(LatentClasses().view(tensor({10})), IndexError);
  CHECK_THROWS_AS(Triplets({.margin = 0}), ValueError);
  CHECK_THROWS_AS(Triplets().oracle_loss(zeros({0}, kBool)), ShapeError);
}

TEST_CASE("a task that is given rows without tensors says so in its own name") {
  const auto refuses = [](std::string_view name, auto&& loss) {
    CAPTURE(name);
    CHECK(
        testing::says(testing::message_of<ValueError>(loss), fmt::format("{}: the dataset", name)));
  };
  refuses("Gaussians", [] { return Gaussians().oracle_loss({}); });
  refuses("Discs", [] { return Discs().oracle_loss({}); });
  refuses("Spiral", [] { return Spiral().oracle_loss({}); });
  refuses("ExponentialNoise", [] { return ExponentialNoise().oracle_loss({}, 0.5); });
  refuses("MarkovChain", [] { return MarkovChain().oracle_loss({}); });
  refuses("AgreementGrammar", [] { return AgreementGrammar().oracle_loss({}); });
}

TEST_CASE("pairs of latent classes are their views as a dataset") {
  const data::LatentClasses classes;
  Generator one(3), other(3);
  const data::TensorDataset pairs = classes.pairs(7, one);
  const data::Views views = classes.sample(7, other);
  CHECK(pairs.inputs.sizes() == Shape{7, 2, 16});
  CHECK(pairs.inputs.select(1, 0).equal(views.first));
  CHECK(pairs.inputs.select(1, 1).equal(views.second));
  CHECK(pairs.targets.equal(views.labels));
}
