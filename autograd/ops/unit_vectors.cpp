#include <retrace/autograd/composite.h>
#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/length.h>
#include <retrace/autograd/ops/moments.h>
#include <retrace/tensor/kernels/softmax.h>

#include <array>
#include <cmath>

namespace retrace {
namespace {

struct NormalizeTexts {
  static constexpr std::string_view op = "normalize", formula = "y = x / max(‖x‖, eps)",
                                    gradient = "dx = (g - y · Σ g y) / ‖x‖, g / eps if ‖x‖ < eps";
};

Tensor by_parts(const Tensor& x, double p, std::int64_t dim, double eps) {
  return div(x, norm(x, p, dim, /*keepdim=*/true).clamp(eps));
}

/// f(first element, row) for each row of the last dim.
template <class F>
void for_vectors(const Tensor& x, F f) {
  const std::int64_t width = x.size(-1);
  if (width == 0) return;
  parallel_for(x.numel() / width, kernels::grain_of(width),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) f(row * width, row);
               });
}

template <class T>
double length_of(const T* x, std::int64_t n) {
  const double squares = kernels::dot_run(x, x, n);
  if (std::is_same_v<T, float> || squares_fit(squares)) return std::sqrt(squares);
  return scaled_length(n, [x](std::int64_t i) { return static_cast<double>(x[i]); });
}

/// Euclidean length, along the last dim.
struct NormalizeNode final : NodeOf<NormalizeNode> {
  static constexpr std::string_view op = NormalizeTexts::op, formula = NormalizeTexts::formula,
                                    gradient = NormalizeTexts::gradient;
  explicit NormalizeNode(double least) : eps(least) {}

  void backward(const Tensor& g, Gradients& gradients) override {
    if (GradMode::is_enabled()) {
      const Tensor x = bounded_input(*this, 0);
      return recorded_backward(std::array{x}, {g}, gradients,
                               [&] { return by_parts(x.to(kFloat64), 2, -1, eps).to(x.dtype()); });
    }
    const Tensor y = saved_output(), lengths = saved_extra(), upstream = as_contiguous(g);
    Tensor dx = empty(y.sizes(), y.dtype());
    const std::int64_t width = y.size(-1);
    visit_float(g.dtype(), op, [&]<class T>() {
      const T *unit = elements<const T>(y), *from = elements<const T>(upstream);
      const auto* length = elements<const double>(lengths);
      T* out = elements<T>(dx);
      for_vectors(y, [&](std::int64_t at, std::int64_t row) {
        const bool clamped = length[row] < eps;
        const double along = clamped ? 0.0 : kernels::dot_run(from + at, unit + at, width);
        const double divisor = std::max(length[row], eps);
        const T shrink = static_cast<T>(1 / divisor), part = static_cast<T>(along);
        if (std::isnormal(shrink)) {
          kernels::dense_row([shrink, part](T gg, T u) { return shrink * (gg - part * u); }, width,
                             out + at, from + at, unit + at);
        } else {
          kernels::dense_row(
              [divisor, part](T gg, T u) {
                return static_cast<T>(static_cast<double>(gg - part * u) / divisor);
              },
              width, out + at, from + at, unit + at);
        }
      });
    });
    gradients.give(0, std::move(dx));
  }

  double eps;
};

Tensor unit_vectors(const Tensor& x, double eps) {
  const Tensor rows = as_contiguous(x);
  const std::int64_t width = x.size(-1);
  const Tensor y = empty(x.sizes(), x.dtype());
  const Tensor lengths = empty({width == 0 ? 0 : x.numel() / width}, kFloat64);
  visit_float(x.dtype(), NormalizeNode::op, [&]<class T>() {
    const T* in = elements<const T>(rows);
    auto* length = elements<double>(lengths);
    T* out = elements<T>(y);
    for_vectors(x, [&](std::int64_t at, std::int64_t row) {
      length[row] = length_of(in + at, width);
      const double divisor = std::max(length[row], eps);
      const T shrink = static_cast<T>(1 / divisor);
      if (std::isnormal(shrink)) {
        kernels::dense_row([shrink](T v) { return v * shrink; }, width, out + at, in + at);
      } else {
        kernels::dense_row(
            [divisor](T v) { return static_cast<T>(static_cast<double>(v) / divisor); }, width,
            out + at, in + at);
      }
    });
  });
  return record<NormalizeNode>(
      y, {&x},
      [&](NormalizeNode& node) {
        node.save_input(0, x);
        node.save_output(y);
        node.save_extra(lengths);
      },
      eps);
}

}  // namespace

Tensor normalize(const Tensor& x, double p, std::int64_t dim, double eps) {
  require_defined("normalize", {&x});
  if (!x.is_floating_point()) refuse_dtype("normalize", x.dtype(), "float32 or float64");
  require<ValueError>(eps > 0, "normalize: eps = {}; give a positive number", eps);
  const bool last = x.dim() > 0 && wrap_dim("normalize", dim, x.sizes()) == x.dim() - 1;
  // Where eps is 0 as a number of x, the smallest one does: there is no shorter vector but 0.
  const double smallest = x.dtype() == kFloat32
                              ? static_cast<double>(std::numeric_limits<float>::denorm_min())
                              : std::numeric_limits<double>::denorm_min();
  const double least = std::max(eps, smallest);
  if (p == 2 && last) return unit_vectors(x, least);
  return composite<NormalizeTexts>(
      [p, dim, least](const Tensor& v) { return by_parts(v, p, dim, least); }, x);
}

}  // namespace retrace
