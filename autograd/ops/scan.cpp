#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/joining.h>
#include <retrace/autograd/ops/rearranging.h>
#include <retrace/autograd/ops/scan.h>

#include <utility>

namespace retrace {
namespace {

template <class T>
using Carry = std::conditional_t<std::is_floating_point_v<T>, double, std::int64_t>;

enum class From { start, end };

/// Walks [outer, n, inner] along the middle, up to 64 inner columns side by side. f(carry, i) takes
/// element i into the carry and gives out[i].
template <class T, From kFrom = From::start, class F>
void scan(const Tensor& out, int dim, double initial, F f) {
  if (out.numel() == 0) return;
  constexpr std::int64_t kColumns = 64;
  const std::int64_t n = out.dim() == 0 ? 1 : out.sizes()[dim];
  const std::int64_t inner = out.dim() == 0 ? 1 : out.strides()[dim];
  const std::int64_t blocks = (inner + kColumns - 1) / kColumns;
  T* y = elements<T>(out);
  parallel_for(out.numel() / (n * inner) * blocks, kernels::grain_of(n, std::min(inner, kColumns)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t task = begin; task < end; ++task) {
                   const std::int64_t first = task % blocks * kColumns;
                   const std::int64_t width = std::min(kColumns, inner - first);
                   constexpr bool kBack = kFrom == From::end;
                   const std::int64_t step = kBack ? -inner : inner;
                   std::int64_t i = (task / blocks * n + (kBack ? n - 1 : 0)) * inner + first;
                   if (width == 1) {
                     auto carry = static_cast<Carry<T>>(initial);  // in a register
                     for (std::int64_t k = 0; k < n; ++k, i += step) y[i] = f(carry, i);
                     continue;
                   }
                   Carry<T> carry[kColumns];
                   std::fill_n(carry, width, static_cast<Carry<T>>(initial));
                   for (std::int64_t k = 0; k < n; ++k, i += step) {
                     for (std::int64_t c = 0; c < width; ++c) y[i + c] = f(carry[c], i + c);
                   }
                 }
               });
}

Tensor one_before(const Tensor& x, int dim, Scalar initial) {
  if (x.dim() == 0) return full({}, initial, x.dtype());
  if (x.numel() == 0) return x;
  Shape first = x.sizes();
  first[dim] = 1;
  return cat({full(first, initial, x.dtype()), x.narrow(dim, 0, x.sizes()[dim] - 1)}, dim);
}

/// u_i = g_i + a_{i+1} u_{i+1}.
Tensor recurrence_back(const Tensor& a, const Tensor& g, int dim) {
  const Shape dims{dim};
  return flip(linear_recurrence(roll(flip(a, dims), 1, dim), flip(g, dims), dim), dims);
}

struct CumsumNode final : NodeOf<CumsumNode> {
  static constexpr std::string_view op = "cumsum", formula = "y_i = x_0 + ... + x_i",
                                    gradient = "dx_i = g_i + ... + g_n";
  explicit CumsumNode(int d) : dim(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, flip(cumsum(flip(g, {dim}), dim), {dim}));
  }
  int dim;
};

struct CumprodNode final : NodeOf<CumprodNode> {
  static constexpr std::string_view op = "cumprod", formula = "y_i = x_0 · ... · x_i",
                                    gradient =
                                        "dx_i = y_{i-1} · u_i with u_i = g_i + x_{i+1} · u_{i+1}";
  explicit CumprodNode(int d) : dim(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    // In double as the product itself: y or u may overflow where dx does not. Without a division by
    // x, so that zeros do no harm.
    const Tensor x = saved_input(0);
    if (GradMode::is_enabled()) {
      const Tensor wide = x.to(kFloat64), u = recurrence_back(wide, g.to(kFloat64), dim);
      return gradients.give(0, mul(cumprod_exclusive(wide, dim), u).to(g.dtype()));
    }
    const Tensor factors = as_contiguous(x), upstream = as_contiguous(g);
    const Tensor before = empty(x.sizes(), kFloat64);
    Tensor dx = empty(x.sizes(), x.dtype());
    visit_float(x.dtype(), op, [&]<class T>() {
      const T *f = elements<const T>(factors), *from = elements<const T>(upstream);
      const double* y = elements<const double>(before);
      scan<double>(before, dim, 1, [f](double& carry, std::int64_t i) {
        return std::exchange(carry, carry * static_cast<double>(f[i]));
      });
      scan<T, From::end>(dx, dim, 0, [=](double& carry, std::int64_t i) {
        const double u = static_cast<double>(from[i]) + carry;
        carry = static_cast<double>(f[i]) * u;
        return static_cast<T>(y[i] * u);
      });
    });
    gradients.give(0, std::move(dx));
  }
  int dim;
};

