#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <retrace/trace/story.h>

namespace retrace::tools {

/// Walks through a trace, whatever shows it: keeps the place, and knows what each key does.
///
///     n, p        next step, previous step
///     N, P        the next, the previous step that does something to the node of this step; again
///                 and again they stay with that node
///     g K         go to step K, counted from 1
///     / WORDS     the next step that says WORDS, from the beginning after the end
///     c           collapse the module of this step to one line, or open it
///     t           show all numbers of the tensors, or what the step tells
///     Home, End   first step, last step
///     q           quit
class Stepper {
 public:
  /// `trace` must outlive it, and has a step.
  explicit Stepper(const trace::Trace& trace);

  /// Does what a key says; `argument` is that of g and /. False for q. What could not be done is in
  /// message().
  bool press(std::string_view key, const std::string& argument = {});

  std::size_t at() const { return at_; }
  std::size_t size() const { return story_.size(); }
  const std::string& message() const { return message_; }
  /// What is shown of the step where it stands.
  std::string card() const;
  /// Lines around the step where it stands, for a list of `rows` rows; `here`: which of them it is.
  std::vector<std::string> list(std::size_t rows, std::size_t& here) const;

 private:
  const std::string& module_of(std::size_t k) const;
  bool is_within(std::size_t k, const std::string& module) const;
  const std::string* collapsed_at(std::size_t k) const;
  bool is_hidden(std::size_t k) const;
  std::size_t visible_from(std::size_t k, int direction) const;
  void step_in_node(int direction);
  void go_to(const std::string& number);
  void search(const std::string& words);
  void toggle_module();

  const trace::Trace& trace_;
  trace::Story story_;
  std::size_t at_ = 0;
  bool shows_tensors_ = false;
  trace::Id followed_ = trace::kNone;  // the node of N and P, until another key
  std::set<std::string> collapsed_;
  std::string message_;
};

/// Without what a terminal would take as a command: control characters become `?`.
std::string printable(std::string_view text);

}  // namespace retrace::tools
