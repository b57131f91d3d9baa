#include <doctest/doctest.h>

#include <cmath>

#include <retrace/autograd/autograd.h>
#include <retrace/data/tasks/rewarded_responses.h>
#include <retrace/losses/preference.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/data/near.h>

using namespace retrace;
using namespace retrace::data;

TEST_CASE("rewarded responses: the tables follow their formulas") {
  const RewardedResponses task;
  CHECK(task.vocab_size() == 4);
  CHECK(task.responses().size() == 256);
  CHECK(task.responses().tokens.sizes() == Shape{256, 4});
  CHECK(task.responses().tokens[2 * 64 + 27].to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{2, 1, 2, 3});
  CHECK(task.responses().mask[70].to_vector<bool>() == std::vector<bool>{false, true, true, true});
  CHECK(task.responses().last().to_vector<std::int64_t>() == std::vector<std::int64_t>(256, 3));
  CHECK(task.numbers(task.responses().tokens).equal(arange(256)));
  CHECK_THROWS_AS(task.numbers(tensor({{0, 1, 2, 4}})), IndexError);
  CHECK_THROWS_AS(task.numbers(tensor({{0, 1, 2}})), ShapeError);
  CHECK(matches(task.rewards()[0][0].item<double>(), 1.432745403, 9));
  const Tensor share = task.demonstration_logps().exp();
  for (int x = 0; x < 4; ++x) {
    CHECK(share[x].sum().item<double>() == doctest::Approx(1).epsilon(1e-14));
    CHECK(std::abs((share[x] * task.rewards()[x]).sum().item<double>()) < 1e-14);
    CHECK((share[x] * task.rewards()[x].square()).sum().item<double>() ==
          doctest::Approx(1).epsilon(1e-13));
  }
  const double entropy = -(share * task.demonstration_logps()).sum(1).mean().item<double>();
  CHECK(matches(entropy, 3.730463, 6));
}

TEST_CASE("preferences of a table: the best possible results are those known") {
  const RewardedResponses task;
  const TablePreferences pairs(task.demonstration_logps(), task.rewards());
  CHECK(pairs.distribution().sum().item<double>() == doctest::Approx(1).epsilon(1e-13));
  CHECK(matches(pairs.floor(), 0.533026920, 9));
  CHECK(matches(pairs.accuracy_ceiling(), 0.729320068, 9));
  // A share of labels is wrong: the noise is that of a mixture.
  const TablePreferences flipped(task.demonstration_logps(), task.rewards(), 0.1);
  CHECK(flipped.floor() > pairs.floor());
  CHECK(flipped.accuracy_ceiling() ==
        doctest::Approx(0.9 * pairs.accuracy_ceiling() + 0.1 * (1 - pairs.accuracy_ceiling()))
            .epsilon(1e-12));
}

TEST_CASE("preferences of a table: pairs are drawn as the distribution says") {
  const RewardedResponses task({.prompts = 2, .symbols = 2, .length = 2});
  const TablePreferences preferences(task.demonstration_logps(), task.rewards(), 0.2);
  Generator generator(3);
  constexpr std::int64_t kPairs = 40'000;
  const auto pairs = preferences.sample(kPairs, generator).to_vector<std::int64_t>();
  std::vector<double> counts(2 * 4 * 4, 0);
  bool one_prompt = true;
  for (std::size_t i = 0; i < pairs.size(); i += 2) {
    one_prompt = one_prompt && pairs[i] / 4 == pairs[i + 1] / 4;
    counts[static_cast<std::size_t>(pairs[i] * 4 + pairs[i + 1] % 4)] += 1;
  }
  CHECK(one_prompt);
  const auto expected = preferences.distribution().to_vector<double>();
  for (std::size_t i = 0; i < counts.size(); ++i)
    CHECK(
        (expected[i] == 0 ? counts[i] == 0 : near_share(counts[i] / kPairs, expected[i], kPairs)));
}

TEST_CASE("rewarded responses are drawn from a policy") {
  const RewardedResponses task({.prompts = 2, .symbols = 3, .length = 1});
  constexpr std::int64_t kDraws = 30'000;
  Generator generator(4);
  const auto numbers =
      task.sample(kDraws, task.demonstration_logps(), generator).to_vector<std::int64_t>();
  std::vector<double> counts(6, 0);
  for (const std::int64_t number : numbers) counts[static_cast<std::size_t>(number)] += 1;
  const auto share = task.demonstration_logps().exp().to_vector<double>();
  for (std::size_t i = 0; i < counts.size(); ++i)
    CHECK(near_share(counts[i] / kDraws, share[i] / 2, kDraws));
}

TEST_CASE("tables that make no sense are refused") {
  const RewardedResponses task;
  CHECK_THROWS_AS(RewardedResponses({.prompts = 0}), ValueError);
  CHECK_THROWS_AS(RewardedResponses({.symbols = 1}), ValueError);
  CHECK_THROWS_AS(RewardedResponses({.prompts = 5}), ValueError);
  CHECK_THROWS_AS(RewardedResponses({.symbols = 10, .length = 9}), ValueError);
  CHECK_THROWS_AS(task.sample(1, task.rewards().to(kFloat32)), DTypeError);
  CHECK_THROWS_AS(task.sample(1, zeros({2, 2}, kFloat64)), ShapeError);
  Tensor rewards = task.rewards().clone();
  rewards[0][0].fill_(NAN);
  CHECK_THROWS_AS(TablePreferences(task.demonstration_logps(), rewards), ValueError);
  CHECK_THROWS_AS(TablePreferences(task.demonstration_logps(), task.rewards(), 1.5), ValueError);
  const Tensor certain = full({1, 2}, -INFINITY, kFloat64);
  certain[0][0].fill_(0.0);
  CHECK_THROWS_AS(TablePreferences(certain, zeros({1, 2}, kFloat64)), ValueError);
}

TEST_CASE("preferences become responses of tokens and pairs of them") {
  const Tokenizer bytes = Tokenizer::bytes();
  const std::vector<Preference> preferences = {
      {"ab", "cde", "f", 0.5}, {"long prompt", "no", "yes", 0}, {"x", "y", "zz", 0}};
  const PreferencePairs all = encode_preferences(bytes, preferences, 7, 6);
  CHECK(all.left_out == 1);
  CHECK(all.responses.tokens.sizes() == Shape{4, 6});
  CHECK(all.responses.tokens[0].to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{'a', 'b', 'c', 'd', 'e', 7});
  CHECK(all.responses.mask[1].to_vector<bool>() ==
        std::vector<bool>{false, false, true, true, false, false});
  CHECK(all.responses.last().to_vector<std::int64_t>() == std::vector<std::int64_t>{5, 3, 2, 3});
  CHECK(all.responses.prompt(2) == std::vector<std::int64_t>{'x'});
  CHECK_THROWS_AS(all.responses.prompt(4), IndexError);
  CHECK(all.pairs.inputs.to_vector<std::int64_t>() == std::vector<std::int64_t>{0, 1, 2, 3});
  CHECK(all.pairs.targets.to_vector<float>() == std::vector<float>{0.5F, 0});
  const Responses taken = all.responses.take(all.pairs.inputs[1]);
  CHECK(taken.tokens.sizes() == Shape{2, 4});  // the padding behind both is gone
  CHECK(taken.tokens[0][0].item<std::int64_t>() == 'x');
  CHECK_THROWS_AS(encode_preferences(bytes, preferences, {}, 2), ValueError);
  CHECK_THROWS_AS(encode_preferences(bytes, {{"a", "b", "b", 0}}, {}, 9), ValueError);
}
