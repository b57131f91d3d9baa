#include <doctest/doctest.h>

#include <cmath>

#include <retrace/data/tasks/spiral.h>
#include <retrace/tensor/creation.h>

using namespace retrace;
using data::Spiral;
using data::TensorDataset;

TEST_CASE("the floor of the spiral is the entropy of its labels") {
  CHECK(std::abs(Spiral().population_floor() - 0.394398) < 5e-7);
  CHECK(Spiral({.arms = 2, .noise = 0.5}).population_floor() == doctest::Approx(std::log(2.0)));
  // Labels that say nothing: ln K.
  CHECK(Spiral({.arms = 4, .noise = 0.75}).population_floor() == doctest::Approx(std::log(4.0)));
}

TEST_CASE("points tell their arm, labels mostly do") {
  for (const std::int64_t arms : {2, 3, 5}) {
    CAPTURE(arms);
    const Spiral spiral({.arms = arms, .noise = 0.2});
    Generator generator(7);
    constexpr std::int64_t kRows = 40'000;
    const TensorDataset data = spiral.sample(kRows, generator);
    CHECK(data.inputs.sizes() == Shape({kRows, 2}));
    const auto labels = data.targets.to_vector<std::int64_t>();
    const auto truth = spiral.arm_of(data.inputs).to_vector<std::int64_t>();
    std::vector<double> per_arm(static_cast<std::size_t>(arms)), wrong(per_arm);
    double all_wrong = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      CHECK((labels[i] >= 0 && labels[i] < arms));
      per_arm[static_cast<std::size_t>(truth[i])] += 1;
      if (labels[i] == truth[i]) continue;
      all_wrong += 1;
      wrong[static_cast<std::size_t>((labels[i] - truth[i] + arms) % arms)] += 1;
    }
    // Five standard errors of a share.
    const auto near = [](double count, double n, double p) {
      return std::abs(count / n - p) < 5 * std::sqrt(p * (1 - p) / n);
    };
    CHECK(near(all_wrong, kRows, 0.2));
    for (const double count : per_arm) CHECK(near(count, kRows, 1.0 / static_cast<double>(arms)));
    for (std::size_t i = 1; i < wrong.size() && arms > 2; ++i) {
      CHECK(near(wrong[i], all_wrong, 1.0 / static_cast<double>(arms - 1)));
    }
    // The oracle's loss follows from the share of wrong labels alone.
    const double share = all_wrong / kRows;
    const double expected =
        -(1 - share) * std::log(0.8) - share * std::log(0.2 / static_cast<double>(arms - 1));
    CHECK(spiral.oracle_loss(data) == doctest::Approx(expected).epsilon(1e-12));
  }
}

TEST_CASE("points lie on the arms that the definition draws") {
  const Spiral spiral;
  Generator generator(3);
  const TensorDataset data = spiral.sample(2000, generator);
  const auto xy = data.inputs.to_vector<double>();
  const auto arm = spiral.arm_of(data.inputs).to_vector<std::int64_t>();
  for (std::size_t i = 0; i < arm.size(); ++i) {
    const double radius = std::hypot(xy[2 * i], xy[2 * i + 1]);
    CHECK((radius > 0.2 - 1e-6 && radius < 1.0 + 1e-6));
    const double turns = std::atan2(xy[2 * i + 1], xy[2 * i]) / (2 * M_PI);
    double off = turns - (radius - 0.2) / 0.8 - static_cast<double>(arm[i]) / 3.0;
    off -= std::round(off);
    CHECK(std::abs(off) <= 0.5 * 0.3 / 3 + 1e-6);
  }
}

TEST_CASE("samples are a stream that batches do not change") {
  const Spiral spiral;
  Generator one(5), two(5);
  const TensorDataset whole = spiral.sample(10, one);
  const TensorDataset first = spiral.sample(4, two), rest = spiral.sample(6, two);
  CHECK(whole.inputs.narrow(0, 0, 4).equal(first.inputs));
  CHECK(whole.inputs.narrow(0, 4, 6).equal(rest.inputs));
  CHECK(whole.targets.narrow(0, 4, 6).equal(rest.targets));
  CHECK(spiral.sample(0, one).size() == 0);
}

TEST_CASE("a spiral that makes no sense is refused") {
  CHECK_THROWS_AS(Spiral({.arms = 1}), ValueError);
  CHECK_THROWS_AS(Spiral({.noise = 0}), ValueError);
  CHECK_THROWS_AS(Spiral({.noise = 1}), ValueError);
  CHECK_THROWS_AS(Spiral({.width = 1}), ValueError);
  CHECK_THROWS_AS(Spiral({.width = std::nan("")}), ValueError);
  CHECK_THROWS_AS(Spiral().arm_of(zeros({3})), ShapeError);
  CHECK_THROWS_AS(Spiral().oracle_loss(Spiral().sample(0)), ShapeError);
}
