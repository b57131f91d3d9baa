#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/joining.h>
#include <retrace/autograd/ops/rearranging.h>
#include <retrace/autograd/ops/reduced.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/scan.h>
#include <retrace/tensor/kernels/softmax.h>

namespace retrace {
namespace {

// Sum and mean ------------------------------------------------------------------------------------

template <class T>
struct Sum {
  using Acc = std::conditional_t<std::is_floating_point_v<T>, double, std::int64_t>;
  using Out = std::conditional_t<std::is_floating_point_v<T>, T, std::int64_t>;
  Acc initial() const { return 0; }
  Acc step(Acc acc, T x) const { return math::plus(acc, static_cast<Acc>(x)); }
  Acc combine(Acc a, Acc b) const { return math::plus(a, b); }
  Out finish(Acc acc) const { return static_cast<Out>(acc); }
};

template <class T>
struct Mean : Sum<T> {
  double count;
  explicit Mean(std::int64_t n) : count(static_cast<double>(n)) {}
  T finish(double acc) const { return static_cast<T>(acc / count); }
};

struct SumNode final : NodeOf<SumNode> {
  static constexpr std::string_view op = "sum", formula = "y = Σ x", gradient = "dx = g, repeated";
  SumNode(const Shape& with_ones, const Shape& full) : kept_as_one(with_ones), sizes(full) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, g.reshape(kept_as_one).expand(sizes));
  }
  Shape kept_as_one, sizes;
};

struct MeanNode final : NodeOf<MeanNode> {
  static constexpr std::string_view op = "mean", formula = "y = Σ x / n",
                                    gradient = "dx = g / n, repeated";
  MeanNode(const Shape& with_ones, const Shape& full, std::int64_t n)
      : kept_as_one(with_ones), sizes(full), count(n) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, div(g, static_cast<double>(count)).reshape(kept_as_one).expand(sizes));
  }
  Shape kept_as_one, sizes;
  std::int64_t count;
};

Tensor sum_over(const Tensor& x, const Shape* dims, bool keepdim) {
  require_defined("sum", {&x});
  const Reduced reduced("sum", x, dims);
  Tensor y = empty(reduced.sizes(keepdim), is_floating(x.dtype()) ? x.dtype() : kInt64);
  visit(x.dtype(), [&]<class T>() {
    kernels::reduce<T, typename Sum<T>::Out>(Sum<T>(), y, x, reduced.marked);
  });
  return record<SumNode>(
      std::move(y), {&x}, [](SumNode&) {}, reduced.kept_as_one, x.sizes());
}

Tensor mean_over(const Tensor& x, const Shape* dims, bool keepdim) {
  require_defined("mean", {&x});
  const Reduced reduced("mean", x, dims);
  Tensor y = empty(reduced.sizes(keepdim), x.dtype());
  visit_float(x.dtype(), "mean", [&]<class T>() {
    kernels::reduce<T, T>(Mean<T>(reduced.count), y, x, reduced.marked);
  });
  return record<MeanNode>(
      std::move(y), {&x}, [](MeanNode&) {}, reduced.kept_as_one, x.sizes(), reduced.count);
}

// Product -----------------------------------------------------------------------------------------

template <class T>
struct Product {
  using Acc = typename Sum<T>::Acc;
  using Out = typename Sum<T>::Out;
  Acc initial() const { return 1; }
  Acc step(Acc acc, T x) const { return math::times(acc, static_cast<Acc>(x)); }
  Acc combine(Acc a, Acc b) const { return math::times(a, b); }
  Out finish(Acc acc) const { return static_cast<Out>(acc); }
};

