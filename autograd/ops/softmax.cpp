#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/softmax.h>
#include <retrace/tensor/kernels/softmax.h>

namespace retrace {
namespace {

/// x with `dim` exchanged with the last one, row-major.
Tensor with_rows(const Tensor& x, int dim) {
  if (x.dim() == 0 || dim == x.dim() - 1) return as_contiguous(x);
  Shape sizes = x.sizes();
  Strides strides = x.strides();
  std::swap(sizes[dim], sizes[x.dim() - 1]);
  std::swap(strides[dim], strides[x.dim() - 1]);
  return as_contiguous(make_view(x, sizes, strides));
}

/// f<T>(n, out, in...) for each row of n elements along `dim`. Other dims than the last are moved
/// there and back by copies.
template <class F, class... In>
Tensor map_rows(std::string_view op, int dim, F f, const In&... in) {
  const std::array<Tensor, sizeof...(In)> rows = {with_rows(in, dim)...};
  const Tensor out = empty_like(rows[0]);
  const std::int64_t n = out.dim() == 0 ? 1 : out.sizes().back();
  visit_float(out.dtype(), op, [&]<class T>() {
    if (out.numel() == 0) return;
    [&]<std::size_t... K>(std::index_sequence<K...>) {
      T* const to = elements<T>(out);
      const std::array<const T*, sizeof...(In)> from = {elements<T>(rows[K])...};
      parallel_for(out.numel() / n, kernels::kElementGrain / n + 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row)
                       f(n, to + row * n, (from[K] + row * n)...);
                   });
    }
    (std::index_sequence_for<In...>());
  });
  return with_rows(out, dim);
}

struct SoftmaxNode final : NodeOf<SoftmaxNode> {
  static constexpr std::string_view op = "softmax", formula = "y = exp(x) / Σ exp(x)",
                                    gradient = "dx = y · (g - Σ g y)";
  explicit SoftmaxNode(int d) : dim(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor y = saved_output();
    if (GradMode::is_enabled()) {
      gradients.give(0, mul(y, sub(g, sum(mul(g, y), dim, /*keepdim=*/true))));
      return;
    }
    const auto row = []<class T>(std::int64_t n, T* dx, const T* upstream, const T* p) {
      const T mean = static_cast<T>(kernels::dot_run(upstream, p, n));
      kernels::dense_row([mean](T u, T v) { return v * (u - mean); }, n, dx, upstream, p);
    };
    gradients.give(0, map_rows(op, dim, row, g, y));
  }
  int dim;
};

struct LogSoftmaxNode final : NodeOf<LogSoftmaxNode> {
  static constexpr std::string_view op = "log_softmax", formula = "y = x - ln Σ exp(x)",
                                    gradient = "dx = g - exp(y) · Σ g";
  explicit LogSoftmaxNode(int d) : dim(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor y = saved_output();
    if (GradMode::is_enabled()) {
      gradients.give(0, sub(g, mul(exp(y), sum(g, dim, /*keepdim=*/true))));
      return;
    }
    const auto row = []<class T>(std::int64_t n, T* dx, const T* upstream, const T* log_p) {
      const T total = static_cast<T>(kernels::reduce_run(kernels::RowSum<T>(), upstream, n));
      kernels::dense_row([total](T u, T v) { return math::mul_add(-math::exp(v), total, u); }, n,
                         dx, upstream, log_p);
    };
    gradients.give(0, map_rows(op, dim, row, g, y));
  }
  int dim;
};

}  // namespace

Tensor softmax(const Tensor& x, std::int64_t dim) {
  require_defined("softmax", {&x});
  const int d = wrap_dim("softmax", dim, x.sizes());
  const Tensor y = map_rows(
      "softmax", d,
      []<class T>(std::int64_t n, T* out, const T* in) { kernels::softmax_row(in, n, out); }, x);
  return record<SoftmaxNode>(
      y, {&x}, [&](SoftmaxNode& node) { node.save_output(y); }, d);
}

Tensor log_softmax(const Tensor& x, std::int64_t dim) {
  require_defined("log_softmax", {&x});
  const int d = wrap_dim("log_softmax", dim, x.sizes());
  const Tensor y = map_rows(
      "log_softmax", d,
      []<class T>(std::int64_t n, T* out, const T* in) { kernels::log_softmax_row(in, n, out); },
      x);
  return record<LogSoftmaxNode>(
      y, {&x}, [&](LogSoftmaxNode& node) { node.save_output(y); }, d);
}

Tensor Tensor::softmax(std::int64_t dim) const { return retrace::softmax(*this, dim); }
Tensor Tensor::log_softmax(std::int64_t dim) const { return retrace::log_softmax(*this, dim); }

}  // namespace retrace
