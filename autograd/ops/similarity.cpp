#include <retrace/autograd/composite.h>
#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/moments.h>
#include <retrace/autograd/ops/reduced.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/autograd/ops/similarity.h>
#include <retrace/tensor/kernels/reduce.h>

#include <array>

namespace retrace {
namespace {

struct Sum {
  double initial() const { return 0; }
  double step(double acc, double x) const { return acc + x; }
  double combine(double a, double b) const { return a + b; }
  double finish(double acc) const { return acc; }
};

struct Length : Sum {
  double step(double acc, float x) const {
    return acc + static_cast<double>(x) * static_cast<double>(x);
  }
  double finish(double acc) const { return std::sqrt(acc); }
};

/// In double, where squares of float32 neither overflow nor vanish.
Tensor lengths_of(const Tensor& x, const Reduced& reduced) {
  if (x.dtype() == kFloat64) {
    const ObserverScope nobody;  // whoever watches is told of one op
    return without_recording([&] { return norm(x, 2, reduced.dims, /*keepdim=*/true); });
  }
  Tensor lengths = empty(reduced.kept_as_one, kFloat64);
  kernels::reduce<float, double>(Length(), lengths, x, reduced.marked);
  return lengths;
}

/// 1 / length, 0 of what has no direction.
constexpr auto inverse = [](double length) { return length == 0 ? 0 : 1 / length; };

/// The cosines of the angles. Vectors of double are brought to length 1 first, or their products
/// would overflow.
template <class T>
Tensor cosines_of(const Tensor& a, const Tensor& of_a, const Tensor& b, const Tensor& of_b,
                  const Reduced& reduced) {
  const Tensor by_a = empty(of_a.sizes(), kFloat64), by_b = empty(of_b.sizes(), kFloat64);
  kernels::map<double, double>(inverse, by_a, of_a);
  kernels::map<double, double>(inverse, by_b, of_b);
  const Tensor products = empty(a.sizes(), kFloat64), sums = empty(of_a.sizes(), kFloat64);
  constexpr bool kScaled = std::is_same_v<T, double>;
  if constexpr (kScaled) {
    kernels::map<double, T, T, T, T>([](T x, T y, T u, T v) { return (x * u) * (y * v); }, products,
                                     a, b, by_a, by_b);
  } else {
    kernels::map<double, T, T>(
        [](T x, T y) { return static_cast<double>(x) * static_cast<double>(y); }, products, a, b);
  }
  kernels::reduce<double, double>(Sum(), sums, products, reduced.marked);
  kernels::map<double, double, double, double>(
      [](double sum, double u, double v) {
        return math::min(math::max(kScaled ? sum : sum * u * v, -1.0), 1.0);
      },
      sums, sums, by_a, by_b);
  return sums;
}

struct CosineNode final : NodeOf<CosineNode> {
  static constexpr std::string_view
      op = "cosine_similarity",
      formula = "y = a · b / max(|a| |b|, ε)",
      gradient = "da = g · (b / (|a| |b|) - y · a / |a|²), and the same for b";
  CosineNode(int along, double least) : dim(along), eps(least) {}

  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor a = bounded_input(*this, 0), b = bounded_input(*this, 1);
    if (GradMode::is_enabled())
      return recorded_backward(std::array{a, b}, {g}, gradients, [&] { return by_ops(a, b); });
    const Tensor of_a = saved_extra(0), of_b = saved_extra(1);
    if (gradients.wants(0)) gradients.give(0, slope(g, a, of_a, b, of_b));
    if (gradients.wants(1)) gradients.give(1, slope(g, b, of_b, a, of_a));
  }

  int dim;
  double eps;