struct ProdNode final : NodeOf<ProdNode> {
  static constexpr std::string_view op = "prod", formula = "y = Π x",
                                    gradient = "dx = g · the product of the others";
  ProdNode(const Shape& with_ones, std::optional<int> d) : kept_as_one(with_ones), dim(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    // In double as the product itself: parts of it may overflow where the whole does not.
    const Tensor x = saved_input(0).to(kFloat64);
    const Tensor line = dim ? x : x.reshape({x.numel()});
    const int d = dim.value_or(0);
    // Of the elements before times of those behind: no division, so zeros do no harm.
    const Tensor before = cumprod_exclusive(line, d);
    const Tensor behind = flip(cumprod_exclusive(flip(line, {d}), d), {d});
    const Tensor others = mul(before, behind).reshape(x.sizes());
    gradients.give(0, mul(g.reshape(kept_as_one).to(kFloat64), others).to(g.dtype()));
  }
  Shape kept_as_one;
  std::optional<int> dim;
};

Tensor prod_over(const Tensor& x, const Shape* dims, bool keepdim) {
  require_defined("prod", {&x});
  const Reduced reduced("prod", x, dims);
  Tensor y = empty(reduced.sizes(keepdim), is_floating(x.dtype()) ? x.dtype() : kInt64);
  visit(x.dtype(), [&]<class T>() {
    kernels::reduce<T, typename Product<T>::Out>(Product<T>(), y, x, reduced.marked);
  });
  std::optional<int> dim;
  if (dims != nullptr && x.dim() > 0) dim = static_cast<int>(reduced.dims[0]);
  return record<ProdNode>(
      std::move(y), {&x}, [&](ProdNode& node) { node.save_input(0, x); }, reduced.kept_as_one, dim);
}

// Logarithm of a sum of exponentials
// ----------------------------------------------------------------

/// Σ exp(x - max) but for the 1 of the largest itself: its digits are those of a small logarithm.
template <class T>
struct SumBesidesOne : Sum<T> {
  T finish(double acc) const { return static_cast<T>(acc - 1); }
};

/// exp(x - max), also where both are infinite.
template <class T>
[[gnu::always_inline]] inline T power_below(T x, T max) {
  const T power = math::exp(x - max);
  return math::select(x == max, T(1), power);
}

/// factor · exp(x - max), 0 for x = -∞.
Tensor scaled_powers(const Tensor& x, const Tensor& max, const Tensor& factor) {
  Tensor y = empty(x.sizes(), x.dtype());
  visit_float(x.dtype(), "logsumexp", [&]<class T>() {
    kernels::map<T, T, T, T>(
        [](T a, T m, T f) {
          const T scaled = f * power_below(a, m);
          return math::select(a == -std::numeric_limits<T>::infinity(), T(0), scaled);
        },
        y, x, max, factor);
  });
  return y;
}

/// Each element's share of the sum. Its derivatives are made of itself, so it can be gone back
/// through any number of times.
struct ShareOfSumNode final : NodeOf<ShareOfSumNode> {
  static constexpr std::string_view op = "logsumexp", formula = "w = exp(x) / Σ exp(x)",
                                    gradient = "dx = w · (g - Σ g w)";
  explicit ShareOfSumNode(const Shape& d) : dims(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor w = saved_output(), slope = mul(g, w);
    gradients.give(0, sub(slope, mul(w, sum(slope, dims, /*keepdim=*/true))));
  }
  Shape dims;
};

/// Keeps the largest and 1 / Σ exp(x - max): of a large y, rounded, exp(x - y) would be wrong.
struct LogSumExpNode final : NodeOf<LogSumExpNode> {
  static constexpr std::string_view op = "logsumexp", formula = "y = log Σ exp(x)",
                                    gradient = "dx = g · exp(x) / Σ exp(x)";
  LogSumExpNode(const Shape& with_ones, const Shape& d) : kept_as_one(with_ones), dims(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor x = saved_input(0), max = saved_extra(0), factor = saved_extra(1);
    const Tensor upstream = g.reshape(kept_as_one);
    if (!GradMode::is_enabled()) {
      gradients.give(0, scaled_powers(x, max, mul(upstream, factor)));
      return;
    }
    const Tensor w = scaled_powers(x, max, factor);
    gradients.give(0, mul(upstream, record<ShareOfSumNode>(
                                        w, {&x}, [&](auto& node) { node.save_output(w); }, dims)));
  }
  Shape kept_as_one, dims;
};

