#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/forward.h>
#include <retrace/autograd/ops/linalg.h>
#include <retrace/autograd/ops/linear.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/view.h>
#include <retrace/autograd/ops/weight_gradient.h>
#include <retrace/tensor/kernels/product.h>

namespace retrace {
namespace {

using kernels::MatrixView;
using kernels::RowsOf;

template <class T>
MatrixView<const T> weight_matrix(const Tensor& weight) {
  const Strides& strides = weight.strides();
  return {elements<const T>(weight), weight.sizes()[0], weight.sizes()[1], strides[0], strides[1]};
}

template <class T>
MatrixView<T> out_rows(const Tensor& y, std::int64_t rows) {
  return kernels::row_major(elements<T>(y), rows, y.sizes().back());
}

template <class T>
void forward(const Tensor& y, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  const RowsOf rows(x);
  const MatrixView<const T> w = weight_matrix<T>(weight).transposed();
  const MatrixView<T> out = out_rows<T>(y, rows.rows());
  if (!bias.defined()) return kernels::gemm<T>(T(1), rows.view<T>(), w, T(0), out);
  const Tensor row = as_contiguous(bias);
  kernels::gemm_plus_row<T>(rows.view<T>(), w, elements<const T>(row), out);
}

struct LinearNode final : NodeOf<LinearNode> {
  static constexpr std::string_view op = "linear", formula = "y = x Wᵀ + b",
                                    gradient = "dx = g W, dW = gᵀ x, db = Σ g";

  void backward(const Tensor& g, Gradients& gradients) override {
    if (GradMode::is_enabled()) return recorded_backward(g, gradients);
    const Tensor upstream = as_contiguous(g);
    visit_float(g.dtype(), op, [&]<class T>() {
      const std::int64_t out = g.sizes().back(), rows = RowsOf(g).rows();
      const MatrixView<const T> dy = kernels::row_major(elements<const T>(upstream), rows, out);
      if (gradients.wants(0)) {
        const Tensor weight = saved_input(1);
        give_product<T>(*this, gradients, 0, dy, weight_matrix<T>(weight));
      }
      if (gradients.wants(1)) {
        const RowsOf x(saved_input(0));
        give_product<T>(*this, gradients, 1, dy.transposed(), x.view<T>());
      }
      if (gradients.wants(2)) give_column_sums(gradients, 2, dy);
    });
  }
  std::vector<Tensor> jvp(const std::vector<Tensor>& tangents) override {
    Tensor sum;
    if (tangents[0].defined()) sum = linear(tangents[0], saved_input(1));
    if (tangents[1].defined()) sum = sum_of_tangents(sum, linear(saved_input(0), tangents[1]));
    if (tangents[2].defined()) sum = sum_of_tangents(sum, tangents[2].expand(output_sizes()));
    return {sum};
  }

 private:
  void recorded_backward(const Tensor& g, Gradients& gradients) {
    if (gradients.wants(0)) gradients.give(0, matmul(g, saved_input(1)));
    if (!gradients.wants(1) && !gradients.wants(2)) return;
    const Tensor rows = g.dim() == 1 ? g.unsqueeze(0) : g.flatten(0, -2);
    if (gradients.wants(1)) {
      const Tensor x = saved_input(0);
      gradients.give(1, matmul(rows.t(), x.dim() == 1 ? x.unsqueeze(0) : x.flatten(0, -2)));
    }
    if (gradients.wants(2)) gradients.give(2, sum(rows, 0));
  }
};

void check(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  require_defined("linear", {&x, &weight});
  require<DTypeError>(x.dtype() == weight.dtype() && is_floating(x.dtype()),
                      "linear: x is {} {}, weight {} {}; both must be float32 or both float64: "
                      "convert x with .to({})",
                      x.dtype(), x.sizes(), weight.dtype(), weight.sizes(),
                      is_floating(weight.dtype()) ? weight.dtype() : kFloat32);
  require<ShapeError>(weight.dim() == 2 && x.dim() > 0 && x.sizes().back() == weight.sizes()[1],
                      "linear: x is {}, weight {}; give a weight [out, in] and an x whose last dim "
                      "has the size `in`",
                      x.sizes(), weight.sizes());
  if (!bias.defined()) return;
  require<DTypeError>(bias.dtype() == x.dtype(), "linear: bias is {} {}, x {} {}; convert one",
                      bias.dtype(), bias.sizes(), x.dtype(), x.sizes());
  require<ShapeError>(bias.dim() == 1 && bias.sizes()[0] == weight.sizes()[0],
                      "linear: bias is {}, weight {}; bias must be [{}]", bias.sizes(),
                      weight.sizes(), weight.sizes()[0]);
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  check(x, weight, bias);
  Shape sizes = x.sizes();
  sizes[sizes.size() - 1] = weight.sizes()[0];
  Tensor y = empty(sizes, x.dtype());
  visit_float(x.dtype(), "linear", [&]<class T>() { forward<T>(y, x, weight, bias); });
  return record<LinearNode>(std::move(y), {&x, &weight, &bias}, [&](LinearNode& node) {
    if (node.wants(1)) node.save_input(0, x);
    if (node.wants(0)) node.save_input(1, weight);
  });
}

}  // namespace retrace
