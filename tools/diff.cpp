#include <retrace/tools/diff.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include <retrace/tools/stepper.h>
#include <retrace/trace/compare.h>
#include <retrace/trace/story.h>
#include <retrace/train/exit.h>
#include <retrace/train/terminal.h>

namespace retrace::tools {
namespace {

using trace::Comparison;
using trace::Distance;
using trace::Trace;

constexpr std::size_t kShown = 8;  // differences of structure; one leads to others

std::string about(const char* name, const Trace& trace) {
  return fmt::format("{}: a run of {}, {} steps over {} tensors{}\n", name,
                     trace::one_line(trace.program), trace::Story(trace).size(), trace.nodes.size(),
                     trace.complete ? "" : "; it went on, but the recorder kept no more");
}

std::string origins(const Trace& a, const Trace& b) {
  std::string text;
  const auto add = [&text](const char* what, const auto& of_a, const auto& of_b) {
    if (of_a != of_b) text += fmt::format("{}: {} in A, {} in B\n", what, of_a, of_b);
  };
  add("seed", a.seed, b.seed);
  add("compiler", a.compiler, b.compiler);
  add("BLAS", a.blas, b.blas);
  return text;
}

std::string structure_text(const Comparison& found) {
  if (found.structure.empty()) return "";
  std::string text = "\nWhat was computed is not the same. The first difference is at\n";
  for (std::size_t k = 0; k < std::min(kShown, found.structure.size()); ++k)
    text += fmt::format("{}  {}\n", k == 1 ? "and then\n" : "", found.structure[k]);
  if (found.structure.size() > kShown)
    text += fmt::format("  and {} more\n", found.structure.size() - kShown);
  return text;
}

std::string numbers_text(const Comparison& found, double tolerance) {
  const std::string as = tolerance > 0 ? fmt::format("within a tolerance of {}", tolerance)
                                       : std::string("bit for bit");
  if (found.differing > 0)
    return fmt::format(
        "\n{} of {} numbers and tensors are not the same, {}. The first is at\n  {}\n",
        found.differing, found.compared, as, found.first);
  const std::string all = fmt::format("{} {}numbers and tensors", found.compared,
                                      found.structure.empty() ? "" : "comparable ");
  if (found.in_part == 0) return fmt::format("\nAll {} are the same, {}.\n", all, as);
  return fmt::format("\nIn {} no difference {}was found.\n", all,
                     tolerance > 0 ? fmt::format("beyond a tolerance of {} ", tolerance) : "");
}

std::string in_part_text(const Comparison& found, double tolerance) {
  if (found.in_part == 0) return "";
  return fmt::format(
      "Of {} of {} only a corner and a summary were compared: elements that were not kept may "
      "differ{}.\n",
      found.in_part, found.differing > 0 ? "the others" : "them", tolerance > 0 ? " by more" : "");
}

constexpr const char* kInPart = "*";  // marks distances of tensors that are not known whole

std::string cell(const std::optional<Distance>& distance, bool relative) {
  if (!distance) return "-";
  return fmt::format("{:.3g}{}", relative ? distance->relative : distance->absolute,
                     distance->whole ? "" : kInPart);
}

bool any(const Comparison& found, bool (*is_such)(const Distance&)) {
  return std::any_of(found.rows.begin(), found.rows.end(), [=](const Comparison::Row& row) {
    return (row.value && is_such(*row.value)) || (row.gradient && is_such(*row.gradient)) ||
           (row.update && is_such(*row.update));
  });
}

bool is_apart(const Distance& distance) {
  return !distance.same || !distance.whole || distance.absolute > 0;
}

std::string table(const Comparison& found) {
  std::size_t width = 0;
  for (const Comparison::Row& row : found.rows) width = std::max(width, row.name.size());
  constexpr std::string_view kTitle = "largest difference";
  width = std::max(width, kTitle.size());
  std::string text = fmt::format("\n{:{}}", kTitle, width);
  for (const char* what : {"value", "gradient", "update"}) text += fmt::format("  {:>19}", what);
  text += fmt::format("\n{:{}}", "", width);
  for (int k = 0; k < 3; ++k) text += fmt::format("  {:>9} {:>9}", "absolute", "relative");
  for (const Comparison::Row& row : found.rows) {
    text += fmt::format("\n{:{}}", row.name, width);
    for (const std::optional<Distance>& each : {row.value, row.gradient, row.update})
      text += fmt::format("  {:>9} {:>9}", cell(each, false), cell(each, true));
  }
  if (any(found, [](const Distance& each) { return !each.whole; }))
    text +=
        fmt::format("\n{} of the elements that were kept; others may lie further apart", kInPart);
  return text + "\n";
}

}  // namespace

bool diff(const std::string& path_a, const std::string& path_b, double tolerance) {
  if (!(tolerance >= 0) || !std::isfinite(tolerance))
    throw train::UsageError(
        fmt::format("--tolerance {}: give a number from 0 on, such as 1e-6", tolerance));
  const Trace a = Trace::load(path_a), b = Trace::load(path_b);
  const Comparison found = trace::compare(a, b, tolerance);
  std::string text = about("A", a) + about("B", b) + origins(a, b);
  if (!found.note.empty()) text += found.note + "\n";
  text += structure_text(found) + numbers_text(found, tolerance) + in_part_text(found, tolerance);
  if (any(found, is_apart)) text += table(found);
  train::print(printable(text));
  return found.same();
}

}  // namespace retrace::tools