Tensor logsumexp_over(const Tensor& x, const Shape* dims, bool keepdim) {
  require_defined("logsumexp", {&x});
  const Reduced reduced("logsumexp", x, dims);
  Tensor y = empty(reduced.sizes(keepdim), x.dtype());
  const Tensor max = empty(reduced.kept_as_one, x.dtype());
  const Tensor factor = empty(reduced.kept_as_one, x.dtype());  // 1 / Σ exp(x - max)
  visit_float(x.dtype(), "logsumexp", [&]<class T>() {
    kernels::reduce<T, T>(kernels::Largest<T>(), max, x, reduced.marked);
    const Tensor powers = empty(x.sizes(), x.dtype());
    kernels::map<T, T, T>([](T a, T m) { return power_below(a, m); }, powers, x, max);
    const Tensor rest = empty(reduced.kept_as_one, x.dtype());
    kernels::reduce<T, T>(SumBesidesOne<T>(), rest, powers, reduced.marked);
    const Tensor result =
        make_view(y, reduced.kept_as_one, contiguous_strides(reduced.kept_as_one));
    kernels::map<T, T, T>([](T r, T m) { return math::log1p(r) + m; }, result, rest, max);
    kernels::map<T, T>([](T r) { return T(1) / (T(1) + r); }, factor, rest);
  });
  return record<LogSumExpNode>(
      y, {&x},
      [&](LogSumExpNode& node) {
        node.save_input(0, x);
        node.save_extra(max);
        node.save_extra(factor);
      },
      reduced.kept_as_one, reduced.dims);
}

// Counting
// ------------------------------------------------------------------------------------------

template <class T>
struct CountNonzero {
  std::int64_t initial() const { return 0; }
  std::int64_t step(std::int64_t acc, T x) const { return acc + static_cast<int>(x != T(0)); }
  std::int64_t combine(std::int64_t a, std::int64_t b) const { return a + b; }
  std::int64_t finish(std::int64_t acc) const { return acc; }
};

template <class T>
struct AnyNonzero : CountNonzero<T> {
  bool finish(std::int64_t acc) const { return acc > 0; }
};

template <class T>
struct AllNonzero : CountNonzero<T> {
  std::int64_t count;
  explicit AllNonzero(std::int64_t n) : count(n) {}
  bool finish(std::int64_t acc) const { return acc == count; }
};

Tensor any_over(const Tensor& x, const Shape* dims, bool keepdim) {
  require_defined("any", {&x});
  const Reduced reduced("any", x, dims);
  Tensor y = empty(reduced.sizes(keepdim), kBool);
  visit(x.dtype(),
        [&]<class T>() { kernels::reduce<T, bool>(AnyNonzero<T>(), y, x, reduced.marked); });
  return y;
}

Tensor all_over(const Tensor& x, const Shape* dims, bool keepdim) {
  require_defined("all", {&x});
  const Reduced reduced("all", x, dims);
  Tensor y = empty(reduced.sizes(keepdim), kBool);
  visit(x.dtype(), [&]<class T>() {
    kernels::reduce<T, bool>(AllNonzero<T>(reduced.count), y, x, reduced.marked);
  });
  return y;
}

Tensor count_nonzero_over(const Tensor& x, const Shape* dims) {
  require_defined("count_nonzero", {&x});
  const Reduced reduced("count_nonzero", x, dims);
  Tensor y = empty(reduced.kept, kInt64);
  visit(x.dtype(), [&]<class T>() {
    kernels::reduce<T, std::int64_t>(CountNonzero<T>(), y, x, reduced.marked);
  });
  return y;
}

}  // namespace

Tensor sum(const Tensor& x) { return sum_over(x, nullptr, false); }
Tensor sum(const Tensor& x, std::int64_t dim, bool keepdim) { return sum(x, Shape{dim}, keepdim); }
Tensor sum(const Tensor& x, const Shape& dims, bool keepdim) { return sum_over(x, &dims, keepdim); }

