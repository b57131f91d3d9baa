#include <retrace/tensor/check.h>
#include <retrace/trace/compare.h>
#include <retrace/trace/distance.h>
#include <retrace/trace/numbers.h>
#include <retrace/trace/story.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_map>

namespace retrace::trace {
namespace {

constexpr std::size_t kWindow = 400;   // events that one trace may have more, to be found again
constexpr std::size_t kRun = 2;        // events that agree where two traces meet again
constexpr std::size_t kMostGaps = 50;  // after so many they are not the same program

// One of the two traces.
struct Side {
  explicit Side(const Trace& which) : trace(which), story(which), partner(which.nodes.size()) {
    std::fill(partner.begin(), partner.end(), kNone);
  }
  std::size_t step_of(std::size_t event) const {
    while (step + 1 < story.size() && story.end(step) <= event) ++step;
    while (step > 0 && story.begin(step) > event) --step;
    return step;
  }
  // What happens there: the title of the step, or the leaf that it begins with.
  std::string title(std::size_t event) const {
    const auto* computed = std::get_if<Computed>(&trace.events[event]);
    if (computed != nullptr && trace.nodes[computed->node].is_leaf())
      return fmt::format("{} {} is used for the first time", label(trace, computed->node),
                         trace.nodes[computed->node].sizes);
    return story.title(step_of(event));
  }

  // Of all that happens there: "forward: relu #3, and 2 more steps".
  std::string titles(std::size_t begin, std::size_t end) const {
    if (begin == end) return "";
    const std::size_t more = step_of(end - 1) - step_of(begin);
    const std::string first = title(begin);
    return more == 0 ? first
                     : fmt::format("{}, and {} more step{}", first, more, more == 1 ? "" : "s");
  }

  const Trace& trace;
  Story story;
  std::vector<Id> partner;  // of each node, in the other trace
  mutable std::size_t step = 0;
};

// A tensor or a plain number that an event tells.
struct Told {
  const char* what;
  Id id = kNone;
  double number = 0;
  bool is_tensor = true, may_miss = false;
  bool is_exact = false;  // a count or a kind: no tolerance makes two of them one
};

Told tensor_of(const char* what, Id id, bool may_miss = false) {
  return {what, id, 0, true, may_miss};
}
Told number_of(const char* what, double number) { return {what, kNone, number, false}; }
Told exact_of(const char* what, double number) { return {what, kNone, number, false, false, true}; }

struct Tell {
  std::vector<Told> operator()(const Computed& e) const { return {tensor_of("value", e.value)}; }
  std::vector<Told> operator()(const Seed& e) const {
    return {tensor_of("gradient that begins", e.gradient), tensor_of("gradient before", e.before),
            tensor_of("gradient after", e.after)};
  }
  std::vector<Told> operator()(const Contribution& e) const {
    std::vector<Told> told = {tensor_of("local derivative", e.local, true),
                              tensor_of("gradient before it was summed", e.unsummed, true),
                              tensor_of("gradient", e.gradient)};
    for (const Id each : e.upstream) told.push_back(tensor_of("upstream gradient", each));
    return told;
  }
  std::vector<Told> operator()(const Accumulation& e) const {
    return {tensor_of("gradient before", e.before), tensor_of("contribution", e.contribution),
            tensor_of("gradient after", e.after)};
  }
  std::vector<Told> operator()(const ZeroGrad& e) const {
    return {exact_of("number of gradients dropped", static_cast<double>(e.nodes.size()))};
  }
  std::vector<Told> operator()(const Clip& e) const {
    std::vector<Told> told = {number_of("norm", e.norm), exact_of("kind of norm", e.norm_type),
                              number_of("largest norm", e.max_norm), number_of("scale", e.scale)};
    for (const Clip::Clipped& each : e.gradients) {
      told.push_back(tensor_of("gradient before", each.before));
      told.push_back(tensor_of("gradient after", each.after));
    }
    return told;
  }
  std::vector<Told> operator()(const Update& e) const {
    std::vector<Told> told = {
        number_of("learning rate", e.lr), exact_of("step number", static_cast<double>(e.step)),
        tensor_of("gradient", e.gradient), tensor_of("value before", e.before),
        tensor_of("value after", e.after)};
    for (const Update::Kept& kept : e.kept) {
      told.push_back(tensor_of("state before", kept.before));
      told.push_back(tensor_of("state after", kept.after));
    }
    return told;
  }
  std::vector<Told> operator()(const Change& e) const {
    return {tensor_of("number before", e.before), tensor_of("number after", e.after)};
  }
  std::vector<Told> operator()(const TrainingStep& e) const {
    return {exact_of("number of the step", static_cast<double>(e.number))};
  }
};

class Comparer {
 public:
  Comparer(const Trace& a, const Trace& b, double tolerance)
      : a_(a), b_(b), tolerance_(tolerance) {}

