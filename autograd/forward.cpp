#include <retrace/autograd/backprop.h>
#include <retrace/autograd/forward.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/view.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

namespace retrace {
namespace {

/// The tangents on the tape, each at the place where a gradient of that tensor would go.
class Tangents {
 public:
  /// Of an input: what flows to it from behind does not count.
  void fix(const Edge& edge, const Tensor& tangent) {
    at(edge.node, edge.leaf, edge.output) = {tangent, true};
  }
  void set(const Ref<Node>& node, std::uint32_t output, Tensor tangent) {
    Entry& entry = at(node, nullptr, output);
    if (!entry.fixed) entry.tangent = std::move(tangent);
  }
  bool is_fixed(const Edge& edge) const {
    const Entry* entry = find(edge);
    return entry != nullptr && entry->fixed;
  }
  Tensor get(const Edge& edge) const {
    const Entry* entry = find(edge);
    return entry != nullptr ? entry->tangent : Tensor();
  }

 private:
  struct Entry {
    Tensor tangent;
    bool fixed = false;
  };
  static const void* key(const Node* node, const TensorData* leaf) {
    return node != nullptr ? static_cast<const void*>(node) : leaf;
  }
  Entry& at(const Ref<Node>& node, const Ref<TensorData>& leaf, std::uint32_t output) {
    std::vector<Entry>& entries = entries_[key(node.get(), leaf.get())];
    if (entries.size() <= output) entries.resize(output + 1);
    return entries[output];
  }
  const Entry* find(const Edge& edge) const {
    const auto found = entries_.find(key(edge.node.get(), edge.leaf.get()));
    return found != entries_.end() && edge.output < found->second.size()
               ? &found->second[edge.output]
               : nullptr;
  }

  std::unordered_map<const void*, std::vector<Entry>> entries_;
};

/// The nodes between the fixed tensors and the outputs, oldest first.
std::vector<Ref<Node>> nodes_behind(const std::vector<Tensor>& outputs, const Tangents& tangents) {
  std::vector<Ref<Node>> found;
  std::unordered_set<const Node*> seen;
  const auto visit_node = [&](const Edge& edge) {
    if (edge.node && !tangents.is_fixed(edge) && seen.insert(edge.node.get()).second)
      found.push_back(edge.node);
  };
  for (const Tensor& output : outputs) visit_node(edge_to(output));
  for (std::size_t i = 0; i < found.size(); ++i) {
    const Ref<Node> node = found[i];
    for (std::size_t k = 0; k < node->inputs(); ++k) visit_node(node->input(k));
  }
  std::sort(found.begin(), found.end(),
            [](const Ref<Node>& a, const Ref<Node>& b) { return a->number() < b->number(); });
  return found;
}

void push_through(const Ref<Node>& node, Tangents& tangents) {
  std::vector<Tensor> of_inputs;
  for (std::size_t k = 0; k < node->inputs(); ++k)
    of_inputs.push_back(tangents.get(node->input(k)));
  const auto is_defined = [](const Tensor& tangent) { return tangent.defined(); };
  if (std::none_of(of_inputs.begin(), of_inputs.end(), is_defined)) return;
  node->check_saved();
  std::vector<Tensor> of_outputs = node->jvp(of_inputs);
  for (std::uint32_t k = 0; k < of_outputs.size(); ++k) {
    Tensor& tangent = of_outputs[k];
    if (!tangent.defined()) continue;
    require<AutogradError>(
        tangent.sizes() == node->output_sizes(k) && tangent.dtype() == node->output_dtype(k),
        "{}: jvp gave output {} of {} {} a tangent of {} {}; give one of its shape and dtype",
        node->name(), k, node->output_dtype(k), node->output_sizes(k), tangent.dtype(),
        tangent.sizes());
    tangents.set(node, k, std::move(tangent));
  }
}

bool is_zero(const Tensor& x) {
  const std::vector<double> values = x.to_vector<double>();
  return std::all_of(values.begin(), values.end(), [](double value) { return value == 0; });
}

}  // namespace

std::vector<Tensor> push_tangents(const std::vector<Tensor>& outputs,
                                  const std::vector<Tensor>& inputs,
                                  const std::vector<Tensor>& tangents) {
  const NoGradGuard guard;
  Tangents on_tape;
  for (std::size_t i = 0; i < inputs.size(); ++i)
    if (tangents[i].defined()) on_tape.fix(edge_to(inputs[i]), tangents[i]);
  for (const Ref<Node>& node : nodes_behind(outputs, on_tape)) push_through(node, on_tape);
  std::vector<Tensor> result;
  for (const Tensor& output : outputs) result.push_back(on_tape.get(edge_to(output)));
  return result;
}

Tensor sum_of_tangents(const Tensor& a, const Tensor& b) {
  return !a.defined() ? b : !b.defined() ? a : add(a, b);
}

// What a node does by default -------------------------------------------------------------------

// The derivative of an elementwise op by one input is a diagonal matrix, its own transpose:
// backward multiplies a tangent by it as it does an upstream gradient.
std::vector<Tensor> Node::jvp(const std::vector<Tensor>& tangents) {
  if (!is_elementwise()) return transposed_backward(tangents);
  const NoGradGuard guard;
  Tensor sum;
  for (std::size_t k = 0; k < inputs(); ++k) {
    if (!tangents[k].defined()) continue;
    std::vector<Tensor> alone(inputs());
    alone[k] = tangents[k];
    Gradients gradients(*this, alone);
    backward(expand(tangents[k].to(dtype_), sizes_), gradients);
    const Tensor part = gradients.take(k);
    if (!part.defined()) continue;
    if (part.sizes() != sizes_) return transposed_backward(tangents);  // summed up by the rule
    sum = sum_of_tangents(sum, part.to(dtype_));
  }
  return {sum};
}

// Backward maps upstream gradients u to Σ Jᵀ u; Jt is the gradient of Σ <Jᵀ u, t> with respect to
// u.
std::vector<Tensor> Node::transposed_backward(const std::vector<Tensor>& tangents) {
  std::vector<Tensor> upstream;
  for (std::uint32_t k = 0; k <= other_outputs_.size(); ++k)
    upstream.push_back(ones(output_sizes(k), output_dtype(k)).requires_grad_());
  Gradients gradients(*this, tangents);
  {
    const EnableGradGuard recording;
    const SavedAsLeaves bounded;  // what lies behind this node is no part of it
    const std::vector<Tensor> others(upstream.begin() + 1, upstream.end());
    backward_outputs(upstream[0], others.empty() ? nullptr : &others, gradients);
  }
  std::vector<Tensor> given, directions;
  for (std::size_t i = 0; i < inputs(); ++i) {
    if (!gradients.wants(i)) continue;
    const Tensor gradient = gradients.take(i);
    if (!gradient.defined()) continue;
    if (gradient.requires_grad()) {
      given.push_back(gradient);
      // Of a broadcast input: the sum of the gradient over the repeats is left to this product.
      directions.push_back(
          without_recording([&] { return expand(tangents[i], gradient.sizes()); }));
    } else {
      require<AutogradError>(
          is_zero(gradient),
          "{}: no tangents of inputs {} can be computed: backward is not written "
          "with tensor ops; do so, or override jvp",
          name(), input(i).sizes());
    }
  }
  if (given.empty()) return std::vector<Tensor>(upstream.size());
  return grad(given, upstream, directions, /*retain_graph=*/false, /*create_graph=*/false,
              /*allow_unused=*/true);
}

}  // namespace retrace
