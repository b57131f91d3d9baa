#include <retrace/autograd/composite.h>
#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/autograd/ops/moments.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/autograd/ops/similarity.h>

namespace retrace {
namespace {

struct CosineSimilarity {
  static constexpr std::string_view
      op = "cosine_similarity",
      formula = "y = a · b / max(|a| |b|, ε)",
      gradient = "da = g · (b / (|a| |b|) - y · a / |a|²), and the same for b";
};

}  // namespace

Tensor cosine_similarity(const Tensor& x1, const Tensor& x2, std::int64_t dim, double eps) {
  constexpr std::string_view op = CosineSimilarity::op;
  require_defined(op, {&x1, &x2});
  require_same_dtype(op, x1, x2);
  if (!x1.is_floating_point()) refuse_dtype(op, x1.dtype(), "float32 or float64");
  require<ValueError>(eps >= 0, "cosine_similarity: eps is {}; it must not be negative", eps);
  const Shape sizes = broadcast_shapes(op, x1.sizes(), x2.sizes());
  const int along = wrap_dim(op, dim, sizes);
  return composite<CosineSimilarity>(
      [sizes, along, eps](const Tensor& a, const Tensor& b) {
        const Tensor wide_a = a.expand(sizes), wide_b = b.expand(sizes);
        // Not of squares, which overflow at half of the exponents.
        const Tensor norms = norm(wide_a, 2, along) * norm(wide_b, 2, along);
        return (wide_a * wide_b).sum(along) / clamp(norms, eps);
      },
      x1, x2);
}

}  // namespace retrace
