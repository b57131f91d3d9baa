#pragma once

// Losses of one input and one target, element by element, reduced in the same node. A loss is a
// rule as in autograd/elementwise.h, with y(x, t), dy_da(x, t) by the input and dy_db(x, t) by the
// target; `reduced<Rule>(input, target, reduction)` is all that is left to call. For .cpp files.

#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/view.h>
#include <retrace/losses/reduction.h>
#include <retrace/tensor/kernels/softmax.h>

#include <vector>

namespace retrace::losses {

/// Σ rule.y(x, t) over n elements: chunks in order, so that any number of threads gives one result.
template <class Rule, class T>
double summed(const Rule& rule, const T* x, const T* t, std::int64_t n) {
  constexpr std::int64_t kPiece = 1024;
  const auto sum_chunk = [&](std::int64_t begin, std::int64_t end) {
    T values[kPiece];
    double sum = 0;
    for (std::int64_t i = begin; i < end; i += kPiece) {
      const std::int64_t count = std::min(kPiece, end - i);
      kernels::dense_row([rule](T a, T b) { return rule.y(a, b); }, count, values, x + i, t + i);
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

template <class Rule>
struct ElementwiseLossNode final : NodeOf<ElementwiseLossNode<Rule>> {
  static constexpr std::string_view op = Rule::op, formula = Rule::formula,
                                    gradient = Rule::gradient;
  ElementwiseLossNode(const Rule& r, Reduction how) : rule(r), reduction(how) {}

  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor x = this->saved_input(0), t = this->saved_input(1);
    if (GradMode::is_enabled() || reduction == Reduction::none) {
      Tensor upstream = reduction == Reduction::mean ? scale(g, weight_of_one(x)) : g;
      if (reduction != Reduction::none) upstream = upstream.expand(x.sizes());
      if (gradients.wants(0)) gradients.give(0, binary_backward<0>(rule, upstream, x, t));
      if (gradients.wants(1)) gradients.give(1, binary_backward<1>(rule, upstream, x, t));
      return;
    }
    const double factor =
        g.item<double>() * (reduction == Reduction::mean ? weight_of_one(x) : 1.0);
    if (gradients.wants(0)) gradients.give(0, times_slope<0>(factor, x, t));
    if (gradients.wants(1)) gradients.give(1, times_slope<1>(factor, x, t));
  }

 private:
  static double weight_of_one(const Tensor& x) { return 1.0 / static_cast<double>(x.numel()); }

  template <int Side>
  Tensor times_slope(double factor, const Tensor& x, const Tensor& t) const {
    Tensor d = empty(x.sizes(), x.dtype());
    visit_float(x.dtype(), Rule::op, [&]<class T>() {
      kernels::map<T, T, T>([r = rule, f = static_cast<T>(factor)](
                                T a, T b) { return f * partial_at<Side>(r, a, b); },
                            d, x, t);
    });
    return d;
  }

  Rule rule;
  Reduction reduction;
};

/// rule.y of each element of input and target (of one shape and floating dtype), reduced: mean
/// divides by the number of elements.
template <class Rule>
Tensor reduced(const Tensor& input, const Tensor& target, Reduction reduction,
               const Rule& rule = {}) {
  require_defined(Rule::op, {&input, &target});
  require_same_dtype(Rule::op, input, target);
  require<ShapeError>(input.sizes() == target.sizes(),
                      "{}: input is {}, target {}; they must be equal, nothing is broadcast: "
                      "reshape one of them",
                      Rule::op, input.sizes(), target.sizes());
  Tensor y = visit_float(input.dtype(), Rule::op, [&]<class T>() {
    if (reduction == Reduction::none) return binary_value(input, target, rule);
    const Tensor x = as_contiguous(input), t = as_contiguous(target);
    double sum = summed(rule, elements<const T>(x), elements<const T>(t), x.numel());
    if (reduction == Reduction::mean) sum /= static_cast<double>(x.numel());
    return full({}, sum, x.dtype());
  });
  return record<ElementwiseLossNode<Rule>>(
      std::move(y), {&input, &target},
      [&](auto& node) {
        node.save_input(0, input);
        node.save_input(1, target);
      },
      rule, reduction);
}

}  // namespace retrace::losses
