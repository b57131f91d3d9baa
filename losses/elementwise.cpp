#include <retrace/losses/elementwise.h>
#include <retrace/losses/reduction.h>
#include <retrace/tensor/kernels/softmax.h>

#include <vector>

namespace retrace::losses {
namespace {

/// Σ y over n elements of dense inputs: chunks in order, so that any number of threads gives one
/// result.
template <class T>
double summed(kernels::DenseRow value, const void* rule, std::int64_t n,
              std::span<const Tensor* const> inputs) {
  constexpr std::int64_t kPiece = 1024;
  const auto sum_chunk = [&](std::int64_t begin, std::int64_t end) {
    T values[kPiece];
    double sum = 0;
    for (std::int64_t i = begin; i < end; i += kPiece) {
      const std::int64_t count = std::min(kPiece, end - i);
      std::byte* at[1 + Operands::kMost] = {reinterpret_cast<std::byte*>(values)};
      for (std::size_t k = 0; k < inputs.size(); ++k)
        at[k + 1] = reinterpret_cast<std::byte*>(elements<T>(*inputs[k]) + i);
      value(rule, count, at);
      sum += kernels::reduce_run(kernels::RowSum<T>(), values, count);
    }
    return sum;
  };
  const std::int64_t chunks = (n + kernels::kReduceChunk - 1) / kernels::kReduceChunk;
  if (chunks <= 1) return sum_chunk(0, n);
  std::vector<double> partial(static_cast<std::size_t>(chunks));
  parallel_chunks(chunks, [&](std::int64_t c) {
    const std::int64_t begin = c * kernels::kReduceChunk;
    partial[static_cast<std::size_t>(c)] =
        sum_chunk(begin, std::min(begin + kernels::kReduceChunk, n));
  });
  double sum = 0;
  for (const double part : partial) sum += part;
  return sum;
}

class LossNode final : public Node {
 public:
  LossNode(const AnyLoss& loss, const Reducing& reducing) : loss_(loss), reducing_(reducing) {}
  std::string_view name() const override { return loss_.rule->op; }
  std::string_view formula_text() const override { return loss_.rule->formula; }
  std::string_view gradient_text() const override { return loss_.rule->gradient; }

  void backward(const Tensor& g, Gradients& gradients) override {
    const bool apart = GradMode::is_enabled() || reducing_.how == Reduction::none;
    for (std::size_t side = 0; side < loss_.rule->sides.size(); ++side)
      if (gradients.wants(side)) gradients.give(side, apart ? of_each(g, side) : of_all(g, side));
    for (std::size_t k = loss_.rule->sides.size(); k < inputs(); ++k) gradients.give(k, {});
  }

 private:
  /// As an elementwise op, of the upstream gradient of each value.
  Tensor of_each(const Tensor& g, std::size_t side) const {
    const double weight = reducing_.weight_of_one();
    Tensor upstream = weight == 1.0 ? g : scale(g, weight);
    if (reducing_.how != Reduction::none) upstream = upstream.expand(saved_input(0).sizes());
    Operands operands;
    operands.add(std::move(upstream));
    operands.add_inputs_of(*this);
    return partial(loss_.rule, side, operands.get());
  }

  /// In one pass: the upstream gradient is one number.
  Tensor of_all(const Tensor& g, std::size_t side) const {
    Operands operands;
    operands.add_inputs_of(*this);
    const ScaledRule scaled = {loss_.rule.numbers(), g.item<double>() * reducing_.weight_of_one()};
    const Tensor d = empty(operands.get()[0]->sizes(), g.dtype());
    kernels::map_rows(loss_.facts->loops(g.dtype()).scaled[side], &scaled, d, operands.get());
    return d;
  }

  AnyLoss loss_;
  Reducing reducing_;
};

}  // namespace

void require_alike(std::string_view op, std::span<const std::string_view> names,
                   std::initializer_list<const Tensor*> inputs) {
  require_defined(op, inputs);
  const Tensor& first = **inputs.begin();
  visit_float(first.dtype(), op, []<class T>() {});
  std::size_t k = 0;
  for (const Tensor* input : inputs) {
    require_same_dtype(op, first, *input);
    require<ShapeError>(first.sizes() == input->sizes(),
                        "{}: {} is {}, {} {}; they must be equal, nothing is broadcast: reshape "
                        "one of them",
                        op, names[0], first.sizes(), names[k], input->sizes());
    ++k;
  }
}

Tensor reduced(const AnyLoss& loss, const Reducing& reducing,
               std::initializer_list<const Tensor*> inputs) {
  const AnyRule& rule = loss.rule;
  require_alike(rule->op, loss.facts->input_names, inputs);
  refuse_batchmean(rule->op, reducing.how);
  Operands at, dense;
  for (const Tensor* input : inputs) {
    const bool constant = at.get().size() >= rule->sides.size();
    at.add(constant && input->requires_grad() ? input->detach() : *input);
  }
  const Tensor& first = **inputs.begin();
  const kernels::DenseRow value = loss.facts->loops(first.dtype()).value;
  Tensor y;
  if (reducing.how == Reduction::none) {
    y = empty(first.sizes(), first.dtype());
    kernels::map_rows(value, rule.numbers(), y, at.get());
  } else {
    for (const Tensor* input : inputs) dense.add(as_contiguous(*input));
    double sum = visit_float(first.dtype(), rule->op, [&]<class T>() {
      return summed<T>(value, rule.numbers(), first.numel(), dense.get());
    });
    if (reducing.how == Reduction::mean) sum /= reducing.divisor;
    y = full_unchecked({}, sum, first.dtype());
  }
  return record<LossNode>(
      rule->op, std::move(y), at.get(),
      [&](LossNode& node) {
        for (std::size_t k = 0; k < at.get().size(); ++k) node.save_input(k, *at.get()[k]);
      },
      loss, reducing);
}

}  // namespace retrace::losses
