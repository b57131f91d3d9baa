#pragma once

// Losses that are computed element by element and reduced in the same node. A loss is a rule as in
// autograd/elementwise.h of as many inputs as it needs, all of one shape and floating dtype:
//
//   struct Mse {
//     static constexpr std::string_view op = "mse_loss", formula = "y = (x - t)², reduced",
//                                       gradient = "dx = 2 g · (x - t) / n, dt = -dx";
//     template <class T> T y(T x, T t) const { return (x - t) * (x - t); }
//     template <class T> T dy_da(T x, T t) const { return T(2) * (x - t); }
//   };
//   return reduced(Mse(), reduction, input, target);
//
// Optional in a rule: `constants = k`, the last k inputs get no gradient whatever they are, and
// `inputs`, an array with the inputs' names for messages. For .cpp files.

#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/view.h>
#include <retrace/losses/reducing.h>
#include <retrace/tensor/kernels/softmax.h>

#include <vector>

namespace retrace::losses {

template <class Rule>
constexpr std::size_t constants_of() {
  if constexpr (requires { Rule::constants; }) {
    return Rule::constants;
  } else {
    return 0;
  }
}

/// Σ rule.y(x...) over n elements: chunks in order, so that any number of threads gives one result.
template <class Rule, class T, class... Rest>
double summed(const Rule& rule, std::int64_t n, const T* first, const Rest*... rest) {
  constexpr std::int64_t kPiece = 1024;
  const auto sum_chunk = [&](std::int64_t begin, std::int64_t end) {
    T values[kPiece];
    double sum = 0;
    for (std::int64_t i = begin; i < end; i += kPiece) {
      const std::int64_t count = std::min(kPiece, end - i);
      kernels::dense_row([rule](auto... x) { return rule.y(x...); }, count, values, first + i,
                         (rest + i)...);
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

template <class Rule, std::size_t N>
struct ElementwiseLossNode final : NodeOf<ElementwiseLossNode<Rule, N>> {
  static constexpr std::string_view op = Rule::op, formula = Rule::formula,
                                    gradient = Rule::gradient;
  ElementwiseLossNode(const Rule& r, const Reducing& how) : rule(r), reducing(how) {}

  void backward(const Tensor& g, Gradients& gradients) override {
    [&]<std::size_t... K>(std::index_sequence<K...>) {
      const std::array<Tensor, N> at = {this->saved_input(K)...};
      [&]<std::size_t... Side>(std::index_sequence<Side...>) {
        (give<Side>(g, gradients, at[K]...), ...);
      }
      (std::make_index_sequence<N - constants_of<Rule>()>());
    }
    (std::make_index_sequence<N>());
    for (std::size_t k = N - constants_of<Rule>(); k < N; ++k) gradients.give(k, {});
  }

 private:
  template <std::size_t Side, class... Tensors>
  void give(const Tensor& g, Gradients& gradients, const Tensors&... at) const {
    if (!gradients.wants(Side)) return;
    const std::array<const Tensor*, N> inputs = {&at...};
    const Shape& sizes = inputs[0]->sizes();
    const double weight = reducing.weight_of_one();
    if (GradMode::is_enabled() || reducing.how == Reduction::none) {
      Tensor upstream = weight == 1.0 ? g : scale(g, weight);
      if (reducing.how != Reduction::none) upstream = upstream.expand(sizes);
      return gradients.give(Side, partial<Rule, Side>(rule, upstream, at...));
    }
    Tensor d = empty(sizes, g.dtype());
    visit_float(g.dtype(), Rule::op, [&]<class T>() {
      const auto scaled = [r = rule, f = static_cast<T>(g.item<double>() * weight)](auto... x) {
        return f * partial_at<Side>(r, x...);
      };
      kernels::map<T, std::conditional_t<true, T, Tensors>...>(scaled, d, at...);
    });
    gradients.give(Side, std::move(d));
  }

  Rule rule;
  Reducing reducing;
};

/// The name of input k of a rule, for messages.
template <class Rule>
std::string_view input_name(std::size_t k) {
  if constexpr (requires { Rule::inputs; }) {
    return Rule::inputs[k];
  } else {
    return k == 0 ? "input" : "target";
  }
}

/// DTypeError or ShapeError naming the inputs of a rule unless they have one floating dtype and one
/// shape.
template <class Rule, class... Tensors>
void require_alike(const Tensor& first, const Tensors&... rest) {
  require_defined(Rule::op, {&first, &rest...});
  visit_float(first.dtype(), Rule::op, []<class T>() {});
  std::size_t k = 0;
  for (const Tensor* other : std::initializer_list<const Tensor*>{&rest...}) {
    ++k;
    require_same_dtype(Rule::op, first, *other);
    require<ShapeError>(first.sizes() == other->sizes(),
                        "{}: {} is {}, {} {}; they must be equal, nothing is broadcast: reshape "
                        "one of them",
                        Rule::op, input_name<Rule>(0), first.sizes(), input_name<Rule>(k),
                        other->sizes());
  }
}

/// rule.y of each element of the inputs, reduced. All checks are made, and nothing was computed
/// when one fails.
template <class Rule, class... Tensors>
Tensor reduced(const Rule& rule, const Reducing& reducing, const Tensor& first,
               const Tensors&... rest) {
  require_alike<Rule>(first, rest...);
  refuse_batchmean(Rule::op, reducing.how);
  constexpr std::size_t kInputs = 1 + sizeof...(rest);
  const Tensor* given[] = {&first, &rest...};
  return [&]<std::size_t... K>(std::index_sequence<K...>) {
    const auto input = [&](std::size_t k) {
      const bool constant = k >= kInputs - constants_of<Rule>();
      return constant && given[k]->requires_grad() ? given[k]->detach() : *given[k];
    };
    const std::array<Tensor, kInputs> at = {input(K)...};
    Tensor y = visit_float(first.dtype(), Rule::op, [&]<class T>() {
      if (reducing.how == Reduction::none) {
        Tensor values = empty(first.sizes(), first.dtype());
        kernels::map<T, decltype(T(K))...>([rule](auto... x) { return rule.y(x...); }, values,
                                           at[K]...);
        return values;
      }
      const std::array<Tensor, kInputs> dense = {as_contiguous(at[K])...};
      double sum = summed(rule, first.numel(), elements<const T>(dense[K])...);
      if (reducing.how == Reduction::mean) sum /= reducing.divisor;
      return full({}, sum, first.dtype());
    });
    return record<ElementwiseLossNode<Rule, kInputs>>(
        std::move(y), {&at[K]...}, [&](auto& node) { (node.save_input(K, at[K]), ...); }, rule,
        reducing);
  }
  (std::make_index_sequence<kInputs>());
}

/// With the number of elements as the divisor of a mean.
template <class Rule, class... Tensors>
Tensor reduced(const Rule& rule, Reduction how, const Tensor& first, const Tensors&... rest) {
  require_defined(Rule::op, {&first});
  return reduced(rule, Reducing::over(how, first.numel()), first, rest...);
}

}  // namespace retrace::losses