  Comparison run() {
    align();
    result_.rows = parameter_distances(a_.trace, b_.trace, a_.partner, tolerance_);
    return std::move(result_);
  }

 private:
  // Alignment -------------------------------------------------------------------------------------

  bool alike(Id of_a, Id of_b) const {
    if (of_a == kNone || of_b == kNone) return of_a == of_b;
    if (a_.partner[of_a] != kNone || b_.partner[of_b] != kNone) return a_.partner[of_a] == of_b;
    const Node &x = a_.trace.nodes[of_a], &y = b_.trace.nodes[of_b];
    if (x.is_leaf() != y.is_leaf()) return false;
    if (x.is_leaf()) return x.name == y.name || x.name.empty() || y.name.empty();
    return x.output == y.output && a_.trace.ops[x.op].name == b_.trace.ops[y.op].name;
  }

  bool match(std::size_t i, std::size_t j) const {
    const Event &x = a_.trace.events[i], &y = b_.trace.events[j];
    if (x.index() != y.index()) return false;
    return std::visit(
        [&]<class E>(const E& of_a) {
          const E& of_b = std::get<E>(y);
          if constexpr (requires { of_a.in_grad; }) {
            if (of_a.in_grad != of_b.in_grad) return false;
          } else if constexpr (requires { of_a.input; }) {
            if (of_a.input != of_b.input) return false;
          }
          if constexpr (requires { of_a.of; }) {
            if (of_a.of != of_b.of) return false;
          }
          if constexpr (requires { of_a.optimizer; }) {
            if (of_a.optimizer != of_b.optimizer) return false;
          }
          if constexpr (requires { of_a.node; }) return alike(of_a.node, of_b.node);
          return true;
        },
        x);
  }

  // The traces agree for a while from these events on, or to the end of both.
  bool meet(std::size_t i, std::size_t j) const {
    const std::size_t left = a_.trace.events.size() - i, right = b_.trace.events.size() - j;
    if (left == 0 || right == 0) return left == right;
    for (std::size_t k = 0; k < std::min({kRun, left, right}); ++k) {
      if (!match(i + k, j + k)) return false;
    }
    return true;
  }

  // Steps over the fewest events until the traces meet again, as many of one as of the other where
  // that is possible: an op in place of another. False when they do not meet.
  bool skip_gap(std::size_t& i, std::size_t& j) {
    const std::size_t rest_a = a_.trace.events.size() - i, rest_b = b_.trace.events.size() - j;
    for (std::size_t both = 1; both <= kWindow; ++both) {
      for (std::size_t skew = both % 2; skew <= both; skew += 2) {
        for (const std::size_t of_a : {(both - skew) / 2, (both + skew) / 2}) {
          const std::size_t of_b = both - of_a;
          if (of_a > rest_a || of_b > rest_b || !meet(i + of_a, j + of_b)) continue;
          tell_gap(i, i + of_a, j, j + of_b);
          i += of_a, j += of_b;
          return true;
        }
      }
    }
    return false;
  }

  // What stands in place of something has its part in what follows: the last of each.
  void tell_gap(std::size_t i, std::size_t end_a, std::size_t j, std::size_t end_b) {
    const std::string of_a = a_.titles(i, end_a), of_b = b_.titles(j, end_b);
    const std::string here = place(i, j);
    if (of_b.empty()) {
      result_.structure.push_back(fmt::format("{}: only A has {}", here, of_a));
    } else if (of_a.empty()) {
      result_.structure.push_back(fmt::format("{}: only B has {}", here, of_b));
    } else {
      result_.structure.push_back(fmt::format("{}: A has {}, where B has {}", here, of_a, of_b));
    }
    const bool one_by_one = end_a - i == end_b - j;
    while (i < end_a && j < end_b) {
      const std::size_t from_a = one_by_one ? i++ : --end_a, from_b = one_by_one ? j++ : --end_b;
      const auto* x = std::get_if<Computed>(&a_.trace.events[from_a]);
      const auto* y = std::get_if<Computed>(&b_.trace.events[from_b]);
      if (x != nullptr && y != nullptr &&
          a_.trace.nodes[x->node].is_leaf() == b_.trace.nodes[y->node].is_leaf())
        pair(x->node, y->node, from_a, from_b);
      if (!one_by_one) break;
    }
  }

