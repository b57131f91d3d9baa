#include <fmt/format.h>

#include <retrace/trace/page/data.h>
#include <retrace/trace/page/product.h>
#include <retrace/trace/story.h>

namespace retrace::trace::page {

using nlohmann::json;
namespace {

constexpr std::size_t kClipped = 60;  // gradients of a clipping that a card shows

json ids(const std::vector<Id>& all) {
  json list = json::array();
  for (const Id id : all) list.push_back(id_or_null(id));
  return list;
}

struct EventData {
  json operator()(const Computed& e) const { return {"computed", e.node, e.value}; }
  json operator()(const Seed& e) const {
    return {"seed", e.node, id_or_null(e.before), e.gradient, e.after};
  }
  json operator()(const Contribution& e) const {
    return {"contribution",         e.node,    e.input, ids(e.upstream), id_or_null(e.local),
            id_or_null(e.unsummed), e.gradient};
  }
  json operator()(const Accumulation& e) const {
    return {"accumulation", e.node,  e.in_grad, id_or_null(e.from), e.input, id_or_null(e.before),
            e.contribution, e.after, e.fused};
  }
  json operator()(const ZeroGrad& e) const { return {"zero_grad", ids(e.nodes)}; }
  json operator()(const Clip& e) const {
    json gradients = json::array();
    for (const auto& each : e.gradients)
      gradients.push_back({each.node, id_or_null(each.before), id_or_null(each.after)});
    return {"clip", gradients};
  }
  json operator()(const Update& e) const {
    return {"update", e.node, id_or_null(e.gradient), id_or_null(e.before), id_or_null(e.after)};
  }
  json operator()(const Change& e) const {
    const char* of = e.of == Change::Of::value      ? "value"
                     : e.of == Change::Of::gradient ? "grad"
                                                    : "upstream";
    return {"change", e.node, of, id_or_null(e.before), id_or_null(e.after)};
  }
  json operator()(const TrainingStep& e) const { return {"training_step", e.number}; }
};

struct Phase {
  std::string operator()(const Computed&) const { return "forward"; }
  std::string operator()(const Seed&) const { return "backward"; }
  std::string operator()(const Contribution&) const { return "backward"; }
  std::string operator()(const Accumulation&) const { return "backward"; }
  std::string operator()(const Change&) const { return "change"; }
  std::string operator()(const TrainingStep&) const { return "training"; }
  template <class E>
  std::string operator()(const E&) const {
    return "update";
  }
};

class Fields {
 public:
  Fields(const Trace& trace, const Event* next, const State& state)
      : trace_(trace), next_(next), state_(state) {}

  std::vector<Field> all;

  void operator()(const Computed& e) {
    const Node& made = trace_.nodes[e.node];
    const std::optional<Product> product = product_of(trace_, made);
    for (std::size_t k = 0; k < made.inputs.size(); ++k) {
      if (made.inputs[k] == kNone) continue;
      add("operand", named_input(made, k), state_.of(made.inputs[k]).value, factor(product, k));
    }
    add("value", made.is_leaf() ? "value" : "result y", e.value,
        product ? product->result : Part());
  }
  void operator()(const Seed& e) {
    add("value", "value", state_.of(e.node).value);
    add("before", "gradient before", e.before);
    add("contribution", "dL/dL", e.gradient);
    add("accumulated", "gradient now", e.after);
  }
  void operator()(const Contribution& e) {
    const Node& through = trace_.nodes[e.node];
    const std::string x = letter(through, e.input);
    const Id to = through.inputs[e.input];
    if (to != kNone) add("value", "value of " + named_input(through, e.input), state_.of(to).value);
    const std::optional<Product> product = gradient_product_of(trace_, through, e.input);
    for (const Id each : e.upstream)
      add("upstream", fmt::format("upstream gradient g, of {}", label(trace_, e.node)), each,
          factor(product, Part::kResult));
    for (std::size_t k = 0; k < through.inputs.size(); ++k) {
      const Part part = factor(product, k);
      if (!part.dims.empty())
        add("factor", named_input(through, k), state_.of(through.inputs[k]).value, part);
    }
    add("local", "local derivative dy/d" + x, e.local);
    add("unsummed", "g · dy/d" + x + " before it is summed", e.unsummed);
    add("contribution", "contribution d" + x, e.gradient, product ? product->result : Part());
    if (next_ != nullptr) (*this)(std::get<Accumulation>(*next_));
  }
  void operator()(const Accumulation& e) {
    if (next_ == nullptr) add("contribution", "what arrives", e.contribution);
    const std::string sum = fmt::format("dL/d({})", label(trace_, e.node));
    add("before", sum + " before", e.before);
    add("accumulated", sum + (e.in_grad ? " now, in grad" : " now"), e.after);
  }
  void operator()(const Clip& e) {
    for (std::size_t k = 0; k < std::min(e.gradients.size(), kClipped); ++k) {
      const auto& each = e.gradients[k];
      add("before", fmt::format("dL/d({}) before", label(trace_, each.node)), each.before);
      if (e.scale != 1)
        add("accumulated", fmt::format("dL/d({}) now", label(trace_, each.node)), each.after);
    }
  }
  void operator()(const Update& e) {
    add("upstream", "gradient", e.gradient);
    for (const auto& kept : e.kept) {
      add("kept", kept.name + " before", kept.before);
      add("kept", kept.name + " now", kept.after);
    }
    add("before", label(trace_, e.node) + " before", e.before);
    add("value", label(trace_, e.node) + " now", e.after);
  }
  void operator()(const Change& e) {
    add("before", "before", e.before);
    add(e.of == Change::Of::value ? "value" : "accumulated", "now", e.after);
  }
  void operator()(const ZeroGrad&) {}
  void operator()(const TrainingStep&) {}

 private:
  void add(const std::string& role, std::string label, Id numbers, const Part& part = {}) {
    if (numbers != kNone) all.push_back({role, std::move(label), numbers, part.letter, part.dims});
  }
  // Without dims when that is no factor.
  static Part factor(const std::optional<Product>& product, std::size_t of) {
    if (!product) return {};
    for (const Part& part : product->factors)
      if (part.of == of) return part;
    return {};
  }
  std::string named_input(const Node& made, std::size_t k) const {
    return fmt::format("{}, {}", letter(made, k), label(trace_, made.inputs[k]));
  }
  std::string letter(const Node& made, std::size_t k) const {
    return letter_of(trace_.ops[made.op], k, made.inputs.size());
  }

  const Trace& trace_;
  const Event* const next_;
  const State& state_;
};

}  // namespace

json id_or_null(Id id) { return id == kNone ? json() : json(id); }

json event_data(const Event& event) { return std::visit(EventData(), event); }

std::string phase_of(const Event& event) { return std::visit(Phase(), event); }

std::vector<Field> fields(const Trace& trace, const Event& event, const Event* next,
                          const State& state) {
  Fields fields(trace, next, state);
  std::visit(fields, event);
  return std::move(fields.all);
}

std::string formula(const Trace& trace, const Event& event) {
  if (const auto* e = std::get_if<Computed>(&event)) {
    const Node& made = trace.nodes[e->node];
    return made.is_leaf() ? "" : one_line(trace.ops[made.op].formula);
  }
  if (const auto* e = std::get_if<Contribution>(&event)) {
    const Node& through = trace.nodes[e->node];
    return through.is_leaf()
               ? ""
               : one_line(rule_of(trace.ops[through.op], e->input, through.inputs.size()));
  }
  return "";
}

}  // namespace retrace::trace::page
