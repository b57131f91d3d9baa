// What a backward pass goes over: the nodes between outputs and leaves, and those of them that lead
// to what was asked for.

#include <retrace/autograd/backprop.h>
#include <retrace/autograd/observer.h>
#include <retrace/autograd/trap.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

#include <algorithm>

namespace retrace {
namespace {

std::atomic<std::uint64_t> next_pass{1};

Tensor seed_for(const Tensor& output, const Tensor& gradient) {
  require<ValueError>(output.defined(),
                      "backward: an undefined tensor (default-constructed or moved from) has no "
                      "gradient; give it a value first");
  require<AutogradError>(
      output.requires_grad(),
      "backward: the tensor of shape {} has no history: nothing that it was computed from "
      "wants a gradient, or recording was off; call requires_grad_() on the leaves",
      output.sizes());
  if (!gradient.defined()) {
    require<AutogradError>(
        output.numel() == 1,
        "backward: only a scalar can start without a gradient, this tensor is {}; "
        "reduce it with .sum() or .mean(), or pass a gradient of its shape",
        output.sizes());
    return ones(output.sizes(), output.dtype());
  }
  require<ShapeError>(gradient.sizes() == output.sizes(),
                      "backward: the gradient is {}, the tensor {}; give one of the tensor's shape",
                      gradient.sizes(), output.sizes());
  require<DTypeError>(gradient.dtype() == output.dtype(),
                      "backward: the gradient is {}, the tensor {}; convert with .to(dtype)",
                      gradient.dtype(), output.dtype());
  return gradient;
}

}  // namespace

Backprop::Backprop(const Tensor& output, const BackwardOptions& options)
    : Backprop({output}, {options.gradient}, nullptr, options.retain_graph, options.create_graph) {}

Backprop::Backprop(const std::vector<Tensor>& outputs, const std::vector<Tensor>& gradients,
                   const std::vector<Tensor>* inputs, bool retain_graph, bool create_graph)
    : pass_(next_pass.fetch_add(1, std::memory_order_relaxed)),
      for_inputs_(inputs != nullptr),
      retain_graph_(retain_graph || create_graph),
      create_graph_(create_graph) {
  trap_node();  // a wrong one is refused before anything is changed
  require<AutogradError>(gradients.empty() || gradients.size() == outputs.size(),
                         "backward: {} gradients for {} outputs; give one for each",
                         gradients.size(), outputs.size());
  std::vector<Tensor> seeds(outputs.size());
  for (std::size_t i = 0; i < outputs.size(); ++i)
    seeds[i] = seed_for(outputs[i], gradients.empty() ? Tensor() : gradients[i]);
  if (inputs != nullptr) set_targets(*inputs);
  collect(outputs);
  if (for_inputs_) leave_out_unneeded();
  for (const Slot& slot : tape_) {
    if (slot.needed) slot.node->check_saved();
  }
  observer_ = ObserverScope::current();
  if (observer_ != nullptr) observer_->on_backward(*this);
  seed(outputs, seeds);
  if (tape_.empty()) finish();
  observer_ = nullptr;
}

Backprop::~Backprop() = default;

void Backprop::set_targets(const std::vector<Tensor>& inputs) {
  oldest_ = std::numeric_limits<std::uint64_t>::max();
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    require<ValueError>(inputs[i].defined(),
                        "grad: input {} is an undefined tensor (default-constructed or moved "
                        "from); give it a value first",
                        i);
    const Edge edge = edge_to(inputs[i]);
    require<AutogradError>(static_cast<bool>(edge),
                           "grad: input {} of shape {} wants no gradient; call requires_grad_() "
                           "before computing with it",
                           i, inputs[i].sizes());
    targets_.push_back({edge.node, edge.output, edge.leaf, {}});
    oldest_ = std::min(oldest_, edge.node ? edge.node->number() : 0);
    if (edge.leaf && leaf_positions_.emplace(edge.leaf.get(), leaf_sums_.size()).second)
      leaf_sums_.push_back({edge.leaf, {}});
  }
}

void Backprop::collect(const std::vector<Tensor>& outputs) {
  std::vector<Node*> found;
  const auto visit_node = [&](Node* node) {
    if (node == nullptr || node->pass_.load(std::memory_order_relaxed) == pass_) return;
    node->pass_.store(pass_, std::memory_order_relaxed);
    found.push_back(node);
  };
  for (const Tensor& output : outputs) visit_node(output.get().producer.get());
  for (std::size_t i = 0; i < found.size(); ++i) {
    for (const Edge& edge : found[i]->edges_)
      if (edge.node && edge.node->number() >= oldest_) visit_node(edge.node.get());
  }
  const auto newer = [](const Node* a, const Node* b) { return a->number() > b->number(); };
  if (!std::is_sorted(found.begin(), found.end(), newer))
    std::sort(found.begin(), found.end(), newer);
  tape_.resize(found.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    tape_[i].node = Ref<Node>::share(found[i]);
    found[i]->position_.store(static_cast<std::uint32_t>(i), std::memory_order_relaxed);
  }
}

// Oldest first, so that a node is decided after all that lie behind it.
void Backprop::leave_out_unneeded() {
  for (const Target& target : targets_) {
    // One that the outputs do not depend on is not on the tape.
    if (target.node && target.node->pass_.load(std::memory_order_relaxed) == pass_)
      slot_of(*target.node).asked = true;
  }
  for (std::size_t i = tape_.size(); i-- > 0;) {
    const Node& node = *tape_[i].node;
    tape_[i].needed = std::any_of(node.edges_.begin(), node.edges_.end(),
                                  [&](const Edge& edge) { return is_needed(edge); });
  }
}

// It leads to one of the inputs asked for.
bool Backprop::is_needed(const Edge& edge) {
  if (edge.leaf) return leaf_positions_.contains(edge.leaf.get());
  if (!edge.node || edge.node->number() < oldest_) return false;
  const Slot& slot = slot_of(*edge.node);
  return slot.needed ||
         (slot.asked && std::any_of(targets_.begin(), targets_.end(), [&](const Target& target) {
            return target.node == edge.node && target.output == edge.output;
          }));
}

void Backprop::seed(const std::vector<Tensor>& outputs, const std::vector<Tensor>& gradients) {
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const TensorData& data = outputs[i].get();
    if (data.producer) {
      add_to_sum(slot_of(*data.producer).at(data.output), gradients[i], edge_to(outputs[i]));
    } else {
      into_leaf(outputs[i].ref(), gradients[i]);
    }
  }
}

std::vector<Ref<Node>> Backprop::tape() const {
  std::vector<Ref<Node>> nodes;
  for (const Slot& slot : tape_) {
    if (slot.needed) nodes.push_back(slot.node);
  }
  return nodes;
}

}  // namespace retrace