  // Nodes that play the same part, and what is not the same about them.
  void pair(Id of_a, Id of_b, std::size_t i, std::size_t j) {
    if (of_a == kNone || of_b == kNone || a_.partner[of_a] != kNone || b_.partner[of_b] != kNone)
      return;
    a_.partner[of_a] = of_b, b_.partner[of_b] = of_a;
    const Node &x = a_.trace.nodes[of_a], &y = b_.trace.nodes[of_b];
    const std::string name = label(a_.trace, of_a);
    const auto tell = [&](const std::string& what) {
      result_.structure.push_back(fmt::format("{}: {} {}", place(i, j), name, what));
    };
    if (x.is_leaf() && x.name != y.name && !x.name.empty() && !y.name.empty())
      tell(fmt::format("in A plays the part of {} in B", label(b_.trace, of_b)));
    if (x.sizes != y.sizes) tell(fmt::format("is {} in A, and {} in B", x.sizes, y.sizes));
    if (x.is_leaf() && x.requires_grad != y.requires_grad)
      tell(fmt::format("wants a gradient in {} only", x.requires_grad ? "A" : "B"));
    if (x.dtype != y.dtype && other_dtypes_++ == 0)
      dtypes_ = fmt::format("{} is {} in A, and {} in B", name, x.dtype, y.dtype);
    if (x.inputs.size() != y.inputs.size())
      return tell(fmt::format("has {} inputs in A, and {} in B", x.inputs.size(), y.inputs.size()));
    for (std::size_t k = 0; k < x.inputs.size(); ++k) {
      const Id from_a = x.inputs[k], from_b = y.inputs[k];
      if (from_a == kNone || from_b == kNone || a_.partner[from_a] == from_b) continue;
      if (a_.partner[from_a] != kNone && b_.partner[from_b] != kNone)
        tell(fmt::format("has the input {} in A, and {} in B", label(a_.trace, from_a),
                         label(b_.trace, from_b)));
    }
  }

  // Whose gradients are dropped; their order says nothing.
  void compare_nodes(const ZeroGrad& x, const ZeroGrad& y, std::size_t i, std::size_t j) {
    for (std::size_t k = 0; k < std::min(x.nodes.size(), y.nodes.size()); ++k)
      if (alike(x.nodes[k], y.nodes[k])) pair(x.nodes[k], y.nodes[k], i, j);
    std::set<Id> only_b(y.nodes.begin(), y.nodes.end());
    const auto tell = [&](const Trace& trace, Id node, const char* name) {
      result_.structure.push_back(fmt::format("{}: the gradient of {} is dropped in {} only",
                                              place(i, j), label(trace, node), name));
    };
    for (const Id node : std::set<Id>(x.nodes.begin(), x.nodes.end()))
      if (only_b.erase(a_.partner[node]) == 0) tell(a_.trace, node, "A");
    for (const Id node : only_b) tell(b_.trace, node, "B");
  }

  // Whose are clipped; their numbers are told in this order.
  void compare_nodes(const Clip& x, const Clip& y, std::size_t i, std::size_t j) {
    for (std::size_t k = 0; k < std::min(x.gradients.size(), y.gradients.size()); ++k) {
      const Id of_a = x.gradients[k].node, of_b = y.gradients[k].node;
      if (alike(of_a, of_b)) {
        pair(of_a, of_b, i, j);
      } else {
        result_.structure.push_back(
            fmt::format("{}: the gradient of {} is clipped in A, where B clips that of {}",
                        place(i, j), label(a_.trace, of_a), label(b_.trace, of_b)));
      }
    }
  }

  // Numbers ---------------------------------------------------------------------------------------

  void compare_events(std::size_t i, std::size_t j) {
    std::visit(
        [&]<class E>(const E& of_a) {
          const E& of_b = std::get<E>(b_.trace.events[j]);
          if constexpr (requires { of_a.node; }) {
            pair(of_a.node, of_b.node, i, j);
          } else if constexpr (requires { compare_nodes(of_a, of_b, i, j); }) {
            compare_nodes(of_a, of_b, i, j);
          }
        },
        a_.trace.events[i]);
    const std::vector<Told> x = std::visit(Tell(), a_.trace.events[i]);
    const std::vector<Told> y = std::visit(Tell(), b_.trace.events[j]);
    const auto note = [&](const std::string& text) {
      if (!text.empty() && ++result_.differing == 1)
        result_.first = fmt::format("{}: {}\n  {}", place(i, j), a_.title(i), text);
    };
    for (std::size_t k = 0; k < std::min(x.size(), y.size()); ++k)
      note(x[k].is_tensor ? compare_tensors(x[k], y[k]) : compare_plain(x[k], y[k]));
    if (x.size() != y.size())
      note(fmt::format("it is told with {} numbers and tensors in A, with {} in B", x.size(),
                       y.size()));
  }

