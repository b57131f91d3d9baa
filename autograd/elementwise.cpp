#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>

namespace retrace {
namespace {

/// g times a partial derivative of a rule. Its inputs are g and what the derivative is computed
/// from.
class PartialNode final : public Node {
 public:
  PartialNode(const AnyRule& rule, std::size_t side) : rule_(rule), side_(side) {}
  std::string_view name() const override { return rule_->op; }
  std::string_view formula_text() const override { return rule_->gradient; }
  std::string_view gradient_text() const override {
    return inputs() == 2 ? "the derivative of dx by g and by x"
                         : "the derivative of that by g and by each input";
  }
  bool is_elementwise() const override { return true; }

  void backward(const Tensor& upstream, Gradients& gradients) override {
    if (gradients.wants(0)) {
      Operands operands;
      operands.add(upstream);
      operands.add_inputs_of(*this, 1);
      gradients.give(0, partial(rule_, side_, operands.get()));
    }
    for (std::size_t k = 1; k < inputs(); ++k)
      if (gradients.wants(k)) gradients.give(k, second(upstream, k));
  }

 private:
  // Rarely needed: computed in double whatever the dtype, which halves what is compiled.
  Tensor second(const Tensor& upstream, std::size_t by) const {
    require<AutogradError>(
        !GradMode::is_enabled(),
        "{}: third derivatives are not available; go back without create_graph here", rule_->op);
    const Tensor g = saved_input(0);
    Operands operands;
    operands.add(upstream.to(kFloat64) * g.to(kFloat64));
    for (std::size_t k = 1; k < inputs(); ++k) operands.add(saved_input(k).to(kFloat64));
    const Tensor d = empty(g.sizes(), kFloat64);
    const SecondOf which = {rule_.numbers(), by - 1};
    kernels::map_rows(rule_->sides[side_].second, &which, d, operands.get());
    return d.to(g.dtype());
  }

  AnyRule rule_;
  std::size_t side_;
};

class ElementwiseNode final : public Node {
 public:
  explicit ElementwiseNode(const AnyRule& rule) : rule_(rule) {}
  std::string_view name() const override { return rule_->op; }
  std::string_view formula_text() const override { return rule_->formula; }
  std::string_view gradient_text() const override { return rule_->gradient; }
  bool is_elementwise() const override { return true; }

  void backward(const Tensor& g, Gradients& gradients) override {
    Operands operands;
    operands.add(g);
    if (rule_->from_output) {
      operands.add(saved_output());
    } else {
      operands.add_inputs_of(*this);
    }
    for (std::size_t side = 0; side < inputs(); ++side)
      if (gradients.wants(side)) gradients.give(side, partial(rule_, side, operands.get()));
  }

 private:
  AnyRule rule_;
};

}  // namespace

void refuse_undefined(std::string_view op, std::initializer_list<const Tensor*> inputs) {
  const auto undefined = std::find_if(inputs.begin(), inputs.end(),
                                      [](const Tensor* input) { return !input->defined(); });
  fail<ValueError>(
      "{}: argument {} is an undefined tensor (default-constructed or moved from); "
      "give it a value first",
      op, undefined - inputs.begin());
}

void require_same_dtype(std::string_view op, const Tensor& a, const Tensor& b) {
  require<DTypeError>(a.dtype() == b.dtype(),
                      "{}: operands are {} {} and {} {}; convert one with .to({})", op, a.dtype(),
                      a.sizes(), b.dtype(), b.sizes(), a.dtype());
}

Tensor partial(const AnyRule& rule, std::size_t side, std::span<const Tensor* const> operands) {
  const Tensor& g = *operands[0];
  const SideLoops& loops = rule->sides[side];
  const bool is_float = visit_float(g.dtype(), rule->op, []<class T>() { return sizeof(T) == 4; });
  Tensor d = empty(g.sizes(), g.dtype());
  kernels::map_rows(is_float ? loops.slope_float : loops.slope_double, rule.numbers(), d, operands);
  return record<PartialNode>(
      rule->op, std::move(d), operands,
      [&](PartialNode& node) {
        for (std::size_t k = 0; k < operands.size(); ++k) node.save_input(k, *operands[k]);
      },
      rule, side);
}

Tensor record_elementwise(Tensor y, const AnyRule& rule,
                          std::initializer_list<const Tensor*> inputs) {
  return record<ElementwiseNode>(
      rule->op, y, std::span(inputs.begin(), inputs.size()),
      [&](ElementwiseNode& node) {
        if (rule->from_output) return node.save_output(y);
        std::size_t k = 0;
        for (const Tensor* input : inputs) node.save_input(k++, *input);
      },
      rule);
}

Tensor binary_output(std::string_view op, const Tensor& a, const Tensor& b) {
  require_defined(op, {&a, &b});
  require_same_dtype(op, a, b);
  return a.sizes() == b.sizes() ? empty(a.sizes(), a.dtype())
                                : empty(broadcast_shapes(op, a.sizes(), b.sizes()), a.dtype());
}

}  // namespace retrace
