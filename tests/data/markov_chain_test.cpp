#include <doctest/doctest.h>

#include <cmath>
#include <set>

#include <retrace/autograd/autograd.h>
#include <retrace/data/tasks/markov_chain.h>
#include <retrace/losses/language.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/data/near.h>

using namespace retrace;
using namespace retrace::data;

namespace {

using Tokens = std::vector<std::int64_t>;

// Calls f(tokens, probability) for every row that a chain can give.
template <class F>
void for_each_row(const MarkovChain& chain, std::size_t length, F&& f) {
  const auto p = chain.transitions().to_vector<double>();
  const auto pi = chain.stationary().to_vector<double>();
  const auto states = static_cast<std::int64_t>(pi.size());
  Tokens row(length, 0);
  while (true) {
    double probability = pi[static_cast<std::size_t>(row[0])];
    for (std::size_t t = 1; t < length; ++t)
      probability *= p[static_cast<std::size_t>(row[t - 1] * states + row[t])];
    f(row, probability);
    std::size_t t = 0;
    for (; t < length && ++row[t] == states; ++t) row[t] = 0;
    if (t == length) return;
  }
}

// ln of the probability of `target` at `place`, given what is shown, over all rows; chosen is that
// place alone as far as the reader knows.
double brute_force(const MarkovChain& chain, const Tokens& shown, std::size_t place,
                   std::int64_t target, const Corruption& how) {
  const std::int64_t states = chain.options().states;
  const double any = how.p_random / static_cast<double>(states);
  double sum = 0, wanted = 0;
  for_each_row(chain, shown.size(), [&](const Tokens& row, double p) {
    for (std::size_t t = 0; t < row.size(); ++t) {
      const bool right = shown[t] == row[t], masked = shown[t] == states;
      const double chosen = masked ? how.p_mask : any + (right ? 1 - how.p_mask - how.p_random : 0);
      const double q = how.mask_prob;
      p *= t == place ? chosen : q * chosen + (right ? 1 - q : 0);
    }
    sum += p;
    if (row[place] == target) wanted += p;
  });
  return std::log(wanted / sum);
}

// The mean of batches that are alike against what it should be.
template <class F>
void check_mean(double expected, F&& batch) {
  constexpr std::int64_t kBatches = 100;
  double sum = 0, squares = 0;
  for (std::int64_t i = 0; i < kBatches; ++i) {
    const double value = batch();
    sum += value;
    squares += value * value;
  }
  const double mean = sum / kBatches;
  CHECK(near(mean, expected, std::sqrt(squares / kBatches - mean * mean), kBatches));
}

}  // namespace

TEST_CASE("markov chain: what is known exactly") {
  const MarkovChain chain;
  CHECK(chain.mask_id() == 8);
  CHECK(chain.vocab_size() == 9);
  CHECK(matches(chain.entropy(1), 1.434275046, 9));
  CHECK(matches(chain.entropy(2), 1.912565284, 9));
  CHECK(matches(chain.entropy(3), 1.995032764, 9));
  CHECK(matches(chain.entropy(4), 2.006306951, 9));
  CHECK(matches(chain.stationary_entropy(), 2.008523676, 9));
  CHECK(chain.entropy(100) == doctest::Approx(chain.stationary_entropy()).epsilon(1e-12));
  CHECK(matches(chain.isolated_floor(), 0.955984809, 9));
  CHECK(matches(chain.random_floor(32, 0.15), 1.107133552, 9));
  // Edges cost the same in all for every length: without them, a row without end.
  const double endless = 2 * chain.random_floor(128, 0.15) - chain.random_floor(64, 0.15);
  CHECK(matches(endless, 1.079668621, 9));
  // A chain without memory.
  const MarkovChain flat({.states = 4, .contrast = 0});
  CHECK(flat.isolated_floor() == doctest::Approx(std::log(4.0)).epsilon(1e-12));
  CHECK(flat.random_floor(5, 0.5) == doctest::Approx(std::log(4.0)).epsilon(1e-12));
}

