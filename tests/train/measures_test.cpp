// Metrics against the definition, computed the long way.
#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <retrace/retrace.h>
#include <retrace/tests/files.h>

using namespace retrace;

TEST_CASE("the area under the ROC curve is the share of pairs in the right order") {
  manual_seed(4);
  const Tensor scores = round(randn({60}) * 3) / 3;  // with ties
  const Tensor labels = bernoulli(full({60}, 0.3)).to(kInt64);
  const auto s = scores.to_vector<double>();
  const auto y = labels.to_vector<std::int64_t>();
  double right = 0, pairs = 0;
  for (std::size_t i = 0; i < s.size(); ++i) {
    for (std::size_t j = 0; j < s.size(); ++j) {
      if (y[i] != 1 || y[j] != 0) continue;
      ++pairs;
      right += s[i] > s[j] ? 1 : s[i] == s[j] ? 0.5 : 0;
    }
  }
  CHECK(train::roc_auc(scores, labels) == doctest::Approx(right / pairs).epsilon(1e-12));
  CHECK(train::roc_auc(tensor({1.0, 2.0}), tensor({0, 1})) == 1.0);
  CHECK(train::roc_auc(tensor({1.0, 1.0}), tensor({0, 1})) == 0.5);
  CHECK_THROWS_WITH_AS(train::roc_auc(tensor({1.0, NAN}), tensor({0, 1})),
                       "roc_curve: the score of row 1 is NaN", ValueError);
  CHECK(std::isnan(train::roc_auc(tensor({1.0, 2.0}), tensor({1, 1}))));
  CHECK(std::isnan(train::roc_auc(zeros({0}), zeros({0}, kInt64))));
  CHECK_THROWS_AS(train::roc_auc(tensor({1.0}), tensor({2})), ValueError);
  CHECK_THROWS_AS(train::roc_auc(zeros({2, 1}), zeros({2}, kInt64)), ShapeError);
  CHECK_THROWS_AS(train::roc_auc(zeros({2}, kInt64), zeros({2}, kInt64)), DTypeError);
}

TEST_CASE("calibration error weighs each bin by its rows") {
  const train::Calibration calibration(tensor({0.05, 0.15, 0.18, 1.0}), tensor({0, 0, 1, 1}));
  REQUIRE(calibration.bins().size() == 3);
  CHECK(calibration.bins()[1].rows == 2);
  CHECK(calibration.bins()[1].mean_probability == doctest::Approx(0.165));
  CHECK(calibration.bins()[1].frequency == 0.5);
  CHECK(calibration.ece() == doctest::Approx((0.05 + 2 * (0.5 - 0.165) + 0) / 4));
  CHECK(calibration.table().rows[0][0] == "0.00 to 0.10");
  CHECK_THROWS_AS(train::Calibration(tensor({1.5}), tensor({1})), ValueError);
  CHECK_THROWS_AS(train::Calibration(tensor({NAN}), tensor({1})), ValueError);
  CHECK_THROWS_AS(train::Calibration(tensor({0.5}), tensor({1}), 0), ValueError);
}

TEST_CASE("F1 over all labels, over each, and rows that are right") {
  const Tensor truth = tensor({{1, 0, 0}, {1, 1, 0}, {0, 1, 0}});
  const Tensor guess = tensor({{1, 0, 0}, {0, 1, 0}, {1, 1, 0}});
  const train::LabelCounts counts(guess, truth);
  CHECK(counts.micro_f1() == doctest::Approx(2.0 * 3 / (2 * 3 + 1 + 1)));
  CHECK(counts.f1(0) == 0.5);
  CHECK(counts.f1(1) == 1.0);
  CHECK(std::isnan(counts.f1(2)));
  CHECK(counts.macro_f1() == 0.75);
  CHECK(counts.exact_match() == doctest::Approx(1.0 / 3));
  CHECK(counts.table({"a", "b", "c"}).rows[2] == std::vector<std::string>{"c", "0", "-", "-", "-"});
  CHECK_THROWS_AS(train::LabelCounts(zeros({2, 2}), zeros({2, 3})), ShapeError);
  CHECK_THROWS_AS(counts.table({"a"}), ValueError);
}

