#include <retrace/data/tasks/agreement_grammar.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numbers>

#include <retrace/data/tasks/words.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace::data {
namespace {

// k and m stand for the numbers of nouns and verbs: a rule is meant for all values of those that it
// names. The digit is the depth of a clause. A rule whose right side begins with NP is a subject
// and its verb.
std::vector<GrammarRule> syntax() {
  return {
      {0.5, "S", {"NP0_k", "VP_k"}},
      {0.5, "VP_k", {"I_k"}},
      {0.25, "VP_k", {"T_k", "NP1_m"}},
      {0.5, "NP0_k", {"D", "N_k"}},
      {0.5, "NP0_k", {"D", "N_k", "that", "RC0_k"}},
      {0.3, "RC0_k", {"NP1_m", "T_m"}},
      {0.1, "RC0_k", {"T_k", "NP1_m"}},
      {0.2, "RC0_k", {"I_k"}},
      {0.75, "NP1_k", {"D", "N_k"}},
      {0.25, "NP1_k", {"D", "N_k", "that", "RC1_k"}},
      {0.3, "RC1_k", {"NP2_m", "T_m"}},
      {0.1, "RC1_k", {"T_k", "NP2_m"}},
      {0.2, "RC1_k", {"I_k"}},
      {1, "NP2_k", {"D", "N_k"}},
      {0.6, "D", {"the"}},
      {0.4, "D", {"some"}},
  };
}

struct WordClass {
  const char* name;
  const char* words[3];
};
constexpr WordClass kWordClasses[] = {
    {"N_sg", {"dog", "cat", "bird"}},      {"N_pl", {"dogs", "cats", "birds"}},
    {"I_sg", {"sleeps", "runs", "sings"}}, {"I_pl", {"sleep", "run", "sing"}},
    {"T_sg", {"sees", "likes", "chases"}}, {"T_pl", {"see", "like", "chase"}},
};
constexpr double kWordProbabilities[] = {0.5, 0.3, 0.2};

std::string with_number(const std::string& name, char variable, std::string_view number) {
  const std::size_t at = name.find('_');
  if (at == std::string::npos || name[at + 1] != variable) return name;
  return name.substr(0, at + 1) + std::string(number);
}

// The rules that one rule stands for as to one variable.
std::vector<GrammarRule> for_each_number(const std::vector<GrammarRule>& rules, char variable) {
  std::vector<GrammarRule> expanded;
  for (const GrammarRule& rule : rules) {
    for (const std::string_view number : {"sg", "pl"}) {
      GrammarRule one = {rule.probability, with_number(rule.left, variable, number), {}};
      for (const std::string& part : rule.right)
        one.right.push_back(with_number(part, variable, number));
      const bool names_it = one.left != rule.left || one.right != rule.right;
      expanded.push_back(std::move(one));
      if (!names_it) break;
    }
  }
  return expanded;
}

std::vector<GrammarRule> all_rules() {
  std::vector<GrammarRule> rules = for_each_number(for_each_number(syntax(), 'k'), 'm');
  for (const WordClass& word_class : kWordClasses)
    for (std::size_t i = 0; i < 3; ++i)
      rules.push_back({kWordProbabilities[i], word_class.name, {word_class.words[i]}});
  return rules;
}

bool begins_with_subject(const GrammarRule& rule) { return rule.right[0].starts_with("NP"); }

}  // namespace

AgreementGrammar::AgreementGrammar() : grammar_(all_rules()), words_(grammar_.words()) {
  words_.push_back("<eos>");
}

Sentences AgreementGrammar::sample(std::int64_t rows, Generator& generator) const {
  std::vector<Sentence> drawn;
  std::int64_t length = 1;
  for (std::int64_t row = 0; row < rows; ++row) {
    drawn.push_back(grammar_.sample(generator));
    length = std::max(length, std::ssize(drawn.back().words) + 1);
  }
  Sentences sentences = {
      {full({rows, length}, eos_id(), kInt64), full({rows, length}, -100, kInt64)},
      empty({rows}, kFloat64)};
  auto* input = elements<std::int64_t>(sentences.rows.inputs);
  auto* target = elements<std::int64_t>(sentences.rows.targets);
  auto* log_probability = elements<double>(sentences.log_probabilities);
  for (const Sentence& sentence : drawn) {
    std::copy(sentence.words.begin(), sentence.words.end(), input + 1);
    *std::copy(sentence.words.begin(), sentence.words.end(), target) = eos_id();
    *log_probability++ = sentence.log_probability;
    input += length;
    target += length;
  }
  return sentences;
}

double AgreementGrammar::oracle_loss(const Sentences& sentences) const {
  check_dataset("AgreementGrammar", sentences.rows);
  const std::vector<double> logps = sentences.log_probabilities.to_vector<double>();
  require<ShapeError>(sentences.rows.targets.dim() == 2 &&
                          std::ssize(logps) == sentences.rows.size() && !logps.empty(),
                      "AgreementGrammar: targets {} need one log-probability a row, and a row or "
                      "more, not {}",
                      sentences.rows.targets.sizes(), sentences.log_probabilities.sizes());
  std::int64_t tokens = 0;
  for (const std::int64_t target : sentences.rows.targets.to_vector<std::int64_t>())
    tokens += target >= 0;
  double sum = 0;
  for (const double logp : logps) sum -= logp;
  return sum / static_cast<double>(tokens);
}

double AgreementGrammar::separated_verbs() const {
  const std::vector<GrammarRule>& rules = grammar_.rules();
  // How often a relative clause of this kind is an object relative: a subject and its verb.
  const auto object_relatives = [&](const std::string& clause) {
    double share = 0;
    for (const GrammarRule& rule : rules)
      if (rule.left == clause && begins_with_subject(rule)) share += rule.probability;
    return share;
  };
  double verbs = 0;
  for (std::size_t i = 0; i < rules.size(); ++i) {
    if (!begins_with_subject(rules[i])) continue;
    for (const GrammarRule& subject : rules)
      if (subject.left == rules[i].right[0])
        verbs += grammar_.uses()[i] * subject.probability * object_relatives(subject.right.back());
  }
  return verbs;
}

double AgreementGrammar::agreement_blind_loss() const {
  return population_floor() + separated_verbs() * std::numbers::ln2 / (grammar_.mean_length() + 1);
}

std::string AgreementGrammar::text(std::span<const std::int64_t> tokens) const {
  std::vector<std::int64_t> kept;
  std::copy_if(tokens.begin(), tokens.end(), std::back_inserter(kept),
               [this](std::int64_t token) { return token != eos_id(); });
  return join_words("AgreementGrammar", words_, kept);
}

std::vector<std::int64_t> AgreementGrammar::tokens(std::string_view text) const {
  return split_words("AgreementGrammar", words_, text);
}

bool AgreementGrammar::is_grammatical(std::span<const std::int64_t> tokens) const {
  if (!tokens.empty() && tokens[0] == eos_id()) tokens = tokens.subspan(1);
  const auto end = std::find(tokens.begin(), tokens.end(), eos_id());
  return grammar_.probability({tokens.begin(), end}) > 0;
}

}  // namespace retrace::data
