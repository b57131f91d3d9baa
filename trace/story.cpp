#include <retrace/autograd/backprop.h>
#include <retrace/tensor/check.h>
#include <retrace/trace/numbers.h>
#include <retrace/trace/story.h>

#include <algorithm>

namespace retrace::trace {
namespace {

// Told with what comes next: a leaf that is used for the first time, a gradient that was there when
// the recording began.
bool is_introduction(const Trace& trace, const Event& event) {
  const auto* computed = std::get_if<Computed>(&event);
  if (computed != nullptr) return trace.nodes[computed->node].is_leaf();
  const auto* change = std::get_if<Change>(&event);
  return change != nullptr && change->of == Change::Of::gradient && change->before == kNone;
}

bool is_added_by(const Event& event, const Event& next) {
  const auto* given = std::get_if<Contribution>(&event);
  const auto* added = std::get_if<Accumulation>(&next);
  return given != nullptr && added != nullptr && added->from == given->node &&
         added->input == given->input;
}

// The nodes that an event changes or goes through, the one that it is about first.
std::vector<Id> nodes_of(const Event& event) {
  return std::visit(
      []<class E>(const E& e) -> std::vector<Id> {
        if constexpr (requires { e.node; }) return {e.node};
        if constexpr (std::is_same_v<E, ZeroGrad>) return e.nodes;
        std::vector<Id> nodes;
        if constexpr (std::is_same_v<E, Clip>) {
          for (const Clip::Clipped& clipped : e.gradients) nodes.push_back(clipped.node);
        }
        return nodes;
      },
      event);
}

// Writes what a step tells, event by event.
class Teller {
 public:
  /// `state`: after the step; without it the operands of an op are told without their values.
  Teller(const Trace& trace, std::size_t begin, std::size_t end, const State* state = nullptr)
      : trace_(trace), begin_(begin), end_(end), state_(state) {
    for (std::size_t i = begin; i < end; ++i) std::visit(*this, trace.events[i]);
    title = one_line(std::move(title));
  }

  std::string title, body;
  std::vector<std::pair<std::string, Id>> tensors;

  void operator()(const Computed& e) {
    const Node& made = trace_.nodes[e.node];
    if (made.is_leaf() && begin_ + 1 < end_) return;  // told with the op that uses it
    if (made.is_leaf()) {
      title = "here is " + name(e.node);
      return show("its value", e.value);
    }
    const Op& op = trace_.ops[made.op];
    title = "forward: " + name(e.node);
    tell_where(made);
    if (!op.formula.empty()) {
      const std::string meaning = operands(made, op, op.formula);
      line(op.formula + (meaning.empty() ? "" : ", where" + meaning.substr(1)));
    }
    if (op.formula.empty() && !made.inputs.empty()) line("of " + list(made.inputs));
    for (std::size_t i = 0; i < made.inputs.size(); ++i) {
      if (made.inputs[i] != kNone && state_ != nullptr)
        show(letter_of(op, i, made.inputs.size()), state_->of(made.inputs[i]).value);
    }
    show(result_letter(op), e.value);
    if (!made.requires_grad) line("Nothing here wants a gradient: backward will not come by.");
  }

  void operator()(const Seed& e) {
    title = "backward begins at " + name(e.node);
    line(fmt::format("L is {}, and dL/dL is where the way back begins.", name(e.node)));
    show("dL/dL", e.gradient);
    if (e.before != kNone) show("added to what was there, now", e.after);
  }

  void operator()(const Contribution& e) {
    const Node& through = trace_.nodes[e.node];
    const Op& op = trace_.ops[through.op];
    const Id to = through.inputs[e.input];
    title = fmt::format("back through {} to {}", name(e.node), name(to));
    tell_where(through);
    const std::string x = letter_of(op, e.input, through.inputs.size());
    const std::string rule = rule_of(op, e.input, through.inputs.size());
    std::string meaning = operands(through, op, rule);
    if (has_word(rule, "y")) meaning += ", y is " + name(e.node);
    line(fmt::format("{}, where g is dL/d({}){}", rule, name(e.node), meaning));
    for (const Id upstream : e.upstream) show("g", upstream);
    if (e.local != kNone) show("local derivative dy/d" + x, e.local);
    if (e.unsummed != kNone) show("g · dy/d" + x, e.unsummed);
    if (e.unsummed != kNone)
      line(broadcast_text(numbers(e.gradient).sizes, numbers(e.unsummed).sizes) + ":");
    show("d" + x, e.gradient);
    tell_element(e, x);
    tell_measured(e, numbers(e.gradient));
  }

