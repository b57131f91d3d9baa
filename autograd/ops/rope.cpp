#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/attention.h>

#include <cmath>

namespace retrace {
namespace {

Tensor turned(const Tensor& x, const RopeOptions& options, bool back);

struct RopeNode final : NodeOf<RopeNode> {
  static constexpr std::string_view op = "rope",
                                    formula = "y = (a cos - b sin, b cos + a sin), x = (a, b)",
                                    gradient = "dx = g turned back";
  RopeNode(const RopeOptions& o, bool is_back) : options(o), back(is_back) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, turned(g, options, !back));
  }
  RopeOptions options;
  bool back;
};

// cos and sin of the angles, [T, D / 2] each.
template <class T>
void fill_angles(T* cosines, T* sines, std::int64_t steps, std::int64_t half,
                 const RopeOptions& options, bool back) {
  for (std::int64_t t = 0; t < steps; ++t) {
    for (std::int64_t i = 0; i < half; ++i) {
      const double rate =
          std::pow(options.base, -static_cast<double>(i) / static_cast<double>(half));
      const double angle = static_cast<double>(t + options.offset) * rate;
      cosines[t * half + i] = static_cast<T>(std::cos(angle));
      sines[t * half + i] = static_cast<T>(back ? -std::sin(angle) : std::sin(angle));
    }
  }
}

template <class T>
void turn_row(const T* x, const T* cosine, const T* sine, std::int64_t half, T* y) {
  kernels::dense_row([](T a, T b, T c, T s) { return a * c - b * s; }, half, y, x, x + half, cosine,
                     sine);
  kernels::dense_row([](T a, T b, T c, T s) { return b * c + a * s; }, half, y + half, x, x + half,
                     cosine, sine);
}

Tensor turned(const Tensor& x, const RopeOptions& options, bool back) {
  Tensor y = empty(x.sizes(), x.dtype());
  const std::int64_t steps = x.size(-2), half = x.size(-1) / 2;
  const Tensor dense = as_contiguous(x), angles = empty({2, steps, half}, x.dtype());
  visit_float(x.dtype(), RopeNode::op, [&]<class T>() {
    if (x.numel() == 0) return;
    T *const cosines = elements<T>(angles), *const sines = cosines + steps * half;
    fill_angles(cosines, sines, steps, half, options, back);
    const std::int64_t rows = x.numel() / (2 * half);
    parallel_for(rows, kernels::grain_of(half), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r)
        turn_row(elements<T>(dense) + r * 2 * half, cosines + r % steps * half,
                 sines + r % steps * half, half, elements<T>(y) + r * 2 * half);
    });
  });
  return record<RopeNode>(
      std::move(y), {&x}, [](RopeNode&) {}, options, back);
}

}  // namespace

Tensor rope(const Tensor& x, const RopeOptions& options) {
  require_defined("rope", {&x});
  if (!x.is_floating_point()) refuse_dtype("rope", x.dtype(), "float32 or float64");
  require<ShapeError>(x.dim() >= 2 && x.size(-1) % 2 == 0,
                      "rope: x is {}; it must be [.., T, D] with an even D", x.sizes());
  require<ValueError>(options.base > 0, "rope: base is {}; it must be positive", options.base);
  return turned(x, options, /*back=*/false);
}

}  // namespace retrace
