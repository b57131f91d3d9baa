#include <doctest/doctest.h>

#include <cmath>

#include <retrace/tensor/creation.h>
#include <retrace/train/metrics.h>

using namespace retrace;
using train::ConfusionMatrix;

TEST_CASE("a confusion matrix counts what was taken for what") {
  const Tensor logits =
      tensor({{2.0, 1.0, 0.0}, {0.0, 3.0, 1.0}, {0.0, 5.0, 1.0}, {1.0, 2.0, 0.0}});
  const ConfusionMatrix matrix(logits, tensor({0, 1, 2, 1}));
  CHECK(matrix.total() == 4);
  CHECK(matrix.count(2, 1) == 1);
  CHECK(matrix.count(1, 1) == 2);
  CHECK(matrix.accuracy() == 0.75);
  CHECK(matrix.precision(1) == doctest::Approx(2.0 / 3));
  CHECK(matrix.recall(1) == 1.0);
  CHECK(matrix.f1(1) == doctest::Approx(0.8));
  CHECK(std::isnan(matrix.precision(2)));
  CHECK(matrix.recall(2) == 0.0);
  CHECK(matrix.f1(2) == 0.0);
  CHECK(matrix.table({"a", "b", "long"}).text() ==
        "true \\ predicted  a  b  long  precision  recall\n"
        "               a  1  0     0      1.000   1.000\n"
        "               b  0  2     0      0.667   1.000\n"
        "            long  0  1     0          -   0.000\n");
}

TEST_CASE("of equal logits the first counts, and nothing gives no accuracy") {
  CHECK(train::accuracy(zeros({3, 2}), tensor({0, 1, 0})) == doctest::Approx(2.0 / 3));
  CHECK(std::isnan(train::accuracy(zeros({0, 2}), zeros({0}, kInt64))));
  CHECK(train::accuracy(tensor({{0.0, 1.0}}, kFloat64), tensor({1})) == 1.0);
  const Tensor turned = tensor({{0.0, 9.0}, {1.0, 0.0}}).t();  // strided
  CHECK(train::accuracy(turned, tensor({1, 0})) == 1.0);
}

TEST_CASE("names are aligned by characters, many classes by their confusions") {
  const ConfusionMatrix two(tensor({{1.0, 0.0}}), tensor({0}));
  CHECK(two.table({"é", "b"}).text().find("               é  1") != std::string::npos);
  CHECK_THROWS_AS(two.table({"a"}), ValueError);

  Tensor logits = zeros({5, 30});
  for (std::int64_t row = 0; row < 5; ++row) logits[row][row < 3 ? 7 : 8] = 1.0;
  const ConfusionMatrix many(logits, tensor({1, 1, 7, 2, 8}));
  CHECK(many.table().text() ==
        "true  predicted  times\n   1          7      2\n   2          8      1\n");
}

TEST_CASE("what is no classification is refused") {
  CHECK_THROWS_AS(ConfusionMatrix(zeros({2, 2}), zeros({2})), DTypeError);
  CHECK_THROWS_AS(ConfusionMatrix(zeros({2, 2}, kInt64), zeros({2}, kInt64)), DTypeError);
  CHECK_THROWS_AS(ConfusionMatrix(zeros({2}), zeros({2}, kInt64)), ShapeError);
  CHECK_THROWS_AS(ConfusionMatrix(zeros({2, 2}), zeros({3}, kInt64)), ShapeError);
  CHECK_THROWS_AS(ConfusionMatrix(zeros({2, 0}), zeros({2}, kInt64)), ShapeError);
  CHECK_THROWS_AS(ConfusionMatrix(zeros({2, 2}), tensor({0, 2})), IndexError);
  CHECK_THROWS_AS(ConfusionMatrix(zeros({2, 2}), tensor({0, -1})), IndexError);
  CHECK_THROWS_WITH_AS(ConfusionMatrix(tensor({{1.0, 2.0}, {NAN, 0.0}}), tensor({0, 1})),
                       "ConfusionMatrix: logits of row 1 are NaN", ValueError);
}
