#include <retrace/data/tasks/grammar.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include <retrace/tensor/check.h>

namespace retrace::data {
namespace {

using Ngram = std::vector<std::int64_t>;
using NgramCounts = std::map<Ngram, double>;

// The first and the last words of a phrase, order - 1 of each or all that it has, with their
// probabilities. What lies between cannot stand in an n-gram with words outside.
struct Edges {
  NgramCounts first, last;
};

Ngram joined(const Ngram& left, const Ngram& right) {
  Ngram both = left;
  both.insert(both.end(), right.begin(), right.end());
  return both;
}

// n-grams of sentences, gathered phrase by phrase.
class NgramCounter {
 public:
  explicit NgramCounter(std::int64_t order) : order_(order) {}

  const NgramCounts& counts() const { return counts_; }

  Edges word(std::int64_t id, double uses) {
    if (order_ == 1) counts_[{id}] += uses;  // the only n-gram that crosses no boundary
    const Ngram whole = order_ == 1 ? Ngram() : Ngram{id};
    return {{{whole, 1.0}}, {{whole, 1.0}}};
  }

  // One phrase, then another, which does not depend on it; counts the n-grams that begin in one and
  // end in the other.
  Edges join(const Edges& a, const Edges& b, double uses) {
    for (const auto& [left, p] : a.last)
      for (const auto& [right, q] : b.first) count_across(joined(left, right), uses * p * q);
    Edges edges;
    for (const auto& [left, p] : a.first)
      for (const auto& [right, q] : b.first) {
        Ngram first = joined(left, right);
        first.resize(std::min(first.size(), kept()));
        edges.first[first] += p * q;
      }
    for (const auto& [left, p] : a.last)
      for (const auto& [right, q] : b.last) {
        const Ngram both = joined(left, right);
        const auto dropped = std::max<std::int64_t>(std::ssize(both) - order_ + 1, 0);
        edges.last[Ngram(both.begin() + dropped, both.end())] += p * q;
      }
    return edges;
  }

 private:
  std::size_t kept() const { return static_cast<std::size_t>(order_ - 1); }

  void count_across(const Ngram& both, double uses) {
    for (auto begin = both.begin(); both.end() - begin >= order_; ++begin)
      counts_[Ngram(begin, begin + order_)] += uses;
  }

  std::int64_t order_;
  NgramCounts counts_;
};

void add(NgramCounts& sum, const NgramCounts& more, double weight) {
  for (const auto& [ngram, count] : more) sum[ngram] += weight * count;
}

// Σ -c ln(c / c of the context)
double conditional_entropy(const NgramCounts& counts) {
  NgramCounts contexts;
  for (const auto& [ngram, count] : counts)
    contexts[Ngram(ngram.begin(), ngram.end() - 1)] += count;
  double sum = 0;
  for (const auto& [ngram, count] : counts)
    sum -= count * std::log(count / contexts[Ngram(ngram.begin(), ngram.end() - 1)]);
  return sum;
}

// Probabilities that a phrase leads from one place of a text to a later one, [places, places].
class Spans {
 public:
  explicit Spans(std::size_t places) : places_(places), p_(places * places) {}

  double& at(std::size_t from, std::size_t to) { return p_[from * places_ + to]; }
  double at(std::size_t from, std::size_t to) const { return p_[from * places_ + to]; }

  // Both in turn.
  Spans then(const Spans& next) const {
    Spans both(places_);
    for (std::size_t from = 0; from < places_; ++from)
      for (std::size_t middle = from; middle < places_; ++middle) {
        const double p = at(from, middle);
        if (p == 0) continue;
        for (std::size_t to = middle; to < places_; ++to)
          both.at(from, to) += p * next.at(middle, to);
      }
    return both;
  }

  void add(const Spans& other, double weight) {
    for (std::size_t i = 0; i < p_.size(); ++i) p_[i] += weight * other.p_[i];
  }

