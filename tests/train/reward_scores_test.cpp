#include <doctest/doctest.h>

#include <cmath>

#include <retrace/autograd/autograd.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/files.h>
#include <retrace/train/preferences.h>
#include <retrace/train/reward_scores.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;
using retrace::testing::TemporaryFolder;

namespace {

double softplus(double x) { return std::log1p(std::exp(x)); }

}  // namespace

TEST_CASE("pairs are judged by the loss, the order and the margin of their scores") {
  const Tensor chosen = tensor({1.0, 0.0, 2.0, 3.0}), rejected = tensor({0.0, 0.0, 4.0, 0.0});
  const train::Metrics alike = train::pair_metrics(chosen, rejected);
  CHECK(alike[0].first == "test_loss");
  CHECK(alike[0].second ==
        doctest::Approx((softplus(-1) + softplus(0) + softplus(2) + softplus(-3)) / 4));
  CHECK(alike[1] == std::pair<std::string, double>("pair_accuracy", 0.5));  // a tie is not right
  CHECK(alike[2] == std::pair<std::string, double>("reward_margin", 0.5));

  const Tensor shares = tensor({0.5, 0.25, 0.25, 0.0}, kFloat64);
  const train::Metrics weighed = train::pair_metrics(chosen, rejected, shares);
  CHECK(weighed[0].second ==
        doctest::Approx(0.5 * softplus(-1) + 0.25 * softplus(0) + 0.25 * softplus(2)));
  CHECK(weighed[1].second == 0.5);
  CHECK(weighed[2].second == 0);
  CHECK(train::pair_metrics(chosen.view({2, 2}), rejected.view({2, 2}), shares.view({2, 2})) ==
        weighed);
  CHECK_THROWS_AS(train::pair_metrics(chosen, zeros({3})), ShapeError);
  CHECK(says(message_of<ShapeError>([&] { train::pair_metrics(chosen, rejected, zeros({3})); }),
             "pair_metrics: shares are [3], scores [4]"));
}

TEST_CASE("learned rewards are compared without the mean of each prompt") {
  const Tensor truth = tensor({{-1.0, 0.0, 1.0}, {0.0, 0.0, 3.0}}, kFloat64);
  // Of the first prompt twice as far apart, of the second moved and else right.
  const Tensor learned = tensor({{3.0, 5.0, 7.0}, {-1.0, -1.0, 2.0}}, kFloat64);
  const train::RewardScores scores(learned, truth);
  REQUIRE(scores.prompts().size() == 2);
  const auto& [first, second] = std::tie(scores.prompts()[0], scores.prompts()[1]);
  CHECK(first.mean == doctest::Approx(5));
  CHECK(first.correlation == doctest::Approx(1));
  CHECK(first.rms_error == doctest::Approx(std::sqrt(2.0 / 3)));
  CHECK(first.deviation == doctest::Approx(std::sqrt(2.0 / 3)));
  CHECK(second.mean == doctest::Approx(0).epsilon(1e-12));
  CHECK(second.rms_error == doctest::Approx(0).epsilon(1e-12));
  CHECK(second.deviation == doctest::Approx(std::sqrt(2.0)));

  // What is never given does not count.
  const train::RewardScores seldom(tensor({{1.0, -1.0, 9.0}}), tensor({{0.0, 4.0, 0.0}}),
                                   tensor({{0.25, 0.75, 0.0}}));
  CHECK(seldom.prompts()[0].mean == doctest::Approx(-0.5));
  CHECK(seldom.prompts()[0].correlation == doctest::Approx(-1));
  CHECK(seldom.prompts()[0].deviation == doctest::Approx(4 * std::sqrt(3.0 / 16)));
  CHECK(std::isnan(
      train::RewardScores(zeros({1, 3}), truth.narrow(0, 0, 1)).prompts()[0].correlation));
}

TEST_CASE("learned rewards have a table and a picture") {
  const Tensor truth = tensor({{-1.0, 0.0, 1.0}, {0.0, 0.0, 3.0}});
  const train::RewardScores scores(truth * 2, truth);
  const train::Table table = scores.table({"a", "b"});
  CHECK(table.rows[0] == std::vector<std::string>{"a", "0.000", "1.000", "0.816", "0.816"});
  const std::string text = scores.figure({"a", "b"}).text();
  CHECK(says(text, "a a, b b"));
  CHECK(says(scores.figure({"a", "b"}, 2).svg(), "<circle"));
  CHECK_THROWS_AS(scores.table({"a"}), ValueError);
  CHECK_THROWS_AS(scores.figure({"a", "b", "c"}), ValueError);
  CHECK_THROWS_AS(train::RewardScores(zeros({2, 3}), zeros({3, 2})), ShapeError);
  CHECK_THROWS_AS(train::RewardScores(zeros({3}), zeros({3})), ShapeError);
  CHECK_THROWS_AS(train::RewardScores(zeros({2, 3}), zeros({2, 3}), zeros({2})), ShapeError);
  CHECK_THROWS_AS(train::RewardScores(zeros({2, 0}), zeros({2, 0})), ValueError);
}

TEST_CASE("preferences of a file end with the token that the tokenizer has for that") {
  const TemporaryFolder folder;
  const std::string path =
      folder.put("pairs.jsonl",
                 "{\"prompt\": \"ab\", \"chosen\": \"c\", \"rejected\": \"de\", \"margin\": 0.5}\n"
                 "{\"prompt\": \"abcdef\", \"chosen\": \"c\", \"rejected\": \"de\"}\n"
                 "{\"prompt\": \"x\", \"chosen\": \"y\", \"rejected\": \"z\"}\n");
  data::Tokenizer bytes = data::Tokenizer::bytes();
  const data::PreferencePairs plain = train::load_preferences(path, bytes, 8);
  CHECK(plain.responses.tokens[0].to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{'a', 'b', 'c', 0, 0, 0, 0, 0});
  CHECK(plain.pairs.size() == 3);
  CHECK(plain.pairs.targets.to_vector<double>() == std::vector<double>{0.5, 0, 0});
  const std::int64_t end = bytes.add_special("<|endoftext|>");
  const data::PreferencePairs ended = train::load_preferences(path, bytes, 8);
  CHECK(ended.left_out == 1);
  CHECK(ended.responses.tokens[0].to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{'a', 'b', 'c', end, 0});
  const std::string none = message_of<IoError>([&] { train::load_preferences(path, bytes, 4); });
  CHECK(says(none, path));
  CHECK(says(none, "two are needed"));
  CHECK(says(message_of<IoError>([&] { train::load_preferences(path, bytes, 2); }),
             "none fits into the 2 tokens"));
  CHECK(says(message_of<IoError>(
                 [&] { train::load_preferences(path, data::Tokenizer::characters("abc"), 9); }),
             path));
}
