#include <retrace/autograd/anomaly.h>
#include <retrace/autograd/backprop.h>
#include <retrace/autograd/notes.h>
#include <retrace/autograd/observer.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/trap.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/kernels/loop.h>
#include <retrace/tensor/view.h>

#include <algorithm>

namespace retrace {
namespace {

// Nobody else can see the numbers, and they fill their shape one to one.
bool is_private(const Tensor& x) {
  const TensorData& data = x.get();
  return data.references.count() == 1 && data.storage->references.count() == 1 && data.contiguous &&
         !data.producer && !data.storage->owner;
}

void add_in_place(const Tensor& sum, const Tensor& gradient) {
  visit_float(sum.dtype(), "backward", [&]<class T>() {
    kernels::map<T, T, T>([](T a, T b) { return a + b; }, sum, sum, gradient);
  });
}

}  // namespace

Tensor& Backprop::Slot::at(std::uint32_t output) {
  if (output == 0) return gradient;
  if (!others) others = std::make_unique<std::vector<Tensor>>();
  if (others->size() < output) others->resize(output);
  return (*others)[output - 1];
}

Backprop::Slot& Backprop::slot_of(Node& node) {
  // The hint is wrong when another pass over the same nodes began after this one.
  const std::size_t hint = node.position_.load(std::memory_order_relaxed);
  if (hint < tape_.size() && tape_[hint].node.get() == &node) [[likely]]
    return tape_[hint];
  return *std::lower_bound(
      tape_.begin(), tape_.end(), node.number(),
      [](const Slot& slot, std::uint64_t number) { return slot.node->number() > number; });
}

// Running it ------------------------------------------------------------------------------------

void Backprop::run(std::size_t until) {
  const std::size_t end = std::min(until, tape_.size());
  const bool is_watched = ObserverScope::current() != nullptr || trap_node() != 0;
  while (next_ < end) {
    if (is_watched) {
      step();
    } else {
      advance(nullptr);
    }
  }
}

bool Backprop::Slot::reached() const {
  return gradient.defined() || (others && std::any_of(others->begin(), others->end(),
                                                      [](const Tensor& g) { return g.defined(); }));
}

void Backprop::leave(Slot& slot) {
  slot.gradient = {};
  slot.others.reset();
  if (!retain_graph_ && slot.needed) slot.node->release_saved();
}

// Nodes that no gradient reached, or that lead to nothing asked for, take no step.
void Backprop::pass_over() {
  for (; !done(); ++next_) {
    Slot& slot = tape_[next_];
    const bool reached = slot.reached();
    if (reached && slot.needed) return;
    if (reached) finish_outputs(slot);
    leave(slot);
  }
}

namespace {

// A hook that goes back through itself without end would use up the stack.
constexpr int kMaxNested = 500;
thread_local constinit int nested = 0;

struct Nested {
  Nested() {
    require<AutogradError>(nested < kMaxNested,
                           "backward: {} passes are nested in each other's hooks; collect what a "
                           "hook needs and go back after the outer pass",
                           nested);
    ++nested;
  }
  ~Nested() { --nested; }
};

}  // namespace

void Backprop::advance(Step* step) {
  const Nested depth;
  const AnomalyMode::Backward backward;
  try {
    take(step);
  } catch (...) {
    // Half a step cannot be repeated: its first gradients are under way.
    next_ = tape_.size();
    leaf_sums_.clear();
    observer_ = nullptr;
    throw;
  }
}

void Backprop::take(Step* step) {
  pass_over();
  if (!done()) {
    Slot& slot = tape_[next_];
    finish_outputs(slot);
    if (step == nullptr) {
      run_node(slot);
    } else {
      run_node_watched(slot, *step);
    }
    leave(slot);
    ++next_;
  }
  pass_over();
  if (done()) finish();
}

// The gradients of the node's outputs are complete: hooks, retained gradients, targets.
void Backprop::finish_outputs(Slot& slot) {
  Node& node = *slot.node;
  if (node.notes_) [[unlikely]] {
    NodeNotes& notes = *node.notes_;
    // A hook may add hooks; they count from the next pass on.
    for (std::size_t h = 0, count = notes.hooks.size(); h < count; ++h) {
      Tensor& gradient = slot.at(notes.hooks[h].output);
      if (!gradient.defined()) continue;
      gradient = through_hook(*notes.hooks[h].call, gradient);
      if (observer_ != nullptr)
        observer_->on_hooks({slot.node, nullptr, notes.hooks[h].output}, gradient, pass_);
    }
    for (const auto& retained : notes.retained) {
      const Tensor& gradient = slot.at(retained.output);
      if (gradient.defined() && !for_inputs_) add_to_grad(*retained.tensor, gradient);
    }
  }
  if (!slot.asked) return;
  for (Target& target : targets_) {
    if (target.node == slot.node) target.gradient = slot.at(target.output);
  }
}

Tensor Backprop::through_hook(GradientHook& hook, const Tensor& gradient) const {
  const Tensor changed = call_hook(hook, gradient);
  return changed.requires_grad() && !create_graph_ ? changed.detach() : changed;
}

void Backprop::run_rule(Slot& slot, Gradients& gradients) {
  Node& node = *slot.node;
  if (node.released_) [[unlikely]]
    node.check_saved();  // freed since this pass began: by a hook, or a pass taking turns
  const AutoGradMode mode(create_graph_);
  node.backward_outputs(slot.gradient, slot.others.get(), gradients);
}

// The gradient of one input, checked and in the input's shape; undefined where it is zero or where
// the op added it itself.
Tensor Backprop::take_given(Node& node, std::size_t i, Gradients& gradients) {
  Tensor gradient = gradients.take(i);
  const Edge& edge = node.input(i);
  if (!gradient.defined()) return gradient;
  if (gradient.sizes() != edge.sizes()) {
    const AutoGradMode mode(create_graph_);
    gradient = sum_to(gradient, edge.sizes(), node.name());
  }
  if (AnomalyMode::is_enabled()) [[unlikely]]
    watch_gradient(node, i, gradient, /*summed=*/false, slot_of(node).gradient);
  return gradient;
}

void Backprop::run_node(Slot& slot) {
  Node& node = *slot.node;
  Gradients gradients(*this, node, /*apart=*/false);
  run_rule(slot, gradients);
  for (std::size_t i = 0; i < node.inputs(); ++i) {
    if (!gradients.wants(i)) continue;
    if (Tensor gradient = take_given(node, i, gradients); gradient.defined())
      route(node, i, std::move(gradient));
  }
}

void Backprop::route(Node& node, std::size_t input, Tensor gradient) {
  const Edge& edge = node.input(input);
  const bool watched = AnomalyMode::is_enabled() && sum_at(edge).defined();
  if (edge.leaf) {
    into_leaf(edge.leaf, std::move(gradient));
  } else {
    add_to_sum(slot_of(*edge.node).at(edge.output), std::move(gradient), edge);
  }
  if (watched) [[unlikely]]
    watch_gradient(node, input, sum_at(edge), /*summed=*/true, slot_of(node).gradient);
}

// What arrived so far where the edge leads.
Tensor Backprop::sum_at(const Edge& edge) {
  if (edge.node) return slot_of(*edge.node).at(edge.output);
  const auto position = leaf_positions_.find(edge.leaf.get());
  if (position != leaf_positions_.end()) return leaf_sums_[position->second].gradient;
  return for_inputs_ ? Tensor() : Tensor(edge.leaf->grad);
}

void Backprop::into_leaf(const Ref<TensorData>& leaf, Tensor gradient) {
  if (!for_inputs_ && leaf->hooks == nullptr) return add_to_grad(*leaf, std::move(gradient));
  auto position = leaf_positions_.find(leaf.get());
  if (position == leaf_positions_.end()) {
    if (for_inputs_) return;  // not asked for
    position = leaf_positions_.emplace(leaf.get(), leaf_sums_.size()).first;
    leaf_sums_.push_back({leaf, {}});
  }
  add_to_sum(leaf_sums_[position->second].gradient, std::move(gradient), {nullptr, leaf, 0});
}

// A sum of this pass.
void Backprop::add_to_sum(Tensor& sum, Tensor gradient, const Edge& to) {
  if (observer_ == nullptr) [[likely]]
    return accumulate(sum, std::move(gradient));
  accumulate_watched(sum, std::move(gradient), to, /*in_grad=*/false);
}

// Taken out of the tensor meanwhile, so that the sum may be private, and put back even when adding
// throws.
void Backprop::add_to_grad(TensorData& tensor, Tensor gradient) {
  struct Borrowed {
    TensorData& from;
    Tensor sum;
    ~Borrowed() { from.grad = std::move(sum).ref(); }
  } borrowed{tensor, Tensor(std::move(tensor.grad))};
  // Others may see this gradient as well (add gives the same one to both inputs): take a copy, or
  // changing one grad would change the other.
  if (!borrowed.sum.defined() && !is_private(gradient)) {
    const AutoGradMode mode(create_graph_);
    const ObserverScope nobody;  // a copy is no step of the pass
    gradient = gradient.clone();
  }
  if (observer_ == nullptr) [[likely]]
    return accumulate(borrowed.sum, std::move(gradient));
  const Edge to = edge_to(Tensor(Ref<TensorData>::share(&tensor)));
  accumulate_watched(borrowed.sum, std::move(gradient), to, /*in_grad=*/true);
}

void Backprop::accumulate(Tensor& sum, Tensor gradient) {
  if (!sum.defined()) {
    sum = std::move(gradient);
  } else if (!create_graph_ && is_private(sum)) {
    add_in_place(sum, gradient);
  } else {
    const AutoGradMode mode(create_graph_);
    sum = add(sum, gradient);
  }
}

// End of the pass: leaves whose gradient had to be complete first, and what was asked for.
void Backprop::finish() {
  for (LeafSum& entry : leaf_sums_) {
    if (!entry.gradient.defined()) continue;
    if (entry.leaf->hooks != nullptr) {
      // A hook may add hooks; they count from the next pass on.
      const auto& hooks = entry.leaf->hooks->hooks;
      for (std::size_t h = 0, count = hooks.size(); h < count; ++h)
        entry.gradient = through_hook(*hooks[h], entry.gradient);
      if (observer_ != nullptr)
        observer_->on_hooks({nullptr, entry.leaf, 0}, entry.gradient, pass_);
    }
    if (!for_inputs_) add_to_grad(*entry.leaf, std::move(entry.gradient));
  }
  for (Target& target : targets_) {
    if (target.leaf) target.gradient = leaf_sums_[leaf_positions_.at(target.leaf.get())].gradient;
  }
  leaf_sums_.clear();
  for (Target& target : targets_) {
    Tensor& gradient = target.gradient;
    if (gradient.defined() && !create_graph_ && !is_private(gradient))
      gradient = contiguous_copy(gradient);
  }
}

std::vector<Tensor> Backprop::gradients() const {
  std::vector<Tensor> result;
  for (const Target& target : targets_) result.push_back(target.gradient);
  return result;
}

// What a rule gives -------------------------------------------------------------------------------

Gradients::Gradients(Backprop& pass, Node& node, bool apart)
    : pass_(&pass), node_(node), apart_(apart) {
  given_.reset(node.inputs());
  for (std::size_t i = 0; i < given_.size(); ++i)
    given_[i].wanted = node.wants(i) && (!pass.for_inputs_ || pass.is_needed(node.input(i)));
}

Gradients::Gradients(Node& node, const std::vector<Tensor>& tangents) : node_(node), apart_(false) {
  given_.reset(node.inputs());
  for (std::size_t i = 0; i < given_.size(); ++i)
    given_[i].wanted = node.wants(i) && tangents[i].defined();
}

Tensor Gradients::take(std::size_t i) {
  Tensor gradient = std::move(given_[i].gradient);
  const Edge& edge = node_.input(i);
  // (Not require(): the name, a virtual call, is for those who fail.)
  if (!given_[i].answered) [[unlikely]] {
    fail<AutogradError>(
        "{}: backward gave no gradient for input {} of shape {}; give one, or an undefined tensor "
        "where it is zero",
        node_.name(), i, edge.sizes());
  }
  if (gradient.defined() && gradient.dtype() != edge.dtype()) [[unlikely]] {
    fail<DTypeError>(
        "{}: backward gave input {} of shape {} a {} gradient, it is {}; give one of its dtype",
        node_.name(), i, edge.sizes(), gradient.dtype(), edge.dtype());
  }
  return gradient;
}

void Gradients::refuse(std::size_t i) const {
  fail<AutogradError>("{}: backward gave a gradient for input {}, the node has {}; count from 0",
                      node_.name(), i, node_.inputs());
}

// The sum of this input is also that of one which the op adds to already.
bool Gradients::is_shared(std::size_t i) const {
  const Edge& edge = node_.input(i);
  for (std::size_t k = 0; k < given_.size(); ++k) {
    const Edge& other = node_.input(k);
    if (k != i && given_[k].fused && other.node == edge.node && other.leaf == edge.leaf &&
        other.output == edge.output)
      return true;
  }
  return false;
}

Tensor Gradients::accumulator(std::size_t i) {
  if (i >= given_.size()) refuse(i);
  if (!given_[i].wanted || pass_ == nullptr || pass_->create_graph_ || AnomalyMode::is_enabled() ||
      is_shared(i))
    return {};
  const Edge& edge = node_.input(i);
  Tensor sum;
  if (edge.node) {
    const Tensor& inner = pass_->slot_of(*edge.node).at(edge.output);
    if (!inner.defined() || !is_private(inner)) return {};
    sum = inner;
  } else {
    if (!edge.leaf || pass_->for_inputs_ || edge.leaf->hooks != nullptr || !edge.leaf->grad)
      return {};
    sum = Tensor(std::move(edge.leaf->grad));
    const bool usable = is_private(sum);
    edge.leaf->grad = sum.ref();
    if (!usable) return {};
  }
  given_[i].fused = true;
  if (apart_) return {};
  given_[i].answered = true;
  return sum;
}

// What people call ------------------------------------------------------------------------------

void Tensor::backward(const Tensor& gradient, bool retain_graph, bool create_graph) const {
  Backprop(*this, {gradient, retain_graph, create_graph}).run();
}

std::vector<Tensor> grad(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
                         const std::vector<Tensor>& grad_outputs, bool retain_graph,
                         bool create_graph, bool allow_unused) {
  Backprop pass(outputs, grad_outputs, &inputs, retain_graph, create_graph);
  pass.run();
  std::vector<Tensor> gradients = pass.gradients();
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    require<AutogradError>(gradients[i].defined() || allow_unused,
                           "grad: the outputs do not depend on input {} of shape {}; pass "
                           "allow_unused = true to get an undefined gradient for it",
                           i, inputs[i].sizes());
  }
  return gradients;
}

}  // namespace retrace