TEST_CASE("errors, coverage and crossings of numbers") {
  const Tensor predicted = tensor({1.0, 2.0, 3.0, 4.0}), target = tensor({1.0, 0.0, 4.0, 3.0});
  CHECK(train::mean_absolute_error(predicted, target) == 1.0);
  CHECK(train::root_mean_squared_error(predicted, target) == doctest::Approx(std::sqrt(1.5)));
  CHECK(train::coverage(predicted, target) == 0.75);
  CHECK(train::crossings(tensor({{1.0, 2.0, 3.0}, {1.0, 1.0, 0.5}})) == 0.5);
  CHECK(train::crossings(zeros({5, 1})) == 0);
  CHECK_THROWS_AS(train::coverage(zeros({2, 1}), zeros({2})), ShapeError);
}

TEST_CASE("the quantile of a sample is one of its values, and the best constant") {
  const Tensor values = tensor({4.0, 1.0, 3.0, 2.0});
  CHECK(train::sample_quantile(values, 0.1) == 1);
  CHECK(train::sample_quantile(values, 0.5) == 2);
  CHECK(train::sample_quantile(values, 0.51) == 3);
  CHECK(train::sample_quantile(values, 0.9) == 4);
  CHECK(train::sample_quantile(arange(1, 101), 0.07) == 7);  // whose product is above 7
  CHECK(train::sample_quantile(arange(1, 101), 0.55) == 55);
  CHECK(train::coverage(full({4}, train::sample_quantile(values, 0.75)), values) == 0.75);
  CHECK_THROWS_AS(train::sample_quantile(values, 0), ValueError);
  CHECK_THROWS_AS(train::sample_quantile(values, 1), ValueError);
  CHECK_THROWS_AS(train::sample_quantile(empty({0}), 0.5), ValueError);
  CHECK_THROWS_AS(train::sample_quantile(zeros({2, 2}), 0.5), ShapeError);
}

TEST_CASE("scores of quantiles, level by level") {
  const Tensor predicted = tensor({{0.0, 2.0}, {1.0, 3.0}, {5.0, 4.0}, {0.0, 9.0}});
  const Tensor target = tensor({1.0, 1.0, 4.0, 10.0}), known = tensor({1.0, 2.0, 3.0, 4.0});
  const train::RegressionScores scores(predicted, target, {0.25, 0.5}, known);
  REQUIRE(scores.levels().size() == 2);
  const auto& low = scores.levels()[0];
  CHECK(low.coverage == 0.5);  // of 1 at 1, and of 4 at 5
  CHECK(low.pinball == doctest::Approx((0.25 + 0 + 0.75 + 2.5) / 4));
  CHECK(low.constant == doctest::Approx((0 + 0 + 0.75 + 2.25) / 4));  // of the constant 1
  CHECK(scores.metrics() ==
        std::vector<std::pair<std::string, double>>{{"mae", 1.0},
                                                    {"rmse", std::sqrt(6.0 / 4)},
                                                    {"coverage_0.25", 0.5},
                                                    {"pinball_0.25", low.pinball},
                                                    {"pinball_0.25_constant", low.constant},
                                                    {"coverage_0.5", 0.75},
                                                    {"pinball_0.5", 0.5},
                                                    {"pinball_0.5_constant", 1.5},
                                                    {"crossings", 0.25}});
  CHECK(scores.table().rows.size() == 2);
  CHECK_FALSE(scores.figure("price").svg().empty());
  const train::RegressionScores number(target.unsqueeze(1), target, {}, known);
  CHECK(number.metrics() ==
        std::vector<std::pair<std::string, double>>{{"mae", 0.0}, {"rmse", 0.0}});
  CHECK(number.table().rows.empty());
  using Scores = train::RegressionScores;
  CHECK_THROWS_AS(Scores(predicted, target, {0.5}, known), ShapeError);
  CHECK_THROWS_AS(Scores(predicted, known.narrow(0, 0, 3), {0.25, 0.5}, known), ShapeError);
  CHECK_THROWS_AS(Scores(predicted, target, {}, known), ShapeError);
  CHECK_THROWS_AS(Scores(predicted, target, {0.25, 1}, known), ValueError);
  CHECK_THROWS_AS(Scores(zeros({0, 1}), zeros({0}), {0.5}, known), ValueError);
}

