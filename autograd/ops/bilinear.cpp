#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/bilinear.h>
#include <retrace/autograd/ops/linalg.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/view.h>

namespace retrace {
namespace {

struct BilinearNode final : NodeOf<BilinearNode> {
  static constexpr std::string_view op = "bilinear", formula = "y(o) = x1ᵀ W(o) x2 + b(o)",
                                    gradient =
                                        "dx1 = Σ g · W · x2, dx2 = Σ g · W · x1, dW = Σ g · x1 · "
                                        "x2, db = Σ g";
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor x1 = as_rows(saved_input(0)), x2 = as_rows(saved_input(1));
    const Tensor weight = saved_input(2), dy = as_rows(g);
    if (gradients.wants(0))
      gradients.give(0, einsum("bo,oij,bj->bi", {dy, weight, x2}).reshape(input(0).sizes()));
    if (gradients.wants(1))
      gradients.give(1, einsum("bo,oij,bi->bj", {dy, weight, x1}).reshape(input(1).sizes()));
    if (gradients.wants(2)) gradients.give(2, einsum("bo,bi,bj->oij", {dy, x1, x2}));
    if (gradients.wants(3)) gradients.give(3, sum(dy, 0));
  }

  /// x [.., n] as a matrix with a row for each place in the leading dims.
  static Tensor as_rows(const Tensor& x) {
    std::int64_t rows = 1;
    for (int d = 0; d < x.dim() - 1; ++d) rows *= x.sizes()[d];
    return x.reshape({rows, x.size(-1)});
  }
};

void check(const Tensor& x1, const Tensor& x2, const Tensor& weight, const Tensor& bias) {
  require_defined("bilinear", {&x1, &x2, &weight});
  require<DTypeError>(
      x1.dtype() == x2.dtype() && x1.dtype() == weight.dtype() && is_floating(x1.dtype()) &&
          (!bias.defined() || bias.dtype() == x1.dtype()),
      "bilinear: x1 is {} {}, x2 {} {}, weight {} {}{}; all must be float32 or all float64",
      x1.dtype(), x1.sizes(), x2.dtype(), x2.sizes(), weight.dtype(), weight.sizes(),
      bias.defined() ? fmt::format(", bias {} {}", bias.dtype(), bias.sizes()) : "");
  bool fits = x1.dim() > 0 && x1.dim() == x2.dim() && weight.dim() == 3 &&
              x1.size(-1) == weight.size(1) && x2.size(-1) == weight.size(2);
  for (int d = 0; fits && d < x1.dim() - 1; ++d) fits = x1.sizes()[d] == x2.sizes()[d];
  require<ShapeError>(fits,
                      "bilinear: x1 is {}, x2 {}, weight {}; they must be [.., in1], [.., in2] "
                      "with equal leading dims, and [out, in1, in2]",
                      x1.sizes(), x2.sizes(), weight.sizes());
  require<ShapeError>(!bias.defined() || bias.sizes() == Shape{weight.size(0)},
                      "bilinear: bias is {}, weight {}; bias must be [{}]",
                      bias.defined() ? bias.sizes() : Shape(), weight.sizes(), weight.size(0));
}

}  // namespace

Tensor bilinear(const Tensor& x1, const Tensor& x2, const Tensor& weight, const Tensor& bias) {
  check(x1, x2, weight, bias);
  Shape sizes = x1.sizes();
  sizes[sizes.size() - 1] = weight.size(0);
  Tensor y = without_recording([&] {
    const Tensor product =
        einsum("bi,oij,bj->bo", {BilinearNode::as_rows(x1), weight, BilinearNode::as_rows(x2)});
    return (bias.defined() ? add(product, bias) : product).reshape(sizes);
  });
  return record<BilinearNode>(std::move(y), {&x1, &x2, &weight, &bias}, [&](BilinearNode& node) {
    node.save_input(0, x1);
    node.save_input(1, x2);
    node.save_input(2, weight);
  });
}

}  // namespace retrace
