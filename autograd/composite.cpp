#include <retrace/autograd/backprop.h>
#include <retrace/autograd/composite.h>
#include <retrace/autograd/forward.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/view.h>

namespace retrace {
namespace {

// To the bit, but that NaN is NaN.
bool same_numbers(const Tensor& a, const Tensor& b) {
  return without_recording([&] {
    return a.sizes() == b.sizes() && visit_number(a.dtype(), "composite", [&]<class T>() {
             const Tensor x = as_contiguous(a.detach()), y = as_contiguous(b.detach());
             return std::equal(elements<const T>(x), elements<const T>(x) + x.numel(),
                               elements<const T>(y),
                               [](T u, T v) { return u == v || (u != u && v != v); });
           });
  });
}

class CompositeNode final : public Node {
 public:
  CompositeNode(const CompositeTexts& texts, CompositeBody body, const Tensor& inner,
                std::vector<Tensor> leaves)
      : texts_(texts),
        body_(std::move(body)),
        inner_(inner),
        leaves_(std::move(leaves)),
        version_(inner.version()) {}
  std::string_view name() const override { return texts_.op; }
  std::string_view formula_text() const override { return texts_.formula; }
  std::string_view gradient_text() const override { return texts_.gradient; }

  void backward(const Tensor& upstream, Gradients& gradients) override {
    if (!GradMode::is_enabled())
      return retrace_inner({inner_}, leaves_, {upstream}, /*create_graph=*/false, gradients);
    std::vector<Tensor> originals(leaves_.size());
    for (std::size_t k = 0; k < leaves_.size(); ++k)
      if (leaves_[k].defined()) originals[k] = bounded_input(*this, k);
    recorded_backward(originals, {upstream}, gradients, [&] {
      const Tensor again = body_(originals);
      // What the body holds besides its inputs is under no version.
      require<AutogradError>(
          inner_.version() != version_ || same_numbers(again, inner_),
          "{}: something that it was computed from has been changed in place since; compute a new "
          "tensor instead, or clone() first",
          texts_.op);
      return again;
    });
  }
  // Along the inner tape.
  std::vector<Tensor> jvp(const std::vector<Tensor>& tangents) override {
    return push_tangents({inner_}, leaves_, tangents);
  }
  void release_saved() override {
    inner_ = {};
    leaves_.clear();
    Node::release_saved();
  }

 private:
  CompositeTexts texts_;
  CompositeBody body_;
  Tensor inner_;                // its producer is the end of the inner tape
  std::vector<Tensor> leaves_;  // of the inner tape
  std::uint32_t version_;       // of what it computed
};

struct BoundaryNode final : NodeOf<BoundaryNode> {
  static constexpr std::string_view op = "saved_input", formula = "y = x, as it was saved",
                                    gradient = "dx = g";
  void backward(const Tensor& g, Gradients& gradients) override { gradients.give(0, g); }
};

Tensor behind_boundary(const Tensor& numbers, const Tensor& input) {
  const ObserverScope nobody;
  return record<BoundaryNode>(numbers.detach(), {&input}, [](BoundaryNode&) {});
}

}  // namespace

Tensor bounded_input(const Node& node, std::size_t i) {
  const Tensor input = node.saved_input(i);
  if (!GradMode::is_enabled() || !input.requires_grad()) return input;
  // A leaf may have other numbers by now, if what was saved is a copy.
  return behind_boundary(without_recording([&] { return node.saved_input(i); }), input);
}

Tensor linear_input(const Node& node, std::size_t i) {
  if (!node.wants(i)) return {};
  const Tensor any = zeros(node.input(i).sizes(), node.input(i).dtype());
  return behind_boundary(any, any.detach().requires_grad_());
}

void retrace_inner(const std::vector<Tensor>& inner, std::span<const Tensor> inputs,
                   const std::vector<Tensor>& upstream, bool create_graph, Gradients& gradients) {
  std::vector<Tensor> wanted;
  std::vector<std::size_t> positions;
  for (std::size_t k = 0; k < inputs.size(); ++k) {
    if (!gradients.wants(k)) continue;
    wanted.push_back(inputs[k]);
    positions.push_back(k);
  }
  const ObserverScope nobody;  // whoever watches sees one op
  // Where no gradient can flow, as past a threshold, the inner tape may be empty.
  std::vector<Tensor> outputs, arriving, found(wanted.size());
  for (std::size_t k = 0; k < inner.size(); ++k) {
    if (!upstream[k].defined() || !inner[k].requires_grad()) continue;
    outputs.push_back(inner[k]);
    arriving.push_back(upstream[k]);
  }
  if (!outputs.empty())
    found = grad(outputs, wanted, arriving, /*retain_graph=*/true, create_graph,
                 /*allow_unused=*/true);
  for (std::size_t i = 0; i < wanted.size(); ++i) gradients.give(positions[i], found[i]);
}

Tensor record_composite(const CompositeTexts& texts, CompositeBody body,
                        std::span<const Tensor* const> inputs) {
  std::vector<Tensor> leaves;
  for (const Tensor* input : inputs) {
    const bool wants = input->defined() && input->requires_grad();
    leaves.push_back(wants ? input->detach().requires_grad_() : *input);
  }
  Tensor inner;
  {
    const ObserverScope nobody;  // whoever watches is told of one op
    inner = body(leaves);
  }
  return record<CompositeNode>(
      texts.op, inner.detach(), inputs,
      [&](CompositeNode& node) {
        for (std::size_t k = 0; k < inputs.size(); ++k)
          if (inputs[k]->defined()) node.save_input(k, *inputs[k]);
      },
      texts, std::move(body), inner, std::move(leaves));
}

}  // namespace retrace
