#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include <retrace/autograd/autograd.h>
#include <retrace/data/tasks/agreement_grammar.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/data/near.h>

using namespace retrace;
using namespace retrace::data;

namespace {

using Words = std::vector<std::int64_t>;

// All sentences of a small grammar, with the sum over their derivations.
std::map<Words, double> all_sentences(const Grammar& grammar) {
  std::map<Words, double> sentences;
  const std::function<void(double, Words, std::vector<std::string>)> write =
      [&](double p, const Words& written, const std::vector<std::string>& rest) {
        if (rest.empty()) {
          sentences[written] += p;
          return;
        }
        bool is_word = true;
        for (const GrammarRule& rule : grammar.rules()) {
          if (rule.left != rest[0]) continue;
          is_word = false;
          std::vector<std::string> next = rule.right;
          next.insert(next.end(), rest.begin() + 1, rest.end());
          write(p * rule.probability, written, next);
        }
        if (!is_word) return;
        Words longer = written;
        const auto& words = grammar.words();
        longer.push_back(std::find(words.begin(), words.end(), rest[0]) - words.begin());
        write(p, longer, {rest.begin() + 1, rest.end()});
      };
  write(1, {}, {grammar.rules()[0].left});
  return sentences;
}

double ngram_loss(const std::map<Words, double>& sentences, std::int64_t order, std::int64_t end) {
  std::map<Words, double> counts, contexts;
  double tokens = 0, sum = 0;
  for (const auto& [words, p] : sentences) {
    Words text(static_cast<std::size_t>(order - 1), -1);
    text.insert(text.end(), words.begin(), words.end());
    text.push_back(end);
    for (auto at = text.begin(); text.end() - at >= order; ++at) {
      counts[Words(at, at + order)] += p;
      contexts[Words(at, at + order - 1)] += p;
      tokens += p;
    }
  }
  for (const auto& [ngram, count] : counts)
    sum -= count * std::log(count / contexts[Words(ngram.begin(), ngram.end() - 1)]);
  return sum / tokens;
}

// Phrases of one to seven words, of which some words stand in several.
const std::vector<GrammarRule> kSmall = {
    {0.6, "S", {"A", "B", "A"}}, {0.3, "S", {"c", "B"}}, {0.1, "S", {"A"}},
    {0.5, "B", {"A", "b"}},      {0.2, "B", {"b"}},      {0.3, "B", {"A", "a", "A", "b"}},
    {0.7, "A", {"a"}},           {0.3, "A", {"d", "d"}},
};

Words row_of(const Tensor& tokens, std::int64_t row) {
  return tokens[row].to_vector<std::int64_t>();
}

}  // namespace

TEST_CASE("grammar: averages are those over all sentences") {
  const Grammar grammar(kSmall);
  const std::map<Words, double> sentences = all_sentences(grammar);
  double entropy = 0, length = 0, total = 0;
  std::int64_t longest = 0;
  for (const auto& [words, p] : sentences) {
    entropy -= p * std::log(p);
    length += p * static_cast<double>(words.size());
    longest = std::max(longest, std::ssize(words));
    total += grammar.probability(words);
    CHECK(grammar.probability(words) == doctest::Approx(p).epsilon(1e-12));
  }
  CHECK(total == doctest::Approx(1).epsilon(1e-12));
  CHECK(grammar.entropy() == doctest::Approx(entropy).epsilon(1e-12));
  CHECK(grammar.mean_length() == doctest::Approx(length).epsilon(1e-12));
  CHECK(grammar.longest() == longest);
  CHECK(grammar.entropy_per_token() == doctest::Approx(entropy / (length + 1)).epsilon(1e-12));
  const std::int64_t end = std::ssize(grammar.words());
  for (std::int64_t order = 1; order <= 12; ++order) {
    CAPTURE(order);
    CHECK(grammar.ngram_loss(order) ==
          doctest::Approx(ngram_loss(sentences, order, end)).epsilon(1e-12));
  }
  // Who sees the whole sentence loses its entropy.
  CHECK(grammar.ngram_loss(longest + 1) ==
        doctest::Approx(grammar.entropy_per_token()).epsilon(1e-12));
}