 private:
  /// da = g / |a| · (b / |b| - cos · a / |a|), g / ε · b where ε stands for |a| |b|.
  Tensor slope(const Tensor& g, const Tensor& a, const Tensor& of_a, const Tensor& b,
               const Tensor& of_b) const {
    const Tensor cosines = saved_extra(2), upstream = g.reshape(cosines.sizes());
    const Tensor outer = empty(cosines.sizes(), kFloat64), by_a = empty(cosines.sizes(), kFloat64),
                 by_b = empty(cosines.sizes(), kFloat64);
    Tensor da = empty(broadcast_shapes(op, a.sizes(), b.sizes()), g.dtype());
    visit_float(g.dtype(), op, [&, e = eps]<class T>() {
      kernels::map<double, T, double, double>(
          [e](T u, double x, double y) {
            return static_cast<double>(u) * (x * y < e ? 1 / e : inverse(x));
          },
          outer, upstream, of_a, of_b);
      kernels::map<double, double, double, double>(
          [e](double c, double x, double y) { return x * y < e ? 0 : c * inverse(x); }, by_a,
          cosines, of_a, of_b);
      kernels::map<double, double, double>(
          [e](double x, double y) { return x * y < e ? 1 : inverse(y); }, by_b, of_a, of_b);
      kernels::map<T, T, T, double, double, double>(
          [](T x, T y, double u, double by_x, double by_y) {
            return static_cast<T>(u *
                                  (static_cast<double>(y) * by_y - static_cast<double>(x) * by_x));
          },
          da, a, b, outer, by_a, by_b);
    });
    return da;
  }

  Tensor by_ops(const Tensor& x1, const Tensor& x2) const {
    const Shape sizes = broadcast_shapes(op, x1.sizes(), x2.sizes());
    const Tensor a = x1.to(kFloat64).expand(sizes), of_a = norm(a, 2, dim, /*keepdim=*/true);
    const Tensor b = x2.to(kFloat64).expand(sizes), of_b = norm(b, 2, dim, /*keepdim=*/true);
    const Tensor bounded = without_recording([&] { return lt(of_a * of_b, eps); });
    const auto unit = [&](const Tensor& x, const Tensor& length) {
      const Tensor none = without_recording([&] { return eq(length, 0.0); });
      const Tensor some = masked_fill(length, none, std::numeric_limits<double>::infinity());
      return x / masked_fill(some, bounded, 1.0);
    };
    const Tensor y = (unit(a, of_a) * unit(b, of_b)).sum(dim, /*keepdim=*/true);
    const Tensor most = masked_fill(ones(y.sizes(), kFloat64), bounded, eps);
    return (y / most).to(x1.dtype()).reshape(output_sizes());
  }
};

}  // namespace

Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, std::int64_t dim, double eps) {
  constexpr std::string_view op = CosineNode::op;
  require_defined(op, {&x1, &x2});
  require_same_dtype(op, x1, x2);
  if (!x1.is_floating_point()) refuse_dtype(op, x1.dtype(), "float32 or float64");
  require<ValueError>(eps >= 0, "cosine_similarity: eps is {}; it must not be negative", eps);
  const Shape sizes = broadcast_shapes(op, x1.sizes(), x2.sizes());
  const int along = wrap_dim(op, dim, sizes);
  const Tensor a = expanded(x1, sizes), b = expanded(x2, sizes);
  const Shape dims = {along};
  const Reduced reduced(op, a, &dims);
  const Tensor of_a = lengths_of(a, reduced), of_b = lengths_of(b, reduced);
  Tensor cosines, y = empty(reduced.kept_as_one, a.dtype());
  visit_float(a.dtype(), op, [&]<class T>() {
    cosines = cosines_of<T>(a, of_a, b, of_b, reduced);
    kernels::map<T, double, double, double>(
        [eps](double c, double u, double v) {
          return static_cast<T>(u * v < eps ? c * (u * v / eps) : c);
        },
        y, cosines, of_a, of_b);
  });
  return record<CosineNode>(
      make_view(y, reduced.kept, contiguous_strides(reduced.kept)), {&x1, &x2},
      [&](CosineNode& node) {
        node.save_input(0, x1);
        node.save_input(1, x2);
        for (const Tensor& extra : {of_a, of_b, cosines}) node.save_extra(extra);
      },
      along, eps);
}

}  // namespace retrace