  void operator()(const Accumulation& e) {
    const std::string sum = fmt::format("dL/d({})", name(e.node));
    if (title.empty()) {
      title = fmt::format("{} goes into the grad of {}", sum, name(e.node));
      show("it is", e.contribution);
    }
    if (is_one(e.after)) {
      line(fmt::format(
          "{} {} {}{}{}", sum, e.before == kNone ? "=" : "+=", arithmetic_, element(e.contribution),
          e.before == kNone
              ? ", the first to arrive"
              : fmt::format(" (was {}, now {})", element(e.before), element(e.after))));
    } else if (e.before == kNone) {
      line(e.in_grad ? fmt::format("It goes into the grad of {}, where nothing was.", name(e.node))
                     : fmt::format("It is the first to arrive: so far, it is {}.", sum));
    } else {
      line(fmt::format("It is added to what was there of {}:", sum));
      show("was", e.before);
      show("now", e.after);
    }
    if (e.before != kNone) tensors.emplace_back(sum + " before", e.before);
    tensors.emplace_back(sum, e.after);
    if (e.fused) line("(The product added itself to the sum, in one go.)");
  }

  void operator()(const ZeroGrad& e) {
    title = "gradients are dropped";
    line("Forgotten, so that the next ones do not add to them: " + list(e.nodes) + ".");
  }

  void operator()(const Clip& e) {
    title = e.scale == 1 ? "gradients are short enough" : "gradients are clipped";
    line(fmt::format("As one vector they have the norm {}, and {} is allowed{}",
                     number_text(e.norm), number_text(e.max_norm),
                     e.scale == 1
                         ? ": nothing changes."
                         : fmt::format(": each is multiplied by {}.", number_text(e.scale))));
    for (const Clip::Clipped& clipped : e.gradients) {
      if (e.scale != 1) show(fmt::format("dL/d({})", name(clipped.node)), clipped.after);
    }
  }

  void operator()(const Update& e) {
    title = fmt::format("{} updates {}", e.optimizer, name(e.node));
    line(fmt::format("Its step number {}, at the learning rate {}.", e.step, number_text(e.lr)));
    show("gradient", e.gradient);
    for (const Update::Kept& kept : e.kept) {
      show(kept.name + " was", kept.before);
      show(kept.name + " is", kept.after);
    }
    show("the parameter was", e.before);
    show("the parameter is", e.after);
  }

  void operator()(const Change& e) {
    if (e.before == kNone && begin_ + 1 < end_)
      return show(fmt::format("before, dL/d({})", name(e.node)), e.after);
    const std::string what =
        e.of == Change::Of::value ? name(e.node) : fmt::format("dL/d({})", name(e.node));
    title = what + " was changed by the program";
    line(e.of == Change::Of::upstream ? "A hook put another gradient in its place."
                                      : "Not by an op on the tape: in place, or by a hook.");
    show("was", e.before);
    show("now", e.after);
  }

  void operator()(const TrainingStep& e) {
    title = fmt::format("step {} of the training begins", e.number);
  }

 private:
  const Numbers& numbers(Id id) const { return trace_.numbers[id]; }
  std::string name(Id id) const { return label(trace_, id); }
  bool is_one(Id id) const { return numbers(id).complete && numbers(id).values.numel() == 1; }
  std::string element(Id id, std::int64_t at = 0) const {
    return at < numbers(id).values.numel() ? number_text(numbers(id).values, at) : "?";
  }
  void line(const std::string& text) { body += "\n  " + one_line(text); }
  void show(const std::string& what, Id id) {
    if (id == kNone) return;
    line(fmt::format("{} = {}", what, brief(numbers(id))));
    tensors.emplace_back(one_line(what), id);
  }

  void tell_where(const Node& which) {
    std::string where = which.place.empty() ? "" : "in module " + which.place;
    if (!which.site.empty()) where += (where.empty() ? "at " : ", at ") + which.site;
    if (!where.empty()) title += ", " + where;
  }

  void tell_measured(const Contribution& e, const Numbers& gradient) {
    if (e.measured.empty()) return;
    const auto slope = [](const Measured& each) {
      return fmt::format("{:.6g} (± {:.1g})", each.slope, each.error);
    };
    const Measured& first = e.measured.front();
    std::string text = "Measured by finite differences";
    if (gradient.sizes.numel() == 1) {
      text += fmt::format(": {}.", slope(first));
    } else if (e.measured.size() == 1) {
      text += fmt::format(": nothing rises here but by {}.", slope(first));
    } else {
      const Measured& other = e.measured.back();
      text += fmt::format(
          ": along {} L rises by {} a unit, its norm says {:.6g}; in a direction that was drawn by "
          "{}, where it says {:.6g}.",
          gradient.complete ? "this gradient" : "the corner of it that is kept", slope(first),
          first.expected, slope(other), other.expected);
    }
    line(text);
    if (e.differs())
      line(
          "These differ! At a kink a difference sees both sides of it, and behind a detach or a "
          "hook the gradient means to be another. Elsewhere the rule of this op, or of one before "
          "it on the way back, is wrong.");
  }

  // "L" of "L = -Σ log p", "y" of "n = x / m, y = n · w".
  static std::string result_letter(const Op& op) {
    if (op.formula.find(", y = ") != std::string::npos) return "y";
    const std::size_t equals = op.formula.find(" = ");
    return equals == 1 ? op.formula.substr(0, 1) : "y";
  }