TEST_CASE("markov chain: rows follow the transitions from the start") {
  const MarkovChain chain;
  const Tensor p = chain.transitions(), pi = chain.stationary();
  CHECK(allclose(p.sum(1), ones({8}, kFloat64), 0, 1e-14));
  CHECK(allclose(pi.unsqueeze(0).matmul(p)[0], pi, 0, 1e-14));
  const double first = std::exp(2.5 * std::cos(1.3)), other = std::exp(2.5 * std::cos(1.3 + 2.8));
  CHECK(p[1][0].item<double>() / p[1][1].item<double>() ==
        doctest::Approx(first / other).epsilon(1e-12));

  Generator generator(6);
  constexpr std::int64_t kRows = 20'000;
  const Tokens tokens = chain.sample(kRows, 3, generator).to_vector<std::int64_t>();
  std::vector<double> starts(8), ends(8), pairs(64);
  for (std::size_t i = 0; i < tokens.size(); i += 3) {
    starts[static_cast<std::size_t>(tokens[i])] += 1.0 / kRows;
    ends[static_cast<std::size_t>(tokens[i + 2])] += 1.0 / kRows;
    pairs[static_cast<std::size_t>(8 * tokens[i] + tokens[i + 1])] += 1.0 / kRows;
  }
  double chi_squared = 0;  // of pairs: some are too rare for a normal distribution each
  for (std::int64_t i = 0; i < 8; ++i) {
    const double share = pi[i].item<double>();
    CHECK(near_share(starts[static_cast<std::size_t>(i)], share, kRows));
    CHECK(near_share(ends[static_cast<std::size_t>(i)], share, kRows));
    for (std::int64_t j = 0; j < 8; ++j) {
      const double expected = share * p[i][j].item<double>();
      const double error = pairs[static_cast<std::size_t>(8 * i + j)] - expected;
      chi_squared += kRows * error * error / expected;
    }
  }
  CHECK(std::abs(chi_squared - 63) < 4 * std::sqrt(2.0 * 63));
}

TEST_CASE("markov chain: every fourth token is hidden, never the first or last") {
  const MarkovChain chain;
  Generator generator(3);
  const Tensor tokens = chain.sample(200, 32, generator);
  const TensorDataset rows = chain.mask_every(tokens, 4, generator);
  const auto p = chain.transitions();
  const Tensor p2 = p.matmul(p);
  std::set<std::int64_t> offsets;
  double sum = 0, count = 0;
  for (std::int64_t row = 0; row < 200; ++row) {
    const auto truth = tokens[row].to_vector<std::int64_t>();
    const auto input = rows.inputs[row].to_vector<std::int64_t>();
    const auto target = rows.targets[row].to_vector<std::int64_t>();
    std::int64_t offset = 1;
    while (input[static_cast<std::size_t>(offset)] != 8) ++offset;
    CHECK(offset <= 4);
    offsets.insert(offset);
    for (std::int64_t t = 0; t < 32; ++t) {
      const auto i = static_cast<std::size_t>(t);
      const bool hidden = t > 0 && t < 31 && t % 4 == offset % 4;
      CHECK(input[i] == (hidden ? 8 : truth[i]));
      CHECK(target[i] == (hidden ? truth[i] : -100));
      if (!hidden) continue;
      const std::int64_t a = truth[i - 1], x = truth[i], c = truth[i + 1];
      sum -= std::log(p[a][x].item<double>() * p[x][c].item<double>() / p2[a][c].item<double>());
      ++count;
    }
  }
  CHECK(offsets == std::set<std::int64_t>{1, 2, 3, 4});
  CHECK(chain.oracle_loss(rows) == doctest::Approx(sum / count).epsilon(1e-10));
  check_mean(chain.isolated_floor(), [&] {
    return chain.oracle_loss(chain.mask_every(chain.sample(100, 32, generator), 4, generator));
  });
}

TEST_CASE("markov chain: the oracle is what all rows say that could be hidden") {
  const MarkovChain chain({.states = 3});
  for (const Corruption how : {Corruption{0.4}, Corruption{0.3, 0.8, 0.1},
                               Corruption{0.5, 0.2, 0.5}, Corruption{0.5, 0, 1}}) {
    CAPTURE(how.p_mask);
    Generator generator(11);
    const Tensor tokens = chain.sample(60, 5, generator);
    const losses::MlmBatch batch = losses::mlm_corrupt(tokens, zeros({60, 5}, kBool),
                                                       {.mask_id = 3,
                                                        .vocab_size = 3,
                                                        .mask_prob = how.mask_prob,
                                                        .p_mask = how.p_mask,
                                                        .p_random = how.p_random,
                                                        .generator = &generator});
    double sum = 0, count = 0;
    for (std::int64_t row = 0; row < 60; ++row) {
      const Tokens input = batch.ids[row].to_vector<std::int64_t>();
      const Tokens target = batch.labels[row].to_vector<std::int64_t>();
      for (std::size_t t = 0; t < 5; ++t) {
        if (target[t] == -100) continue;
        sum -= brute_force(chain, input, t, target[t], how);
        ++count;
      }
    }
    CHECK(chain.oracle_loss({batch.ids, batch.labels}, how) ==
          doctest::Approx(sum / count).epsilon(1e-10));
  }
}