Tensor mean(const Tensor& x) { return mean_over(x, nullptr, false); }
Tensor mean(const Tensor& x, std::int64_t dim, bool keepdim) {
  return mean(x, Shape{dim}, keepdim);
}
Tensor mean(const Tensor& x, const Shape& dims, bool keepdim) {
  return mean_over(x, &dims, keepdim);
}

Tensor prod(const Tensor& x) { return prod_over(x, nullptr, false); }
Tensor prod(const Tensor& x, std::int64_t dim, bool keepdim) {
  const Shape dims{dim};
  return prod_over(x, &dims, keepdim);
}

Tensor logsumexp(const Tensor& x, std::int64_t dim, bool keepdim) {
  return logsumexp(x, Shape{dim}, keepdim);
}
Tensor logsumexp(const Tensor& x, const Shape& dims, bool keepdim) {
  return logsumexp_over(x, &dims, keepdim);
}

Tensor any(const Tensor& x) { return any_over(x, nullptr, false); }
Tensor any(const Tensor& x, std::int64_t dim, bool keepdim) {
  const Shape dims{dim};
  return any_over(x, &dims, keepdim);
}
Tensor all(const Tensor& x) { return all_over(x, nullptr, false); }
Tensor all(const Tensor& x, std::int64_t dim, bool keepdim) {
  const Shape dims{dim};
  return all_over(x, &dims, keepdim);
}
Tensor count_nonzero(const Tensor& x) { return count_nonzero_over(x, nullptr); }
Tensor count_nonzero(const Tensor& x, std::int64_t dim) {
  const Shape dims{dim};
  return count_nonzero_over(x, &dims);
}

Tensor sum_to(const Tensor& g, const Shape& sizes, std::string_view op) {
  if (g.sizes() == sizes) return g;
  const int lead = g.dim() - sizes.size();
  Shape dims;
  for (int d = 0; d < g.dim(); ++d) {
    const std::int64_t size = d < lead ? 1 : sizes[d - lead];
    require<ShapeError>(
        lead >= 0 && (size == g.sizes()[d] || size == 1),
        "{}: a gradient of shape {} was given for an input of shape {}; give one of "
        "the input's shape",
        op, g.sizes(), sizes);
    if (d < lead || (size == 1 && g.sizes()[d] != 1)) dims.push_back(d);
  }
  require<ShapeError>(
      lead >= 0,
      "{}: a gradient of shape {} was given for an input of shape {}; give one of the "
      "input's shape",
      op, g.sizes(), sizes);
  return sum(g, dims, /*keepdim=*/true).view(sizes);
}

// Members
// -------------------------------------------------------------------------------------------

Tensor Tensor::sum() const { return retrace::sum(*this); }
Tensor Tensor::sum(std::int64_t d, bool keepdim) const { return retrace::sum(*this, d, keepdim); }
Tensor Tensor::sum(const Shape& dims, bool keepdim) const {
  return retrace::sum(*this, dims, keepdim);
}
Tensor Tensor::mean() const { return retrace::mean(*this); }
Tensor Tensor::mean(std::int64_t d, bool keepdim) const { return retrace::mean(*this, d, keepdim); }
Tensor Tensor::mean(const Shape& dims, bool keepdim) const {
  return retrace::mean(*this, dims, keepdim);
}
Tensor Tensor::prod() const { return retrace::prod(*this); }
Tensor Tensor::prod(std::int64_t d, bool keepdim) const { return retrace::prod(*this, d, keepdim); }
Tensor Tensor::logsumexp(std::int64_t d, bool keepdim) const {
  return retrace::logsumexp(*this, d, keepdim);
}
Tensor Tensor::any() const { return retrace::any(*this); }
Tensor Tensor::all() const { return retrace::all(*this); }

}  // namespace retrace
