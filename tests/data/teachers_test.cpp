#include <doctest/doctest.h>

#include <cmath>

#include <retrace/autograd/autograd.h>
#include <retrace/data/tasks/linear_teacher.h>
#include <retrace/data/tasks/soft_labels.h>
#include <retrace/losses/classification.h>
#include <retrace/losses/distillation.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/data/near.h>

using namespace retrace;
using namespace retrace::data;

TEST_CASE("soft labels: the floor is the mean entropy") {
  const SoftLabels task;
  CHECK(matches(task.population_floor(), 0.732559388, 9));
  Generator generator(1);
  constexpr std::int64_t kRows = 40'000;
  const TaughtRows rows = task.sample(kRows, generator);
  CHECK(near(task.soft_oracle_loss(rows.inputs), task.population_floor(), 0.3, kRows));
  CHECK(near(task.oracle_loss(rows), task.population_floor(), 0.6, kRows));
}

TEST_CASE("soft labels: rows follow the definition") {
  const SoftLabels task;
  Generator generator(7);
  constexpr std::int64_t kRows = 20'000;
  const TaughtRows rows = task.sample(kRows, generator);
  CHECK(rows.inputs.sizes() == Shape{kRows, 2});
  CHECK(rows.logits.dtype() == kFloat32);
  CHECK(rows.labels.dtype() == kInt64);
  CHECK(near(mean_of(rows.inputs), 0, 1, 2 * kRows));
  CHECK(near(mean_of(rows.inputs.square()), 1, std::sqrt(2.0), 2 * kRows));
  const Tensor logits = task.logits(rows.inputs);
  CHECK(allclose(rows.logits.to(kFloat64), logits, 0, 1e-6));
  const auto x = rows.inputs[5].to_vector<double>();
  for (int k = 0; k < 3; ++k) {
    const double by_hand = 2.5 * std::sin(2 * x[0] + 2 * M_PI * k / 3) * std::cos(1.5 * x[1] - k);
    CHECK(logits[5][k].item<double>() == doctest::Approx(by_hand).epsilon(1e-12));
  }
  // Labels come from softmax: their counts, and the losses of the house.
  const Tensor p = logits.softmax(1);
  for (int k = 0; k < 3; ++k) {
    const double share = mean_of(eq(rows.labels, k));
    CHECK(near_share(share, p.select(1, k).mean().item<double>(), kRows));
  }
  CHECK(task.oracle_loss(rows) ==
        doctest::Approx(losses::cross_entropy(logits, rows.labels).item<double>()).epsilon(1e-10));
  CHECK(task.soft_oracle_loss(rows.inputs) ==
        doctest::Approx(-(p * p.log()).sum().item<double>() / kRows).epsilon(1e-10));
}

TEST_CASE("linear teacher: singular values and directions") {
  const LinearTeacher teacher;
  const Tensor w = teacher.weight();
  CHECK(w.sizes() == Shape{10, 20});
  CHECK(w.sum(0).abs().max().item<double>() < 1e-13);
  // Tr (W Wᵀ)^n = Σ σ^2n.
  const Tensor square = w.matmul(w.t());
  Tensor power = square;
  for (int n = 1; n <= 9; ++n) {
    double expected = 0;
    for (const double s : teacher.options().singular_values) expected += std::pow(s, 2 * n);
    CHECK(power.diagonal().sum().item<double>() == doctest::Approx(expected).epsilon(1e-12));
    power = power.matmul(square);
  }
  CHECK(LinearTeacher().weight().equal(w));
  CHECK_FALSE(LinearTeacher({.seed = 1}).weight().equal(w));
}

TEST_CASE("linear teacher: the floor of a student of lower rank") {
  const LinearTeacher teacher;
  CHECK(teacher.population_floor(4) == doctest::Approx(0.11).epsilon(1e-12));
  CHECK(teacher.population_floor(9) == 0);
  CHECK(teacher.population_floor(20) == 0);
  Generator generator(2);
  constexpr std::int64_t kRows = 20'000;
  const TensorDataset rows = teacher.sample(kRows, generator);
  CHECK(rows.targets.sizes() == Shape{kRows, 10});
  const Tensor x = rows.inputs.to(kFloat64);
  const Tensor truth = x.matmul(teacher.weight().t()), student = x.matmul(teacher.weight(4).t());
  CHECK(allclose(rows.targets.to(kFloat64), truth, 1e-6, 1e-6));
  const double oracle = teacher.oracle_loss(rows.inputs, 4);
  CHECK(oracle == doctest::Approx((truth - student).square().sum().item<double>() / (20.0 * kRows))
                      .epsilon(1e-10));
  CHECK(near(oracle, 0.11, std::sqrt(2 * (1 + 0.4096 + 0.1296 + 0.0256 + 0.0016)) / 20, kRows));
  CHECK(teacher.oracle_loss(rows.inputs, 9) == 0);
  // The limit of distillation for a high temperature; below it the same student loses less.
  const auto distilled = [&](double temperature) {
    return losses::distillation_loss(student, truth, zeros({kRows}, kInt64),
                                     {.temperature = temperature, .alpha = 1})
        .item<double>();
  };
  CHECK(distilled(1000) == doctest::Approx(oracle).epsilon(1e-3));
  CHECK(distilled(10) == doctest::Approx(oracle).epsilon(0.02));
  CHECK(distilled(1) < 0.9 * oracle);
}

TEST_CASE("teachers: what makes no sense is refused") {
  const SoftLabels soft;
  CHECK_THROWS_AS(soft.logits(zeros({3, 3})), ShapeError);
  CHECK_THROWS_AS(soft.soft_oracle_loss(zeros({0, 2})), ShapeError);
  CHECK_THROWS_AS(soft.oracle_loss(soft.sample(0)), ShapeError);
  CHECK_THROWS_AS(soft.oracle_loss({zeros({2, 2}), zeros({3}, kInt64), {}}), ShapeError);
  CHECK_THROWS_AS(soft.oracle_loss({zeros({2, 2}), full({2}, 3, kInt64), {}}), IndexError);

  CHECK_THROWS_AS(LinearTeacher({.classes = 1}), ValueError);
  CHECK_THROWS_AS(LinearTeacher({.features = 0}), ValueError);
  CHECK_THROWS_AS(LinearTeacher({.classes = 9}), ValueError);
  CHECK_THROWS_AS(LinearTeacher({.features = 8}), ValueError);
  for (const double value : {-1.0, 4.0, std::nan("")})
    CHECK_THROWS_AS(LinearTeacher({.singular_values = {3, value}}), ValueError);
  const LinearTeacher teacher;
  CHECK_THROWS_AS(teacher.weight(-1), ValueError);
  CHECK_THROWS_AS(teacher.population_floor(-1), ValueError);
  CHECK_THROWS_AS(teacher.oracle_loss(zeros({2, 20}), -1), ValueError);
  CHECK_THROWS_AS(teacher.oracle_loss(zeros({2, 19}), 4), ShapeError);
  CHECK_THROWS_AS(teacher.oracle_loss(zeros({0, 20}), 4), ShapeError);
}
