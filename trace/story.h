#pragma once

// A trace in words, for whoever shows it: the terminal, a page, a test.

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <retrace/trace/trace.h>

namespace retrace::trace {

/// What a trace tells, step by step. A step is what a person takes in at once: an op with the
/// leaves that it uses for the first time, a contribution with the sum that it is added to, an
/// update of a parameter.
///
///     trace::Story story(trace);
///     for (std::size_t k = 0; k < story.size(); ++k) std::cout << story.text(k) << "\n\n";
class Story {
 public:
  /// `trace` must outlive it.
  explicit Story(const Trace& trace);

  std::size_t size() const { return ends_.size(); }
  /// The events of step k are [begin(k), end(k)); a state at end(k) is that after the step.
  std::size_t begin(std::size_t k) const { return k == 0 ? 0 : ends_[k - 1]; }
  std::size_t end(std::size_t k) const { return ends_.at(k); }
  /// "back through tanh #5 to linear #4"
  std::string title(std::size_t k) const;
  /// What happens in a few lines, the title first, with the numbers.
  std::string text(std::size_t k) const;
  /// Tensors of the step with their names, for those who want to see all numbers.
  std::vector<std::pair<std::string, Id>> tensors(std::size_t k) const;
  /// The event that the step is about: what comes before it in the step introduces tensors.
  std::size_t main_event(std::size_t k) const;
  /// The node that the step is about; none: it is about several, or about none.
  Id node(std::size_t k) const;
  /// The step changes something of the node.
  bool involves(std::size_t k, Id node) const;
  /// Some number of the step is NaN or infinite.
  bool is_non_finite(std::size_t k) const;

 private:
  const Trace& trace_;
  const State& after(std::size_t k) const;
  std::vector<std::size_t> ends_;  // events after each step
  mutable State state_;            // where it was last asked for
};

/// With a ? for each control character: names, sites and formulas are what a program made them.
std::string one_line(std::string text);

/// "0.weight", or "tanh #5" of a node without a name.
std::string label(const Trace& trace, Id node);

/// The letters of an op's inputs, as its gradient text has them: "dx = g W, dW = gᵀ x" names x and
/// W. Empty when they are not as many as the inputs.
std::vector<std::string> letters(const Op& op, std::size_t inputs);
/// That of input k; of an op without letters "x", or "x0", "x1", ... of several inputs.
std::string letter_of(const Op& op, std::size_t k, std::size_t inputs);
/// The inputs that a text of the op speaks of, by x or dx, with their letters.
std::map<std::size_t, std::string> spoken_of(const Op& op, std::string_view text,
                                             std::size_t inputs);
/// The part of the gradient text about input k, "dW = gᵀ x", with what it speaks of: "h = g · w,
/// dx = h / n". All of the text when it has other parts.
std::string rule_of(const Op& op, std::size_t k, std::size_t inputs);

/// "b" stands in "g · b" and "2b", and not in "db" or "b1".
bool has_word(std::string_view text, std::string_view word);

/// In a line: "0.5", "[1, 2]", or for more numbers "[4, 8] from -1 to 2.5, norm 7".
std::string brief(const Numbers& numbers);
/// All numbers that were kept, a row a line.
std::string table(const Numbers& numbers);

}  // namespace retrace::trace