TEST_CASE("grammar: what follows is what follows in all sentences that begin so") {
  const Grammar grammar(kSmall);
  const std::map<Words, double> sentences = all_sentences(grammar);
  for (const auto& [words, unused] : sentences) {
    for (std::size_t length = 0; length <= words.size(); ++length) {
      const Words prefix(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(length));
      std::vector<double> follows(grammar.words().size() + 1);
      for (const auto& [other, p] : sentences) {
        if (other.size() < length || !std::equal(prefix.begin(), prefix.end(), other.begin()))
          continue;
        follows[other.size() == length ? follows.size() - 1
                                       : static_cast<std::size_t>(other[length])] += p;
      }
      const double sum = std::accumulate(follows.begin(), follows.end(), 0.0);
      CHECK(grammar.prefix_probability(prefix) == doctest::Approx(sum).epsilon(1e-12));
      const std::vector<double> next = grammar.next_word(prefix);
      for (std::size_t i = 0; i < follows.size(); ++i)
        CHECK(std::abs(next[i] - follows[i] / sum) < 1e-12);
    }
  }
  CHECK(grammar.probability(Words{}) == 0);
  CHECK(grammar.probability(Words{0, 99}) == 0);
  CHECK(grammar.prefix_probability(Words{}) == doctest::Approx(1).epsilon(1e-12));
  CHECK_THROWS_AS(grammar.next_word(Words{99}), ValueError);
}

TEST_CASE("grammar: all derivations of a sentence count") {
  const Grammar grammar({{0.5, "S", {"A", "A"}},
                         {0.5, "S", {"a", "A"}},
                         {0.25, "A", {"a"}},
                         {0.75, "A", {"a", "a"}}});
  // aaa: a aa and aa a as A A, and a aa as a A.
  CHECK(grammar.probability(Words{0, 0, 0}) ==
        doctest::Approx(0.5 * 2 * 0.25 * 0.75 + 0.5 * 0.75).epsilon(1e-12));
}

TEST_CASE("grammar: rules that make no sense are refused") {
  CHECK_THROWS_AS(Grammar({}), ValueError);
  CHECK_THROWS_AS(Grammar({{1, "S", {}}}), ValueError);
  CHECK_THROWS_AS(Grammar({{0.5, "S", {"a"}}}), ValueError);
  CHECK_THROWS_AS(Grammar({{1.5, "S", {"a"}}, {-0.5, "S", {"b"}}}), ValueError);
  CHECK_THROWS_AS(Grammar({{std::nan(""), "S", {"a"}}}), ValueError);
  CHECK_THROWS_WITH_AS(Grammar({{1, "S", {"A"}}, {0.5, "A", {"a"}}, {0.5, "A", {"a", "S"}}}),
                       "Grammar: a rule of A names S, whose rules begin earlier; without recursion "
                       "they can begin later",
                       ValueError);
  CHECK_THROWS_AS(Grammar({{0.5, "S", {"S", "a"}}, {0.5, "S", {"a"}}}), ValueError);
  CHECK_THROWS_AS(Grammar(kSmall).ngram_loss(0), ValueError);
}

TEST_CASE("agreement grammar: what is known exactly") {
  const AgreementGrammar task;
  CHECK(task.vocab_size() == 22);
  CHECK(task.eos_id() == 21);
  CHECK(matches(task.grammar().entropy(), 9.340782254, 9));
  CHECK(task.grammar().mean_length() + 1 == doctest::Approx(7.61).epsilon(1e-12));
  CHECK(task.grammar().longest() == 17);
  CHECK(matches(task.population_floor(), 1.227435250, 9));
  CHECK(matches(std::exp(task.population_floor()), 3.412466, 6));
  CHECK(matches(task.ngram_loss(1), 2.731346808, 9));
  CHECK(matches(task.ngram_loss(2), 1.631864951, 9));
  CHECK(matches(task.ngram_loss(3), 1.553843552, 9));
  CHECK(task.separated_verbs() == doctest::Approx(0.345).epsilon(1e-12));
  CHECK(matches(task.agreement_blind_loss(), 1.258859, 6));
}

