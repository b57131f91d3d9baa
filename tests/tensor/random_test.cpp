#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

// Sum over (observed - expected)² / expected.
double chi_square(const std::map<std::int64_t, int>& observed, double expected) {
  double sum = 0;
  for (const auto& [value, count] : observed) {
    sum += (count - expected) * (count - expected) / expected;
  }
  return sum;
}

std::map<std::int64_t, int> histogram(const Tensor& x) {
  std::map<std::int64_t, int> counts;
  for (const std::int64_t value : x.to_vector<std::int64_t>()) ++counts[value];
  return counts;
}

double mean_of(const Tensor& x) {
  const auto values = x.to_vector<double>();
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

TEST_CASE("blocks are Philox4x32-10, as its authors' test vectors say") {
  using Block = std::array<std::uint32_t, 4>;
  CHECK(Generator::block(0, 0) == Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const std::uint64_t ones = ~std::uint64_t{0};
  CHECK(Generator::block(ones, ones, ones) ==
        Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(Generator::block(0x299f31d0a4093822, 0x85a308d3243f6a88, 0x0370734413198a2e) ==
        Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

// Worked out by hand from the blocks.
TEST_CASE("blocks that are filled together are those that are drawn one by one") {
  for (const std::uint64_t first :
       {std::uint64_t{0}, std::uint64_t{0xfffffff5}, ~std::uint64_t{3}}) {
    for (const std::int64_t count : {0, 1, 15, 16, 17, 40}) {
      std::vector<std::uint32_t> numbers(static_cast<std::size_t>(4 * count) + 1, 7);
      Generator::fill_blocks(0x123456789abcdef0, first, count, numbers.data());
      for (std::int64_t b = 0; b < count; ++b) {
        const auto block =
            Generator::block(0x123456789abcdef0, first + static_cast<std::uint64_t>(b));
        CHECK(std::equal(block.begin(), block.end(), numbers.begin() + 4 * b));
      }
      CHECK(numbers.back() == 7);
    }
  }
}

TEST_CASE("numbers of a seed are fixed for all time") {
  Generator g(42);
  CHECK(rand({3}, kFloat32, &g)
            .equal(tensor({0.6129598617553711, 0.4685865044593811, 0.07323169708251953})));
  CHECK(rand({2}, kFloat64, &g)
            .equal(tensor({0x1.4ee9b3f7f36c8p-2, 0x1.d1381bee0e3d6p-2}, kFloat64)));
  const auto z = randn({2}, kFloat64, &g).to_vector<double>();
  CHECK(std::abs(z[0] - 0.13500793462831734) < 1e-15);
  CHECK(std::abs(z[1] + 0.9043863850666349) < 1e-15);
  CHECK(randint(0, 1000, {2}, &g).equal(tensor({670, 379})));
}

TEST_CASE("the same seed gives the same numbers, and the state can be restored") {
  manual_seed(7);
  const Tensor a = randn({1000}), b = rand({3, 5});
  const std::uint64_t seed = default_generator().seed();
  const std::uint64_t position = default_generator().position();
  const Tensor c = randperm(50);
  manual_seed(7);
  CHECK(randn({1000}).equal(a));
  CHECK(rand({3, 5}).equal(b));
  default_generator().set_state(seed, position);
  CHECK(randperm(50).equal(c));
  CHECK_FALSE(randperm(50).equal(c));
  manual_seed(8);
  CHECK_FALSE(randn({1000}).equal(a));
}

TEST_CASE("a generator of one's own leaves the default one alone") {
  manual_seed(1);
  const std::uint64_t before = default_generator().position();
  Generator mine(5);
  rand({10}, kFloat32, &mine);
  randn({10}, kFloat64, &mine);
  randint(0, 9, {10}, &mine);
  randperm(10, &mine);
  bernoulli(full({10}, 0.5), &mine);
  multinomial(ones({4}), 2, false, &mine);
  CHECK(default_generator().position() == before);
  CHECK(mine.position() == 3 + 5 + 5 + 5 + 3 + 2);
}

TEST_CASE("threads do not change a bit") {
  const auto draw = [](int threads) {
    const int before = num_threads();
    set_num_threads(threads);
    Generator g(11);
    const Shape big = {300'001};
    const std::vector<Tensor> drawn = {rand(big, kFloat32, &g),
                                       rand(big, kFloat64, &g),
                                       randn(big, kFloat32, &g),
                                       randn(big, kFloat64, &g),
                                       randint(-7, 1'000'000'007, big, &g),
                                       bernoulli(full(big, 0.25), &g)};
    set_num_threads(before);
    return drawn;
  };
  const auto one = draw(1), two = draw(2), five = draw(5);
  for (std::size_t i = 0; i < one.size(); ++i) {
    CHECK(one[i].equal(two[i]));
    CHECK(one[i].equal(five[i]));
  }
}

TEST_CASE("uniform numbers are in [0, 1) and spread evenly") {
  manual_seed(3);
  for (const DType dtype : {kFloat32, kFloat64}) {
    const Tensor x = rand({100'000}, dtype);
    const auto values = x.to_vector<double>();
    CHECK(*std::min_element(values.begin(), values.end()) >= 0.0);
    CHECK(*std::max_element(values.begin(), values.end()) < 1.0);
    CHECK(std::abs(mean_of(x) - 0.5) < 5 * std::sqrt(1.0 / 12 / 100'000));
    std::map<std::int64_t, int> tenths;
    for (const double value : values) ++tenths[static_cast<std::int64_t>(value * 10)];
    CHECK(tenths.size() == 10);
    CHECK(chi_square(tenths, 10'000) < 33.7);  // 9 degrees of freedom, p = 1e-4
  }
  CHECK_THROWS_AS(rand({2}, kInt64), DTypeError);
  CHECK(rand({0}).numel() == 0);
}

TEST_CASE("normal numbers have the moments of a normal") {
  manual_seed(4);
  for (const DType dtype : {kFloat32, kFloat64}) {
    const auto z = randn({200'001}, dtype).to_vector<double>();
    double sum = 0, squares = 0, fourths = 0;
    int beyond = 0;
    for (const double value : z) {
      REQUIRE(std::isfinite(value));
      sum += value;
      squares += value * value;
      fourths += value * value * value * value;
      beyond += std::abs(value) > 1.959964;
    }
    const double n = static_cast<double>(z.size());
    CHECK(std::abs(sum / n) < 5 / std::sqrt(n));
    CHECK(std::abs(squares / n - 1) < 5 * std::sqrt(2 / n));
    CHECK(std::abs(fourths / n - 3) < 5 * std::sqrt(96 / n));
    CHECK(std::abs(beyond / n - 0.05) < 5 * std::sqrt(0.05 * 0.95 / n));
  }
  // Neighbours, which come from the same pair of uniforms, are not correlated.
  const auto z = randn({100'000}).to_vector<double>();
  double product = 0;
  for (std::size_t i = 0; i < z.size(); i += 2) product += z[i] * z[i + 1];
  CHECK(std::abs(product / 50'000) < 5 / std::sqrt(50'000.0));
}

TEST_CASE("filling follows the elements, not the memory") {
  const Tensor rows = zeros({5, 7}), columns = zeros({7, 5});
  Generator g(9), h(9);
  fill_normal(rows, 2, 3, g);
  fill_normal(columns.t(), 2, 3, h);
  CHECK(columns.t().contiguous().equal(rows));
  CHECK(columns.version() == 1);
  CHECK(std::abs(mean_of(rows) - 2) < 5 * 3 / std::sqrt(35.0));

  // What a block has too many for a view is not written behind it.
  const Tensor whole = zeros({9});
  fill_uniform(whole.narrow(0, 0, 3), 1, 2, g);
  fill_normal(whole.narrow(0, 5, 1), 1, 0, g);
  CHECK(whole.narrow(0, 3, 2).equal(zeros({2})));
  CHECK(whole.narrow(0, 5, 4).equal(tensor({1.0, 0.0, 0.0, 0.0})));
  const Tensor other = zeros({9});
  fill_uniform(other.narrow(0, 0, 5), 1, 2, g);  // more than a block, less than two
  CHECK(other.narrow(0, 5, 4).equal(zeros({4})));

  const Tensor x = zeros({10'000});
  fill_uniform(x, -2, -1, g);
  const auto values = x.to_vector<double>();
  CHECK(*std::min_element(values.begin(), values.end()) >= -2);
  CHECK(*std::max_element(values.begin(), values.end()) < -1);
  // An interval of one step of float32: its end does not belong to it.
  fill_uniform(x, 1.0, std::nextafter(1.0f, 2.0f), g);
  CHECK(x.equal(ones({10'000})));
  fill_uniform(x, 3, 3, g);
  CHECK(x.equal(full({10'000}, 3.0)));
  fill_normal(x, 1, 0, g);
  CHECK(x.equal(ones({10'000})));
}

TEST_CASE("filling refuses what makes no sense and changes nothing") {
  const Tensor x = ones({3}), whole = ones({3}, kInt64);
  Generator g(1);
  CHECK_THROWS_AS(fill_uniform(x, 1, 0, g), ValueError);
  CHECK_THROWS_AS(fill_uniform(x, 0, INFINITY, g), ValueError);
  CHECK_THROWS_AS(fill_uniform(x, -3e38, 3e38, g), ValueError);
  CHECK_THROWS_AS(fill_uniform(x, NAN, 1, g), ValueError);
  CHECK(says(message_of<ValueError>([&] { fill_normal(x, 0, -1, g); }), "std -1"));
  CHECK_THROWS_AS(fill_normal(x, NAN, 1, g), ValueError);
  CHECK_THROWS_AS(fill_normal(whole, 0, 1, g), DTypeError);
  CHECK(x.equal(ones({3})));
  CHECK(x.version() == 0);
  CHECK(g.position() == 0);
}

TEST_CASE("whole numbers come from the whole range, evenly") {
  manual_seed(5);
  const auto counts = histogram(randint(-3, 4, {70'000}));
  CHECK(counts.size() == 7);
  CHECK(counts.begin()->first == -3);
  CHECK(counts.rbegin()->first == 3);
  CHECK(chi_square(counts, 10'000) < 27.9);  // 6 degrees of freedom, p = 1e-4

  const auto least = std::numeric_limits<std::int64_t>::min();
  const auto most = std::numeric_limits<std::int64_t>::max();
  // Two thirds of 2^64: cutting random bits off modulo the range would double the first half.
  const std::int64_t high = least + static_cast<std::int64_t>(0xAAAAAAAAAAAAAAAAu / 2) +
                            static_cast<std::int64_t>(0xAAAAAAAAAAAAAAAAu / 2);
  int lower_half = 0;
  for (const auto value : randint(least, high, {10'000}).to_vector<std::int64_t>()) {
    REQUIRE(value < high);
    lower_half += value < least + static_cast<std::int64_t>(0xAAAAAAAAAAAAAAAAu / 2);
  }
  CHECK(std::abs(lower_half - 5000) < 5 * 50);
  int negative = 0;
  for (const auto value : randint(least, most, {10'000}).to_vector<std::int64_t>()) {
    negative += value < 0;
  }
  CHECK(std::abs(negative - 5000) < 5 * 50);
  CHECK(randint(5, 6, {4}).equal(full({4}, 5, kInt64)));
  CHECK(says(message_of<ValueError>([] { randint(5, 5, {2}); }), "low 5"));
}

TEST_CASE("single draws") {
  Generator g(17);
  std::map<std::int64_t, int> counts;
  for (int i = 0; i < 6000; ++i) ++counts[g.next_below(6)];
  CHECK(counts.size() == 6);
  CHECK(counts.rbegin()->first == 5);
  CHECK(chi_square(counts, 1000) < 25.7);  // 5 degrees of freedom, p = 1e-4
  for (int i = 0; i < 100; ++i) {
    const double u = g.next_uniform();
    REQUIRE((u >= 0 && u < 1));
  }
  CHECK(g.next_u64() != g.next_u64());
  CHECK(g.next_below(1) == 0);
  CHECK_THROWS_AS(g.next_below(0), ValueError);
}

TEST_CASE("permutations hold every number once, and each order comes alike") {
  manual_seed(6);
  auto values = randperm(1000).to_vector<std::int64_t>();
  CHECK_FALSE(std::is_sorted(values.begin(), values.end()));
  std::sort(values.begin(), values.end());
  for (std::size_t i = 0; i < values.size(); ++i)
    REQUIRE(values[i] == static_cast<std::int64_t>(i));
  std::map<std::int64_t, int> orders;
  for (int i = 0; i < 24'000; ++i) {
    const auto p = randperm(4).to_vector<std::int64_t>();
    ++orders[p[0] * 64 + p[1] * 16 + p[2] * 4 + p[3]];
  }
  CHECK(orders.size() == 24);
  CHECK(chi_square(orders, 1000) < 58.6);  // 23 degrees of freedom, p = 1e-4
  CHECK(randperm(0).numel() == 0);
  CHECK(randperm(1).equal(tensor({0})));
  CHECK_THROWS_AS(randperm(-1), ValueError);
}

TEST_CASE("bernoulli") {
  manual_seed(8);
  for (const DType dtype : {kFloat32, kFloat64}) {
    CHECK(bernoulli(zeros({10'000}, dtype)).equal(zeros({10'000}, dtype)));
    CHECK(bernoulli(ones({10'000}, dtype)).equal(ones({10'000}, dtype)));
    const double share = mean_of(bernoulli(full({100'000}, 0.3, dtype)));
    CHECK(std::abs(share - 0.3) < 5 * std::sqrt(0.21 / 100'000));
  }
  const Tensor p = tensor({{0.0, 1.0}, {1.0, 0.0}, {0.0, 0.0}});
  CHECK(bernoulli(p.t()).equal(p.t().contiguous()));
  CHECK(says(message_of<ValueError>([] { bernoulli(tensor({0.5, 1.5})); }), "1.5 at position 1"));
  CHECK_THROWS_AS(bernoulli(tensor({-0.1})), ValueError);
  CHECK_THROWS_AS(bernoulli(tensor({double{NAN}})), ValueError);
  CHECK_THROWS_AS(bernoulli(tensor({1, 0})), DTypeError);
}

TEST_CASE("multinomial with replacement follows the weights") {
  manual_seed(9);
  const auto counts = histogram(multinomial(tensor({0.0, 1.0, 0.0, 3.0, 0.0}), 40'000, true));
  CHECK(counts.size() == 2);
  CHECK(std::abs(counts.at(1) - 10'000) < 5 * std::sqrt(40'000 * 0.25 * 0.75));
  CHECK(multinomial(tensor({0.0, 0.0, 1e-300}, kFloat64), 100, true).equal(full({100}, 2, kInt64)));
  const Tensor huge = multinomial(full({4}, 1e308, kFloat64), 4000, true);
  CHECK(histogram(huge).size() == 4);
  const Tensor rows = multinomial(tensor({{1.0, 0.0}, {0.0, 1.0}, {1.0, 0.0}}), 2, true);
  CHECK(rows.equal(tensor({{0, 0}, {1, 1}, {0, 0}})));
  CHECK(multinomial(zeros({0, 3}), 2, true).sizes() == Shape{0, 2});
}

TEST_CASE("multinomial without replacement draws one after the other") {
  manual_seed(10);
  // P(first = i) = w_i; P(0, 1) = 1/6 · (2/6) / (5/6) and so on.
  const double w[] = {1.0 / 6, 2.0 / 6, 3.0 / 6};
  std::map<std::int64_t, int> pairs;
  const int n = 20'000;
  const Tensor weights = tensor({1.0, 2.0, 3.0});
  for (int i = 0; i < n; ++i) {
    const auto drawn = multinomial(weights, 2).to_vector<std::int64_t>();
    ++pairs[drawn[0] * 3 + drawn[1]];
  }
  CHECK(pairs.size() == 6);
  for (const auto& [pair, count] : pairs) {
    const std::int64_t first = pair / 3, second = pair % 3;
    const double p = w[first] * w[second] / (1 - w[first]);
    CHECK(std::abs(count - n * p) < 5 * std::sqrt(n * p * (1 - p)));
  }
  auto all = multinomial(full({50}, 1e-310, kFloat64), 50).to_vector<std::int64_t>();
  std::sort(all.begin(), all.end());
  for (std::size_t i = 0; i < 50; ++i) CHECK(all[i] == static_cast<std::int64_t>(i));
  // Weights far apart: the small one is still drawn, the 0 never.
  auto far = multinomial(tensor({1e-300, 1e300, 0.0}, kFloat64), 2).to_vector<std::int64_t>();
  CHECK(far == std::vector<std::int64_t>{1, 0});
}

TEST_CASE("multinomial refuses weights that are none") {
  const auto refused = [](const Tensor& weights, std::int64_t samples, bool replacement = false) {
    return message_of<Error>([&] { multinomial(weights, samples, replacement); });
  };
  CHECK(says(refused(tensor({1.0, -1.0}), 1), "weight -1 at row 0, column 1"));
  CHECK(says(refused(tensor({{1.0, 1.0}, {1.0, double{NAN}}}), 1), "row 1, column 1"));
  CHECK(says(refused(tensor({double{INFINITY}}), 1), "inf"));
  CHECK(says(refused(zeros({3}), 1), "sum to 0"));
  CHECK(says(refused(tensor({1.0, 0.0}), 2), "1 weights above 0"));
  CHECK(says(refused(ones({3}), 4), "4 samples without replacement"));
  CHECK(says(refused(ones({3}), 0), "0 samples"));
  CHECK(says(refused(ones({2, 2, 2}), 1), "[2, 2, 2]"));
  CHECK(says(refused(ones({}), 1), "[]"));
  CHECK(says(refused(ones({0}), 1, true), "[0]"));
  CHECK(says(refused(ones({3}, kInt64), 1), "int64"));
  manual_seed(1);
  refused(zeros({3}), 1);
  CHECK(default_generator().position() == 0);
}
