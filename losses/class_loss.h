#pragma once

// Losses of rows of scores with a class as the target of each. A loss is a rule for one row:
//
//   struct Nll {
//     static constexpr std::string_view op = "nll_loss", formula = "L = -w(t) · x(t), reduced",
//                                       gradient = "dx = -g · w(t) / n at t, 0 elsewhere";
//     template <class T> T loss(const ClassRow<T>& row) const { return -row[row.target]; }
//     template <class T> void slopes(const ClassRow<T>& row, T g, T* dx) const {
//       dx[row.target] = -g;  // dx comes as zeros
//     }
//     Tensor by_ops(const Tensor& rows, const Tensor& target) const {  // for second derivatives
//       return -at_class(rows, target);
//     }
//   };
//   return class_loss(Nll(), input, target, {.weight = weight, .reduction = reduction});
//
// Rows that are ignored, the weight of each class, the reduction and the node are written once.
// For .cpp files.

#include <retrace/autograd/composite.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/indexing.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/losses/class_targets.h>

#include <array>

namespace retrace::losses {

/// One row of scores and its class.
template <class T>
struct ClassRow {
  const T* scores;
  std::int64_t classes, target;
  T operator[](std::int64_t k) const { return scores[k]; }
};

struct ClassLossOptions {
  Tensor weight = {};  ///< of each class: multiplies the loss of its rows
  std::string_view weight_name = "weight";
  bool weighted_mean = false;  ///< divide a mean by the weights of the rows, else by their number
  std::optional<std::int64_t> ignore_index = {};
  Reduction reduction = Reduction::mean;
};

/// The tensors of a call, row-major.
struct ClassCall {
  Tensor scores, target, weight;
  std::int64_t classes;
  std::optional<std::int64_t> ignore_index;

  /// f(index, row, weight) for each row that is not ignored, on all threads.
  template <class T, class F>
  void for_rows(F f) const {
    const T *z = elements<const T>(scores),
            *w = weight.defined() ? elements<const T>(weight) : nullptr;
    const auto* t = elements<const std::int64_t>(target);
    parallel_for(
        target.numel(), kernels::grain_of(classes), [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t r = begin; r < end; ++r) {
            if (ignore_index && t[r] == *ignore_index) continue;
            f(r, ClassRow<T>{z + r * classes, classes, t[r]}, w == nullptr ? T(1) : w[t[r]]);
          }
        });
  }
};

/// rows[r, target[r]] of each row.
inline Tensor at_class(const Tensor& rows, const Tensor& target) {
  return gather(rows, 1, target.unsqueeze(1)).squeeze(1);
}

template <class Rule>
struct ClassLossNode final : NodeOf<ClassLossNode<Rule>> {
  static constexpr std::string_view op = Rule::op, formula = Rule::formula,
                                    gradient = Rule::gradient;
  ClassLossNode(const Rule& r, const Shape& sizes, std::optional<std::int64_t> ignore,
                const Reducing& how)
      : rule(r), input_sizes(sizes), ignore_index(ignore), reducing(how) {}

  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor input = bounded_input(*this, 0);
    const ClassCall call{class_rows(input), this->saved_extra(0),
                         has_weight ? this->saved_extra(1) : Tensor(), class_count(input_sizes),
                         ignore_index};
    if (GradMode::is_enabled()) {
      return recorded_backward(std::array{input}, {g}, gradients,
                               [&] { return by_ops(input, call); });
    }
    const Tensor dx = zeros(call.scores.sizes(), g.dtype());
    visit_float(g.dtype(), op, [&]<class T>() {
      const RowUpstream<T> upstream(g, reducing);
      T* out = elements<T>(dx);
      call.for_rows<T>([&](std::int64_t r, const ClassRow<T>& row, T weight) {
        rule.slopes(row, upstream(r) * weight, out + r * row.classes);
      });
    });
    gradients.give(0, from_class_rows(dx, input_sizes));
  }

  Tensor by_ops(const Tensor& input, const ClassCall& call) const {
    // An ignored row has weight 0, and some class.
    const Tensor classes = zeros({call.target.numel()}, kInt64);
    const Tensor weights = zeros({call.target.numel()}, input.dtype());
    const Tensor ignored = ones({call.target.numel()}, kBool);
    visit_float(input.dtype(), op, [&]<class T>() {
      call.for_rows<T>([&](std::int64_t r, const ClassRow<T>& row, T weight) {
        elements<std::int64_t>(classes)[r] = row.target;
        elements<T>(weights)[r] = weight;
        elements<bool>(ignored)[r] = false;
      });
    });
    // What an ignored row holds has no effect, be it NaN.
    const Tensor rows = masked_fill(recorded_class_rows(input), ignored.unsqueeze(1), 0);
    return recorded_reduction(rule.by_ops(rows, classes) * weights, call.target.sizes(), reducing);
  }

  Rule rule;
  Shape input_sizes;
  std::optional<std::int64_t> ignore_index;
  Reducing reducing;
  bool has_weight = false;
};

/// The rule's loss of each row of [N, C], [C] or [N, C, d1, ...], reduced. All checks are made, and
/// nothing was computed when one fails.
template <class Rule>
Tensor class_loss(const Rule& rule, const Tensor& input, const Tensor& target,
                  const ClassLossOptions& options) {
  check_scores(Rule::op, input, target);
  refuse_batchmean(Rule::op, options.reduction);
  check_class_weight(Rule::op, options.weight_name, input, options.weight);
  const double divisor =
      check_classes(Rule::op, input, target, options.weighted_mean ? options.weight : Tensor(),
                    options.ignore_index);
  const Reducing reducing{options.reduction, divisor};
  const ClassCall call{class_rows(input), as_contiguous(target),
                       options.weight.defined() ? as_contiguous(options.weight) : Tensor(),
                       class_count(input.sizes()), options.ignore_index};
  const Tensor losses = zeros(target.sizes(), input.dtype());
  visit_float(input.dtype(), Rule::op, [&]<class T>() {
    T* out = elements<T>(losses);
    call.for_rows<T>([&](std::int64_t r, const ClassRow<T>& row, T weight) {
      out[r] = weight * rule.loss(row);
    });
  });
  return record<ClassLossNode<Rule>>(
      reduce_rows(losses, reducing), {&input},
      [&](auto& node) {
        node.save_input(0, input);
        node.save_extra(call.target);
        node.has_weight = call.weight.defined();
        if (node.has_weight) node.save_extra(call.weight);
      },
      rule, input.sizes(), options.ignore_index, reducing);
}

}  // namespace retrace::losses