TEST_CASE("agreement grammar: rows are sentences with their probabilities") {
  const AgreementGrammar task;
  Generator generator(2);
  const Sentences sentences = task.sample(1500, generator);
  const Tensor &inputs = sentences.rows.inputs, &targets = sentences.rows.targets;
  const std::int64_t length = inputs.size(1);
  CHECK(inputs.sizes() == Shape{1500, length});
  CHECK(targets.sizes() == inputs.sizes());
  CHECK(inputs.dtype() == kInt64);
  CHECK(targets.dtype() == kInt64);
  const auto logps = sentences.log_probabilities.to_vector<double>();
  std::int64_t longest = 0;
  for (std::int64_t row = 0; row < 1500; ++row) {
    const Words input = row_of(inputs, row), target = row_of(targets, row);
    const auto end = std::find(target.begin(), target.end(), 21);
    const Words words(target.begin(), end);
    longest = std::max(longest, std::ssize(words) + 1);
    CHECK(input[0] == 21);
    CHECK(std::equal(words.begin(), words.end(), input.begin() + 1));
    CHECK(std::all_of(input.begin() + 1 + std::ssize(words), input.end(),
                      [](std::int64_t x) { return x == 21; }));
    CHECK(std::all_of(end + 1, target.end(), [](std::int64_t x) { return x == -100; }));
    // One derivation each: the sum over all is that of the one that was drawn.
    CHECK(task.grammar().probability(words) ==
          doctest::Approx(std::exp(logps[static_cast<std::size_t>(row)])).epsilon(1e-12));
    CHECK(task.is_grammatical(input));
    CHECK(task.is_grammatical(words));
  }
  CHECK(longest == length);
}

TEST_CASE("agreement grammar: the oracle knows what follows") {
  const AgreementGrammar task;
  Generator generator(5);
  const Sentences sentences = task.sample(20, generator);
  double sum = 0, tokens = 0;
  for (std::int64_t row = 0; row < 20; ++row) {
    const Words target = row_of(sentences.rows.targets, row);
    for (std::size_t t = 0; t < target.size() && target[t] >= 0; ++t, ++tokens) {
      const std::vector<double> next = task.grammar().next_word({target.data(), t});
      sum -= std::log(next[static_cast<std::size_t>(target[t])]);
    }
  }
  CHECK(task.oracle_loss(sentences) == doctest::Approx(sum / tokens).epsilon(1e-10));

  const Sentences many = task.sample(40'000, generator);
  const double n = ne(many.rows.targets, -100).to(kFloat64).sum().item<double>();
  CHECK(near(task.oracle_loss(many), task.population_floor(), 0.927 / 7.61, 40'000));
  CHECK(near(n / 40'000, 7.61, 3.5, 40'000));
}

TEST_CASE("agreement grammar: text and tokens") {
  const AgreementGrammar task;
  const auto good = [&](const char* text) { return task.is_grammatical(task.tokens(text)); };
  CHECK(good("the dog sleeps"));
  CHECK(good("the dog that some cats like sleeps"));
  CHECK(good("<eos> the dogs that see the bird that sings chase some cats <eos> the the"));
  CHECK(good("the dog that some cats that the bird sees like sleeps"));
  CHECK_FALSE(good("the dog that some cats like sleep"));
  CHECK_FALSE(good("the dog that some cats likes sleeps"));
  CHECK_FALSE(good("the dog"));
  CHECK_FALSE(good("the dog sleeps sleeps"));
  CHECK_FALSE(good(""));
  CHECK_FALSE(good("<eos> <eos> the dog sleeps"));
  CHECK(task.words().back() == "<eos>");
  CHECK(task.text(task.tokens("<eos>  the dog\nsleeps <eos>")) == "the dog sleeps");
  CHECK(task.text({}).empty());
  CHECK_THROWS_WITH_AS(
      task.tokens("the wolf sleeps"),
      "AgreementGrammar: unknown word \"wolf\"; the words are that the some dog cat bird dogs cats "
      "birds sleeps runs sings sleep run sing sees likes chases see like chase <eos>",
      ValueError);
  CHECK_THROWS_AS(task.text(Words{22}), IndexError);
  CHECK_THROWS_AS(task.text(Words{-100}), IndexError);
  CHECK_THROWS_AS(task.oracle_loss(task.sample(0)), ShapeError);
  CHECK_THROWS_AS(task.oracle_loss({task.sample(2).rows, zeros({3})}), ShapeError);
}