TEST_CASE("markov chain: the floor of random masks") {
  const MarkovChain small({.states = 3});
  constexpr std::size_t kLength = 4;
  const double q = 0.3;
  // Over all rows and all choices of masks, each place being masked.
  double sum = 0;
  for (std::size_t place = 0; place < kLength; ++place) {
    for (unsigned masks = 0; masks < 1u << kLength; ++masks) {
      if ((masks >> place & 1) == 0) continue;
      double chance = 1;
      for (std::size_t t = 0; t < kLength; ++t)
        if (t != place) chance *= (masks >> t & 1) != 0 ? q : 1 - q;
      for_each_row(small, kLength, [&](const Tokens& row, double p) {
        Tokens shown = row;
        for (std::size_t t = 0; t < kLength; ++t)
          if ((masks >> t & 1) != 0) shown[t] = 3;
        sum -= chance * p * brute_force(small, shown, place, row[place], {});
      });
    }
  }
  CHECK(small.random_floor(kLength, q) == doctest::Approx(sum / kLength).epsilon(1e-10));

  const MarkovChain chain;
  Generator generator(4);
  check_mean(chain.random_floor(32, 0.15), [&] {
    const losses::MlmBatch batch =
        losses::mlm_corrupt(chain.sample(100, 32, generator), zeros({100, 32}, kBool),
                            {.mask_id = 8, .p_mask = 1, .p_random = 0, .generator = &generator});
    return chain.oracle_loss({batch.ids, batch.labels});
  });
}

TEST_CASE("markov chain: what makes no sense is refused") {
  const double nan = std::nan("");
  CHECK_THROWS_AS(MarkovChain({.states = 1}), ValueError);
  for (const double contrast : {-1.0, 21.0, nan})
    CHECK_THROWS_AS(MarkovChain({.contrast = contrast}), ValueError);
  const MarkovChain chain;
  CHECK_THROWS_AS(chain.entropy(0), ValueError);
  CHECK_THROWS_AS(chain.random_floor(0, 0.1), ValueError);
  for (const double q : {0.0, 1.0, nan}) CHECK_THROWS_AS(chain.random_floor(4, q), ValueError);
  CHECK_THROWS_AS(chain.mask_every(zeros({4}, kInt64)), ShapeError);
  CHECK_THROWS_AS(chain.mask_every(zeros({4, 5}, kInt64)), ValueError);
  CHECK_THROWS_AS(chain.mask_every(zeros({4, 8}, kInt64), 1), ValueError);

  const Tensor row = tensor({{1, 8, 2}}), none = full({1, 3}, -100, kInt64);
  const Tensor target = tensor({{-100, 3, -100}});
  CHECK(chain.oracle_loss({row, target}) > 0);
  CHECK_THROWS_AS(chain.oracle_loss({row, none}), ValueError);
  CHECK_THROWS_AS(chain.oracle_loss({row, zeros({1, 2}, kInt64)}), ShapeError);
  CHECK_THROWS_AS(chain.oracle_loss({zeros({3}, kInt64), zeros({3}, kInt64)}), ShapeError);
  CHECK_THROWS_AS(chain.oracle_loss({tensor({{1, 9, 2}}), target}), IndexError);
  CHECK_THROWS_AS(chain.oracle_loss({row, tensor({{-100, 8, -100}})}), IndexError);
  // A token that is shown and asked for, where all that are asked for are masked.
  CHECK_THROWS_AS(chain.oracle_loss({row, tensor({{3, -100, -100}})}), ValueError);
  for (const Corruption how : {Corruption{0}, Corruption{1}, Corruption{0.1, 0.8, 0.3},
                               Corruption{0.1, -0.1, 0}, Corruption{0.1, nan, 0}})
    CHECK_THROWS_AS(chain.oracle_loss({row, target}, how), ValueError);
}
