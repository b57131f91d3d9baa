// Names, rules and numbers, as the story tells them.

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include <retrace/tensor/check.h>
#include <retrace/trace/numbers.h>
#include <retrace/trace/story.h>

namespace retrace::trace {
namespace {

constexpr std::int64_t kInLine = 8;  // numbers of a tensor that stand in a line

// What a gradient text says of each input.
struct Rules {
  std::string before = {};              ///< "h = g · w, ": what the parts speak of
  std::vector<std::string> parts = {};  ///< "dx = h / n", "dw = Σ g": a d, a letter or more, " = "
};

Rules rules_of(std::string_view gradient) {
  const auto begins_part = [](std::string_view text) {
    const std::size_t equals = text.find(" = ");
    return text.starts_with('d') && equals != std::string_view::npos && equals > 1 &&
           text.find(' ') == equals;
  };
  const auto next_part = [&](std::size_t at) {
    std::size_t comma = gradient.find(", d", at);
    while (comma != std::string_view::npos && !begins_part(gradient.substr(comma + 2)))
      comma = gradient.find(", d", comma + 1);
    return comma;
  };
  Rules rules;
  std::size_t begin = 0;
  if (!begins_part(gradient)) {
    const std::size_t comma = next_part(0);
    if (comma == std::string_view::npos) return rules;
    begin = comma + 2;
    rules.before = gradient.substr(0, begin);
  }
  while (begin < gradient.size()) {
    const std::size_t end = next_part(begin);
    rules.parts.emplace_back(gradient.substr(begin, end - begin));
    begin = end == std::string_view::npos ? gradient.size() : end + 2;
  }
  return rules;
}

// Elements [first, first + sizes.numel()) of row-major numbers, in nested brackets.
std::string nested(const Tensor& values, int dim, std::int64_t& next) {
  if (dim == values.dim()) return number_text(values, next++);
  if (values.numel() == 0) return "[]";  // in whatever brackets: there may be any number of them
  std::string text = "[";
  for (std::int64_t i = 0; i < values.sizes()[dim]; ++i) {
    if (i > 0) text += ", ";
    text += nested(values, dim + 1, next);
  }
  return text + "]";
}

std::string non_finite_text(const Numbers& numbers) {
  if (numbers.non_finite == 0) return "";
  return fmt::format("  !! {} of {} are NaN or infinite", numbers.non_finite,
                     numbers.sizes.numel());
}

}  // namespace

std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == '\x7f') c = '?';
  return text;
}

bool has_word(std::string_view text, std::string_view word) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  const auto goes_on = [&](char c) { return is_letter(c) || (c >= '0' && c <= '9'); };  // x1
  for (std::size_t at = text.find(word); at != std::string_view::npos;
       at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !is_letter(text[at - 1])) && (end == text.size() || !goes_on(text[end])))
      return true;
  }
  return false;
}

std::string label(const Trace& trace, Id node) {
  if (node == kNone) return "nothing";
  const Node& which = trace.nodes.at(node);
  if (!which.name.empty()) return one_line(which.name);
  const std::string_view what = !which.is_leaf() ? std::string_view(trace.ops.at(which.op).name)
                                : which.requires_grad ? "leaf"
                                                      : "constant";
  const std::string output = which.output > 0 ? fmt::format(" result {}", which.output) : "";
  return one_line(fmt::format("{} #{}{}", what, node, output));
}

std::vector<std::string> letters(const Op& op, std::size_t inputs) {
  std::vector<std::string> result;
  for (const std::string& part : rules_of(op.gradient).parts)
    result.push_back(part.substr(1, part.find(' ') - 1));
  if (result.size() != inputs) result.clear();
  return result;
}

std::string letter_of(const Op& op, std::size_t k, std::size_t inputs) {
  const std::vector<std::string> all = letters(op, inputs);
  if (!all.empty()) return all[k];
  return inputs == 1 ? "x" : fmt::format("x{}", k);
}

std::map<std::size_t, std::string> spoken_of(const Op& op, std::string_view text,
                                             std::size_t inputs) {
  std::map<std::size_t, std::string> spoken;
  const auto look_for = [&](std::size_t k, const std::string& letter) {
    if (has_word(text, letter) || has_word(text, "d" + letter)) spoken.emplace(k, letter);
  };
  std::vector<std::string> all = letters(op, inputs);
  if (all.empty() && inputs == 1) all = {"x"};
  for (std::size_t k = 0; k < all.size(); ++k) look_for(k, all[k]);
  if (!all.empty()) return spoken;
  // A text speaks of a few, of however many there are.
  for (std::size_t at = text.find('x'); at != text.npos; at = text.find('x', at + 1)) {
    std::size_t k = inputs;
    std::from_chars(text.data() + at + 1, text.data() + text.size(), k);
    if (k < inputs) look_for(k, fmt::format("x{}", k));
  }
  return spoken;
}

std::string rule_of(const Op& op, std::size_t k, std::size_t inputs) {
  const Rules rules = rules_of(op.gradient);
  if (rules.parts.size() != inputs) return op.gradient;
  const std::string& part = rules.parts.at(k);
  const std::string defined = rules.before.substr(0, rules.before.find(' '));
  return !defined.empty() && has_word(part, defined) ? rules.before + part : part;
}

std::string brief(const Numbers& numbers) {
  if (numbers.complete && numbers.values.numel() <= kInLine) {
    std::int64_t next = 0;
    return nested(numbers.values, 0, next) + non_finite_text(numbers);
  }
  Numbers whole = numbers;
  if (numbers.complete) whole = keep_numbers(numbers.values, /*complete=*/false, 1);
  return fmt::format("{} from {:.6g} to {:.6g}, norm {:.6g}{}", numbers.sizes, whole.min, whole.max,
                     whole.norm, non_finite_text(numbers));
}

std::string table(const Numbers& numbers) {
  const Tensor& values = numbers.values;
  std::string text = fmt::format("{} {}{}", numbers.dtype, numbers.sizes, non_finite_text(numbers));
  if (!numbers.complete)
    text += fmt::format("\nfrom {:.6g} to {:.6g}, mean {:.6g}, norm {:.6g}; the corner {}:",
                        numbers.min, numbers.max, numbers.mean, numbers.norm, values.sizes());
  if (values.numel() == 0) return text;
  const std::int64_t columns = values.dim() == 0 ? 1 : values.sizes().back();
  std::size_t width = 0;
  for (std::int64_t i = 0; i < values.numel(); ++i)
    width = std::max(width, number_text(values, i).size());
  for (std::int64_t i = 0; i < values.numel(); ++i)
    text +=
        fmt::format("{}{:>{}}", i % columns == 0 ? "\n  " : "  ", number_text(values, i), width);
  return text;
}

}  // namespace retrace::trace