 private:
  std::size_t places_;
  std::vector<double> p_;
};

}  // namespace

Grammar::Grammar(std::vector<GrammarRule> rules)
    : rules_(std::move(rules)), parts_(rules_.size()), uses_(rules_.size()) {
  require<ValueError>(!rules_.empty(), "Grammar: needs a rule or more");
  number_parts();
  check_probabilities();
  std::vector<double> symbol_uses(rules_of_.size());
  symbol_uses[0] = 1;
  for (std::size_t symbol = 0; symbol < rules_of_.size(); ++symbol)
    for (const std::size_t rule : rules_of_[symbol]) {
      uses_[rule] = symbol_uses[symbol] * rules_[rule].probability;
      for (const Part& part : parts_[rule])
        if (!part.is_word) symbol_uses[part.id] += uses_[rule];
    }
}

void Grammar::number_parts() {
  std::map<std::string, std::size_t> symbols, words;
  for (std::size_t rule = 0; rule < rules_.size(); ++rule) {
    const std::size_t symbol = symbols.emplace(rules_[rule].left, symbols.size()).first->second;
    rules_of_.resize(symbols.size());
    rules_of_[symbol].push_back(rule);
  }
  for (std::size_t rule = 0; rule < rules_.size(); ++rule) {
    const std::string& left = rules_[rule].left;
    require<ValueError>(!rules_[rule].right.empty(), "Grammar: a rule of {} has no right side",
                        left);
    for (const std::string& name : rules_[rule].right) {
      const auto symbol = symbols.find(name);
      if (symbol != symbols.end()) {
        require<ValueError>(symbol->second > symbols.at(left),
                            "Grammar: a rule of {} names {}, whose rules begin earlier; without "
                            "recursion they can begin later",
                            left, name);
        parts_[rule].push_back({symbol->second, false});
        continue;
      }
      const auto [word, is_new] = words.emplace(name, words.size());
      if (is_new) words_.push_back(name);
      parts_[rule].push_back({word->second, true});
    }
  }
}

void Grammar::check_probabilities() const {
  for (const auto& choices : rules_of_) {
    double sum = 0;
    for (const std::size_t rule : choices) {
      const double p = rules_[rule].probability;
      require<ValueError>(p > 0 && p <= 1,
                          "Grammar: a rule of {} has probability {}; it must lie in (0, 1]",
                          rules_[rule].left, p);
      sum += p;
    }
    require<ValueError>(std::abs(sum - 1) < 1e-9,
                        "Grammar: the probabilities of {} add up to {}, not to 1",
                        rules_[choices[0]].left, sum);
  }
}

std::size_t Grammar::draw_rule(std::size_t symbol, Generator& generator) const {
  const std::vector<std::size_t>& choices = rules_of_[symbol];
  if (choices.size() == 1) return choices[0];
  double left = generator.next_uniform();
  for (const std::size_t rule : choices) {
    left -= rules_[rule].probability;
    if (left < 0) return rule;
  }
  return choices.back();  // rounding
}

Sentence Grammar::sample(Generator& generator) const {
  Sentence sentence;
  std::vector<Part> open = {{0, false}};  // what is still to be written, in turn from the back
  while (!open.empty()) {
    const Part part = open.back();
    open.pop_back();
    if (part.is_word) {
      sentence.words.push_back(static_cast<std::int64_t>(part.id));
      continue;
    }
    const std::size_t rule = draw_rule(part.id, generator);
    sentence.log_probability += std::log(rules_[rule].probability);
    open.insert(open.end(), parts_[rule].rbegin(), parts_[rule].rend());
  }
  return sentence;
}

double Grammar::entropy() const {
  double sum = 0;
  for (std::size_t rule = 0; rule < rules_.size(); ++rule)
    sum -= uses_[rule] * std::log(rules_[rule].probability);
  return sum;
}

double Grammar::mean_length() const {
  double sum = 0;
  for (std::size_t rule = 0; rule < rules_.size(); ++rule)
    for (const Part& part : parts_[rule]) sum += part.is_word ? uses_[rule] : 0;
  return sum;
}

std::int64_t Grammar::longest() const {
  std::vector<std::int64_t> lengths(rules_of_.size());
  for (std::size_t symbol = rules_of_.size(); symbol-- > 0;)
    for (const std::size_t rule : rules_of_[symbol]) {
      std::int64_t length = 0;
      for (const Part& part : parts_[rule]) length += part.is_word ? 1 : lengths[part.id];
      lengths[symbol] = std::max(lengths[symbol], length);
    }
  return lengths[0];
}

double Grammar::entropy_per_token() const { return entropy() / (mean_length() + 1); }

double Grammar::ngram_loss(std::int64_t order) const {
  require<ValueError>(order >= 1, "Grammar: the order of a model must be 1 or more, not {}", order);
  NgramCounter counter(order);
  std::vector<Edges> edges(rules_of_.size());
  for (std::size_t symbol = rules_of_.size(); symbol-- > 0;)
    for (const std::size_t rule : rules_of_[symbol]) {
      Edges phrase = {{{{}, 1.0}}, {{{}, 1.0}}};
      for (const Part& part : parts_[rule]) {
        const auto id = static_cast<std::int64_t>(part.id);
        phrase = counter.join(phrase, part.is_word ? counter.word(id, uses_[rule]) : edges[part.id],
                              uses_[rule]);
      }
      add(edges[symbol].first, phrase.first, rules_[rule].probability);
      add(edges[symbol].last, phrase.last, rules_[rule].probability);
    }
  const std::int64_t end = std::ssize(words_);
  const Ngram marks(static_cast<std::size_t>(order - 1), end + 1);
  const Edges sentence = counter.join({{{marks, 1.0}}, {{marks, 1.0}}}, edges[0], 1);
  counter.join(sentence, counter.word(end, 1), 1);
  return conditional_entropy(counter.counts()) / (mean_length() + 1);
}

// The places are those between words; with `open` any words may follow the last.
double Grammar::span_probability(std::span<const std::int64_t> words, bool open) const {
  if (std::ssize(words) > longest()) return 0;
  const std::size_t last = words.size();
  const auto word_spans = [&](std::size_t id) {
    Spans spans(last + 1);
    for (std::size_t place = 0; place < last; ++place)
      if (words[place] == static_cast<std::int64_t>(id)) spans.at(place, place + 1) = 1;
    if (open) spans.at(last, last) = 1;
    return spans;
  };
  std::vector<Spans> spans(rules_of_.size(), Spans(last + 1));
  for (std::size_t symbol = rules_of_.size(); symbol-- > 0;)
    for (const std::size_t rule : rules_of_[symbol]) {
      const auto spans_of = [&](const Part& part) {
        return part.is_word ? word_spans(part.id) : spans[part.id];
      };
      Spans phrase = spans_of(parts_[rule][0]);
      for (std::size_t i = 1; i < parts_[rule].size(); ++i)
        phrase = phrase.then(spans_of(parts_[rule][i]));
      spans[symbol].add(phrase, rules_[rule].probability);
    }
  return spans[0].at(0, last);
}

double Grammar::probability(std::span<const std::int64_t> sentence) const {
  return span_probability(sentence, false);
}

double Grammar::prefix_probability(std::span<const std::int64_t> prefix) const {
  return span_probability(prefix, true);
}

std::vector<double> Grammar::next_word(std::span<const std::int64_t> prefix) const {
  const double before = prefix_probability(prefix);
  require<ValueError>(before > 0, "Grammar: no sentence begins with these {} words", prefix.size());
  std::vector<std::int64_t> longer(prefix.begin(), prefix.end());
  longer.push_back(0);
  std::vector<double> distribution;
  for (std::int64_t& word = longer.back(); word < std::ssize(words_); ++word)
    distribution.push_back(prefix_probability(longer) / before);
  distribution.push_back(probability(prefix) / before);
  return distribution;
}

}  // namespace retrace::data