struct RecurrenceNode final : NodeOf<RecurrenceNode> {
  static constexpr std::string_view op = "linear_recurrence", formula = "h_i = a_i · h_{i-1} + b_i",
                                    gradient =
                                        "db_i = u_i, da_i = u_i · h_{i-1}, "
                                        "with u_i = g_i + a_{i+1} · u_{i+1}";
  explicit RecurrenceNode(int d) : dim(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor u = recurrence_back(saved_input(0), g, dim);
    if (gradients.wants(0)) gradients.give(0, mul(u, one_before(saved_output(), dim, 0)));
    gradients.give(1, u);
  }
  int dim;
};

DType sum_dtype(const Tensor& x) { return is_floating(x.dtype()) ? x.dtype() : kInt64; }

}  // namespace

Tensor cumsum(const Tensor& x, std::int64_t dim) {
  require_defined("cumsum", {&x});
  const int d = wrap_dim("cumsum", dim, x.sizes());
  const Tensor from = as_contiguous(x);
  Tensor y = empty(x.sizes(), sum_dtype(x));
  visit(x.dtype(), [&]<class T>() {
    using Out = std::conditional_t<std::is_same_v<T, bool>, std::int64_t, T>;
    scan<Out>(y, d, 0, [in = elements<T>(from)](Carry<Out>& carry, std::int64_t i) {
      return static_cast<Out>(carry = math::plus(carry, static_cast<Carry<Out>>(in[i])));
    });
  });
  return record<CumsumNode>(
      std::move(y), {&x}, [](CumsumNode&) {}, d);
}

Tensor cumprod(const Tensor& x, std::int64_t dim) {
  require_defined("cumprod", {&x});
  const int d = wrap_dim("cumprod", dim, x.sizes());
  const Tensor from = as_contiguous(x);
  Tensor y = empty(x.sizes(), sum_dtype(x));
  visit(x.dtype(), [&]<class T>() {
    using Out = std::conditional_t<std::is_same_v<T, bool>, std::int64_t, T>;
    scan<Out>(y, d, 1, [in = elements<T>(from)](Carry<Out>& carry, std::int64_t i) {
      return static_cast<Out>(carry = math::times(carry, static_cast<Carry<Out>>(in[i])));
    });
  });
  return record<CumprodNode>(
      std::move(y), {&x}, [&](CumprodNode& node) { node.save_input(0, x); }, d);
}

Tensor cumprod_exclusive(const Tensor& x, std::int64_t dim) {
  require_defined("cumprod_exclusive", {&x});
  const int d = wrap_dim("cumprod_exclusive", dim, x.sizes());
  return cumprod(one_before(x.dtype() == kBool ? x.to(kInt64) : x, d, 1), d);
}

Tensor linear_recurrence(const Tensor& a, const Tensor& b, std::int64_t dim) {
  require_defined("linear_recurrence", {&a, &b});
  require_same_dtype("linear_recurrence", a, b);
  require<ShapeError>(a.sizes() == b.sizes(),
                      "linear_recurrence: a has shape {}, b {}; they must be equal", a.sizes(),
                      b.sizes());
  const int d = wrap_dim("linear_recurrence", dim, a.sizes());
  const Tensor factors = as_contiguous(a), terms = as_contiguous(b);
  Tensor h = empty(a.sizes(), a.dtype());
  const std::int64_t inner = a.dim() == 0 ? 1 : h.strides()[d];
  const std::int64_t n = a.dim() == 0 ? 1 : a.sizes()[d];
  visit_float(a.dtype(), "linear_recurrence", [&]<class T>() {
    scan<T>(h, d, 0,
            [=, f = elements<T>(factors), t = elements<T>(terms)](double& carry, std::int64_t i) {
              const bool first = i / inner % n == 0;  // where a_0 = ∞ must not meet the 0 before it
              carry = (first ? 0.0 : static_cast<double>(f[i]) * carry) + static_cast<double>(t[i]);
              return static_cast<T>(carry);
            });
  });
  return record<RecurrenceNode>(
      h, {&a, &b},
      [&](RecurrenceNode& node) {
        node.save_input(0, a);
        node.save_output(h);
      },
      d);
}

Tensor Tensor::cumsum(std::int64_t d) const { return retrace::cumsum(*this, d); }

}  // namespace retrace
