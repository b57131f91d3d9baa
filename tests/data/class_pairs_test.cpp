#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <set>

#include <retrace/retrace.h>

using namespace retrace;

TEST_CASE("pairs are two rows of one class, and every row and partner has its turn") {
  // Row r holds r; classes are 5, 7, 5, 7, 5, and 9 once.
  const data::TensorDataset rows = {arange(6).to(kFloat32).view({6, 1, 1}),
                                    tensor({5, 7, 5, 7, 5, 9})};
  const data::ClassPairs pairs(rows);
  Generator generator(1);
  const data::TensorDataset drawn = pairs.sample(3000, generator);
  CHECK(drawn.inputs.sizes() == Shape{3000, 2, 1, 1});
  REQUIRE(drawn.targets.sizes() == Shape{3000});
  const auto both = drawn.inputs.flatten().to(kInt64).to_vector<std::int64_t>();
  const auto classes = drawn.targets.to_vector<std::int64_t>();
  const auto of = rows.targets.to_vector<std::int64_t>();
  std::map<std::int64_t, std::map<std::int64_t, int>> counts;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    const std::int64_t a = both[2 * i], b = both[2 * i + 1];
    CHECK(of[static_cast<std::size_t>(a)] == classes[i]);
    CHECK(of[static_cast<std::size_t>(b)] == classes[i]);
    ++counts[a][b];
  }
  const std::map<std::int64_t, std::set<std::int64_t>> partners = {
      {0, {2, 4}}, {1, {3}}, {2, {0, 4}}, {3, {1}}, {4, {0, 2}}, {5, {5}}};
  for (const auto& [row, others] : partners) {
    REQUIRE(counts[row].size() == others.size());
    for (const auto& [other, count] : counts[row]) {
      CHECK(others.contains(other));
      // 500 times each row, shared among its partners; six standard deviations.
      const double expected = 500.0 / static_cast<double>(others.size());
      CHECK(std::abs(count - expected) < 6 * std::sqrt(expected));
    }
  }
  Generator again(1);
  CHECK(pairs.sample(3000, again).inputs.equal(drawn.inputs));
  CHECK(pairs.sample(0).inputs.sizes() == Shape{0, 2, 1, 1});
}

TEST_CASE("what has no classes gives no pairs") {
  using data::ClassPairs;
  CHECK_THROWS_AS(ClassPairs({zeros({3, 2}), zeros({3})}), DTypeError);
  CHECK_THROWS_AS(ClassPairs({zeros({3, 2}), zeros({3, 1}, kInt64)}), ShapeError);
  CHECK_THROWS_AS(ClassPairs({zeros({3, 2}), zeros({4}, kInt64)}), ShapeError);
  CHECK_THROWS_AS(ClassPairs({zeros({0, 2}), zeros({0}, kInt64)}), ValueError);
}
