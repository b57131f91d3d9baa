// A pass while somebody watches, one step at a time. What is shown are copies, and every number
// comes from the same calls as in a pass that nobody watches.

#include <retrace/autograd/backprop.h>
#include <retrace/autograd/observer.h>
#include <retrace/autograd/trap.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

#include <ostream>

namespace retrace {

Step Backprop::step() {
  require<ValueError>(!done(), "step: the pass is done after {} nodes; make a new one",
                      tape_.size());
  Step step;
  observer_ = ObserverScope::current();
  advance(&step);
  observer_ = nullptr;
  return step;
}

// A copy, so that whoever keeps it does not keep the engine from adding in place.
Tensor Backprop::shown(const Tensor& x) const {
  return !x.defined() || create_graph_ ? x : contiguous_copy(x);
}

void Backprop::run_node_watched(Slot& slot, Step& step) {
  Node& node = *slot.node;
  Gradients apart(*this, node, /*apart=*/true);
  run_rule(slot, apart);

  step.node = slot.node;
  step.pass = pass_;
  step.upstream.push_back(shown(slot.gradient));
  if (slot.others) {
    for (const Tensor& other : *slot.others) step.upstream.push_back(shown(other));
  }
  for (std::vector<Tensor>* of_inputs : {&step.gradients, &step.local, &step.unsummed})
    of_inputs->resize(node.inputs());
  std::vector<Tensor> gradients(node.inputs());
  bool any_fused = false;
  for (std::size_t i = 0; i < node.inputs(); ++i) {
    if (!apart.wants(i)) continue;
    const Tensor given = apart.given_[i].gradient;
    if (given.defined() && given.sizes() != node.input(i).sizes()) step.unsummed[i] = shown(given);
    gradients[i] = take_given(node, i, apart);
    step.gradients[i] = shown(gradients[i]);
    any_fused = any_fused || apart.given_[i].fused;
  }
  find_local_derivatives(slot, step);
  if (observer_ != nullptr) observer_->on_step(step);
  if (node.number() == trap_node()) trap(step);

  giving_ = &node;
  if (any_fused) add_fused(slot, step, apart);
  for (std::size_t i = 0; i < node.inputs(); ++i) {
    giving_input_ = i;
    if (gradients[i].defined() && !apart.given_[i].fused) route(node, i, std::move(gradients[i]));
  }
  giving_ = nullptr;
}

void Backprop::find_local_derivatives(Slot& slot, Step& step) {
  Node& node = *slot.node;
  if (!node.is_elementwise()) return;
  const NoGradGuard no_grad;
  Gradients at_ones(*this, node, /*apart=*/true);
  node.backward(ones(node.output_sizes(), node.output_dtype()), at_ones);
  for (std::size_t i = 0; i < node.inputs(); ++i) {
    const Tensor& local = at_ones.given_[i].gradient;
    if (node.wants(i) && local.defined() && local.sizes() == node.output_sizes())
      step.local[i] = contiguous_copy(local);
  }
}

// Products that add themselves to sums do so here, too: adding their results instead could differ
// in the last bits.
void Backprop::add_fused(Slot& slot, const Step& step, const Gradients& apart) {
  Node& node = *slot.node;
  const auto sum_of = [this](const Edge& edge) {
    return edge.node ? slot_of(*edge.node).at(edge.output) : Tensor(edge.leaf->grad);
  };
  std::vector<Tensor> before(node.inputs());
  for (std::size_t i = 0; i < node.inputs(); ++i) {
    if (apart.given_[i].fused) before[i] = contiguous_copy(sum_of(node.input(i)));
  }
  Gradients into_sums(*this, node, /*apart=*/false);
  run_rule(slot, into_sums);
  if (observer_ == nullptr) return;
  for (std::size_t i = 0; i < node.inputs(); ++i) {
    if (!apart.given_[i].fused) continue;
    const Edge& to = node.input(i);
    observer_->on_accumulation({.to = to,
                                .in_grad = static_cast<bool>(to.leaf),
                                .from = &node,
                                .input = i,
                                .before = before[i],
                                .contribution = step.gradients[i],
                                .after = sum_of(to),
                                .pass = pass_,
                                .fused = true});
  }
}

void Backprop::accumulate_watched(Tensor& sum, Tensor gradient, const Edge& to, bool in_grad) {
  const Tensor before = shown(sum), contribution = shown(gradient);
  accumulate(sum, std::move(gradient));
  observer_->on_accumulation({.to = to,
                              .in_grad = in_grad,
                              .from = giving_,
                              .input = giving_input_,
                              .before = before,
                              .contribution = contribution,
                              .after = sum,
                              .pass = pass_});
}

// In words --------------------------------------------------------------------------------------

std::string broadcast_text(const Shape& from, const Shape& to) {
  std::vector<int> axes;
  const int lead = to.size() - from.size();
  for (int d = 0; d < to.size(); ++d) {
    if (d < lead || (from[d - lead] == 1 && to[d] != 1)) axes.push_back(d);
  }
  return fmt::format("summed over {} {}, because {} was broadcast to {}",
                     axes.size() == 1 ? "axis" : "axes", fmt::join(axes, ", "), from, to);
}

std::string Step::str() const {
  if (!node) return "no node took a step: no gradient reached what is left";
  std::string text = fmt::format("{} #{}: {}", node->name(), node->number(), node->gradient_text());
  if (const std::string place = node->place(); !place.empty()) text += "  (" + place + ")";
  const auto append = [&](std::string_view what, std::size_t i, const Tensor& x) {
    if (x.defined()) text += fmt::format("\n  {} {} {}: {}", what, i, x.sizes(), x.str());
  };
  for (std::size_t i = 0; i < upstream.size(); ++i) append("upstream of output", i, upstream[i]);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    append("local derivative by input", i, local[i]);
    append("gradient of input", i, gradients[i]);
    if (unsummed[i].defined())
      text += ", " + broadcast_text(gradients[i].sizes(), unsummed[i].sizes());
  }
  return text;
}

std::ostream& operator<<(std::ostream& out, const Step& step) { return out << step.str(); }

}  // namespace retrace