  // ", x is constant #0, W is 0.weight": of those that the rule speaks of by another name.
  std::string operands(const Node& made, const Op& op, std::string_view rule) const {
    std::string text;
    for (const auto& [i, each] : spoken_of(op, rule, made.inputs.size())) {
      if (made.inputs[i] != kNone && name(made.inputs[i]) != each)
        text += fmt::format(", {} is {}", each, name(made.inputs[i]));
    }
    return text;
  }

  std::string list(const std::vector<Id>& nodes) const {
    std::string text;
    for (const Id each : nodes) text += (text.empty() ? "" : ", ") + name(each);
    return text;
  }

  // The arithmetic of one element: of all, when there is one.
  void tell_element(const Contribution& e, const std::string& x) {
    if (e.local == kNone || e.upstream[0] == kNone) return;
    const Id product = e.unsummed != kNone ? e.unsummed : e.gradient;
    const Shape& sizes = numbers(product).sizes;
    if (sizes.numel() == 0) return;
    const std::int64_t at = telling_element(e, product);
    const std::string terms =
        fmt::format("{} · {}", element(e.upstream[0], at), element(e.local, at));
    if (is_one(product)) {
      const std::string rule =
          rule_of(trace_.ops[trace_.nodes[e.node].op], e.input, trace_.nodes[e.node].inputs.size());
      const std::size_t equals = rule.find(" = ");
      const std::string right = equals == std::string::npos ? rule : rule.substr(equals + 3);
      arithmetic_ = fmt::format("{} = {} = ", right == "g" ? "g · dy/d" + x : right, terms);
    } else {
      line(fmt::format("{} of g · dy/d{}: {} = {}",
                       at == 0 ? "The first element" : "Element " + place(product, at), x, terms,
                       element(product, at)));
    }
  }

  // The first that is not 0: 0 · 0.5 = 0 would say little. All three were kept alike, or it is 0.
  std::int64_t telling_element(const Contribution& e, Id product) const {
    const Tensor& values = numbers(product).values;
    for (const Id each : {e.upstream[0], e.local})
      if (numbers(each).values.sizes() != values.sizes()) return 0;
    for (std::int64_t at = 0; at < values.numel(); ++at)
      if (const std::string text = element(product, at); text != "0" && text != "-0") return at;
    return 0;
  }
  std::string place(Id id, std::int64_t at) const {
    const Shape& sizes = numbers(id).values.sizes();
    Shape indices = sizes;
    for (int d = sizes.size() - 1; d >= 0; --d) {
      indices[d] = at % sizes[d];
      at /= sizes[d];
    }
    return fmt::format("{}", indices);
  }

  const Trace& trace_;
  const std::size_t begin_, end_;
  const State* const state_;
  std::string arithmetic_;  // "g · b = 0.8 · 2 = " when the step is about one number
};

}  // namespace

Story::Story(const Trace& trace) : trace_(trace), state_(trace) {
  const std::vector<Event>& events = trace.events;
  for (std::size_t i = 0; i < events.size(); ++i) {
    const bool is_last = i + 1 == events.size();
    if (!is_last && (is_introduction(trace, events[i]) || is_added_by(events[i], events[i + 1])))
      continue;
    ends_.push_back(i + 1);
  }
}

std::string Story::title(std::size_t k) const { return Teller(trace_, begin(k), end(k)).title; }

std::string Story::text(std::size_t k) const {
  const Teller teller(trace_, begin(k), end(k), &after(k));
  return teller.title + teller.body;
}

std::vector<std::pair<std::string, Id>> Story::tensors(std::size_t k) const {
  return Teller(trace_, begin(k), end(k), &after(k)).tensors;
}

const State& Story::after(std::size_t k) const {
  state_.go_to(end(k));
  return state_;
}

// Of several events introductions come first, and the sum after what is added.
std::size_t Story::main_event(std::size_t k) const {
  std::size_t i = begin(k);
  while (i + 1 < end(k) && is_introduction(trace_, trace_.events[i])) ++i;
  return i;
}

Id Story::node(std::size_t k) const {
  const std::vector<Id> nodes = nodes_of(trace_.events[main_event(k)]);
  return nodes.size() == 1 ? nodes[0] : kNone;
}

bool Story::involves(std::size_t k, Id node) const {
  for (std::size_t i = begin(k); i < end(k); ++i) {
    const std::vector<Id> nodes = nodes_of(trace_.events[i]);
    if (std::find(nodes.begin(), nodes.end(), node) != nodes.end()) return true;
  }
  return false;
}

bool Story::is_non_finite(std::size_t k) const {
  for (const auto& [name, id] : Teller(trace_, begin(k), end(k)).tensors) {
    if (trace_.numbers[id].non_finite > 0) return true;
  }
  return false;
}

}  // namespace retrace::trace