  // In words how they differ, or "".
  std::string compare_plain(const Told& x, const Told& y) {
    ++result_.compared;
    if (distance(x.number, y.number, x.is_exact ? 0 : tolerance_).same) return "";
    return fmt::format("the {} is {} in A, and {} in B", x.what, number_text(x.number),
                       number_text(y.number));
  }

  std::string compare_tensors(const Told& x, const Told& y) {
    if (x.id == kNone && y.id == kNone) return "";
    if (x.id == kNone || y.id == kNone) {
      if (x.may_miss) return "";
      ++result_.compared;
      return fmt::format("the {} is there in {} only", x.what, x.id == kNone ? "B" : "A");
    }
    ++result_.compared;
    const Numbers &of_a = a_.trace.numbers[x.id], &of_b = b_.trace.numbers[y.id];
    if (of_a.sizes != of_b.sizes)
      return fmt::format("the {} is {} in A, and {} in B", x.what, of_a.sizes, of_b.sizes);
    const auto [known, is_new] = known_.try_emplace(std::uint64_t{x.id} << 32 | y.id);
    Difference found;
    if (is_new) known->second = (found = difference(of_a, of_b, tolerance_)).distance;
    if (known->second.same) {
      result_.in_part += known->second.whole ? 0 : 1;
      return "";
    }
    if (!is_new) return "differs";  // only the first is told
    std::string text = fmt::format("the {}, {} {}: {} is {} in A, and {} in B", x.what, of_a.dtype,
                                   of_a.sizes, found.where, found.a, found.b);
    if (found.there.absolute > 0)  // of hashes, and of 0 and -0, there is none
      text += fmt::format("; apart by {:.3g}, relative {:.3g}", found.there.absolute,
                          found.there.relative);
    if (found.compared > 1)
      text += fmt::format("\n  {} of {} elements differ", found.differing, found.compared);
    if (!of_a.complete || !of_b.complete) text += " in the corner that was kept";
    return text;
  }

  std::string place(std::size_t i, std::size_t j) const {
    const std::size_t of_a = a_.step_of(i) + 1, of_b = b_.step_of(j) + 1;
    return of_a == of_b ? fmt::format("step {}", of_a)
                        : fmt::format("step {} of A, {} of B", of_a, of_b);
  }

  void align();

  Side a_, b_;
  double tolerance_;
  Comparison result_;
  std::unordered_map<std::uint64_t, Distance> known_;  // of two lists of numbers
  std::size_t other_dtypes_ = 0;
  std::string dtypes_;
};

void Comparer::align() {
  std::size_t i = 0, j = 0, gaps = 0;
  const std::size_t end_a = a_.trace.events.size(), end_b = b_.trace.events.size();
  while (i < end_a && j < end_b) {
    if (match(i, j)) {
      compare_events(i++, j++);
    } else if (++gaps > kMostGaps || !skip_gap(i, j)) {
      result_.structure.push_back(
          fmt::format("{}: from here on they have too little in common; A has {}, and B has {}",
                      place(i, j), a_.title(i), b_.title(j)));
      return;
    }
  }
  for (const auto& [side, at, end, name] :
       {std::tuple(&a_, i, end_a, "A"), std::tuple(&b_, j, end_b, "B")}) {
    if (at == end) continue;
    const Side& other = side == &a_ ? b_ : a_;
    result_.structure.push_back(fmt::format(
        "step {} of {}: only {} goes on, with {}{}", side->step_of(at) + 1, name, name,
        side->titles(at, end),
        other.trace.complete ? "" : " (the recorder of the other kept no more than this)"));
  }
  if (other_dtypes_ == 0) return;
  const std::string dtypes =
      fmt::format("{}; of {} tensors the dtypes differ", dtypes_, other_dtypes_);
  if (tolerance_ == 0) {
    result_.structure.push_back(dtypes);
  } else {
    result_.note = dtypes;
  }
}

}  // namespace

Comparison compare(const Trace& a, const Trace& b, double tolerance) {
  require<ValueError>(tolerance >= 0 && std::isfinite(tolerance),
                      "compare: the tolerance is {}; give a finite number from 0 on", tolerance);
  return Comparer(a, b, tolerance).run();
}

}  // namespace retrace::trace