TEST_CASE("recall among neighbours agrees with looking at all of them") {
  manual_seed(9);
  const Tensor x = randn({700, 3});
  const Tensor labels = randint(0, 40, {700});
  const auto numbers = normalize(x).to_vector<double>();
  const auto of = labels.to_vector<std::int64_t>();
  double found = 0, asked = 0;
  for (std::size_t i = 0; i < 700; ++i) {
    std::size_t best = 700;
    double nearest = -2;
    bool has_other = false;
    for (std::size_t j = 0; j < 700; ++j) {
      if (i == j) continue;
      has_other = has_other || of[i] == of[j];
      double cosine = 0;
      for (std::size_t d = 0; d < 3; ++d) cosine += numbers[3 * i + d] * numbers[3 * j + d];
      if (cosine > nearest) nearest = cosine, best = j;
    }
    if (!has_other) continue;
    ++asked;
    found += of[best] == of[i];
  }
  CHECK(train::recall_at(1, x, labels) == doctest::Approx(found / asked).epsilon(0.005));
  CHECK(train::recall_at(699, x, labels) == 1.0);
  CHECK(std::isnan(train::recall_at(1, randn({2, 3}), tensor({0, 1}))));
  CHECK_THROWS_AS(train::recall_at(2, randn({2, 3}), tensor({0, 1})), ValueError);
}

TEST_CASE("NaN is no answer: no metric that compares takes it for one") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Tensor known = tensor({0.5, 1.0, 0.0}), unknown = tensor({0.5, nan, 0.0});
  const Tensor labels = tensor({0, 1, 0}), square = tensor({{1.0, 2.0}, {1.0, 2.0}, {nan, 2.0}});
  const auto refused = [](const std::string& message, auto&& metric) {
    CHECK(testing::message_of<ValueError>(metric) == message);
  };
  refused("LabelCounts: predictions of row 2 are NaN", [&] {
    train::LabelCounts(square, zeros({3, 2}));
  });
  refused("LabelCounts: labels of row 2 are NaN", [&] {
    train::LabelCounts(zeros({3, 2}), square);
  });
  refused("threshold_table: the score of row 1 is NaN",
          [&] { train::threshold_table(unknown, labels); });
  refused("coverage: quantiles of row 1 are NaN", [&] { train::coverage(unknown, known); });
  refused("coverage: targets of row 1 are NaN", [&] { train::coverage(known, unknown); });
  refused("sample_quantile: values of row 1 are NaN",
          [&] { train::sample_quantile(unknown, 0.5); });
  refused("crossings: quantiles of row 2 are NaN", [&] { train::crossings(square); });
  refused("recall_at: normalized embeddings of row 2 are NaN",
          [&] { train::recall_at(1, square, labels); });
  refused("ConfusionMatrix: logits of row 2 are NaN", [&] { train::accuracy(square, labels); });
  refused("coverage: quantiles of row 1 are NaN",
          [&] { train::RegressionScores(unknown.unsqueeze(1), known, {0.5}, known); });
  CHECK(std::isnan(train::mean_absolute_error(unknown, known)));
  CHECK(std::isnan(train::root_mean_squared_error(unknown, known)));
  // Infinite numbers can be compared.
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(train::coverage(tensor({infinity, -infinity}), tensor({1.0, 2.0})) == 0.5);
}
