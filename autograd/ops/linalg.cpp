#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/forward.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/linalg.h>
#include <retrace/autograd/ops/view.h>
#include <retrace/tensor/kernels/product.h>

namespace retrace {
namespace {

// Sizes of a b for operands of at least two dims, already checked.
Shape product_sizes(std::string_view op, const Shape& a, const Shape& b) {
  if (a.size() == 2 && b.size() == 2) return {a[0], b[1]};
  Shape left, right;
  for (int d = 0; d < a.size() - 2; ++d) left.push_back(a[d]);
  for (int d = 0; d < b.size() - 2; ++d) right.push_back(b[d]);
  Shape sizes = right.empty() ? left : broadcast_shapes(op, left, right);
  sizes.push_back(a[a.size() - 2]);
  sizes.push_back(b.back());
  return sizes;
}

// Gives input i the gradient left · right, added up by the product itself where that is possible.
void give_product(Node& node, Gradients& gradients, std::size_t i, const Tensor& left,
                  const Tensor& right) {
  const Shape& wanted = node.input(i).sizes();
  if (!GradMode::is_enabled() && product_sizes("matmul", left.sizes(), right.sizes()) == wanted) {
    if (const Tensor sum = gradients.accumulator(i); sum.defined())
      return kernels::multiply(sum, left, right, /*add=*/true);
  }
  gradients.give(i, matmul(left, right));
}

Tensor transposed(const Tensor& x) { return x.transpose(-2, -1); }
Tensor as_row(const Tensor& x) { return x.dim() == 1 ? x.unsqueeze(0) : x; }
Tensor as_column(const Tensor& x) { return x.dim() == 1 ? x.unsqueeze(1) : x; }

struct MatmulNode final : NodeOf<MatmulNode> {
  static constexpr std::string_view op = "matmul", formula = "y = a b",
                                    gradient = "da = g bᵀ, db = aᵀ g";
  MatmulNode(int left, int right) : a_rank(left), b_rank(right) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    Tensor upstream = g;
    if (b_rank == 1) upstream = upstream.unsqueeze(-1);
    if (a_rank == 1) upstream = upstream.unsqueeze(-2);
    if (gradients.wants(0)) {
      const Tensor right = transposed(as_column(saved_input(1)));
      if (a_rank == 1) {
        gradients.give(0, matmul(upstream, right).squeeze(-2));
      } else {
        give_product(*this, gradients, 0, upstream, right);
      }
    }
    if (!gradients.wants(1)) return;
    Tensor left = as_row(saved_input(0));
    if (b_rank <= 2 && left.dim() > 2) {
      // One product over all rows instead of a sum of products.
      left = left.flatten(0, -2);
      upstream = upstream.flatten(0, -2);
    }
    if (b_rank == 1) {
      gradients.give(1, matmul(transposed(left), upstream).squeeze(-1));
    } else {
      give_product(*this, gradients, 1, transposed(left), upstream);
    }
  }
  std::vector<Tensor> jvp(const std::vector<Tensor>& tangents) override {
    Tensor sum;
    if (tangents[0].defined()) sum = matmul(tangents[0], saved_input(1));
    if (tangents[1].defined()) sum = sum_of_tangents(sum, matmul(saved_input(0), tangents[1]));
    return {sum};
  }
  int a_rank, b_rank;
};

void require_ranks(std::string_view op, const Tensor& a, int a_rank, const Tensor& b, int b_rank) {
  require_defined(op, {&a, &b});
  require<ShapeError>(a.dim() == a_rank && b.dim() == b_rank,
                      "{}: operands are {} and {}, they must have {} and {} dims; use matmul for "
                      "other ranks",
                      op, a.sizes(), b.sizes(), a_rank, b_rank);
}

Tensor matrix_product(std::string_view op, const Tensor& a, const Tensor& b) {
  Tensor y = empty(product_sizes(op, a.sizes(), b.sizes()), a.dtype());
  kernels::multiply(y, a, b);
  return y;
}

// At least one of them is a vector.
Tensor vector_product(std::string_view op, const Tensor& a, const Tensor& b) {
  const NoGradGuard guard;
  const Tensor left = as_row(a), right = as_column(b);
  const Shape whole = product_sizes(op, left.sizes(), right.sizes());
  Shape sizes = whole;
  if (b.dim() == 1) sizes.erase(sizes.size() - 1);
  if (a.dim() == 1) sizes.erase(sizes.size() - (b.dim() == 1 ? 1 : 2));
  Tensor y = empty(sizes, a.dtype());
  kernels::multiply(make_view(y, whole, contiguous_strides(whole)), left, right);
  return y;
}

Tensor product(std::string_view op, const Tensor& a, const Tensor& b) {
  require_defined(op, {&a, &b});
  require_same_dtype(op, a, b);
  if (a.dtype() == kBool) refuse_dtype(op, kBool, "float32, float64 or int64");
  require<ShapeError>(a.dim() > 0 && b.dim() > 0,
                      "{}: {} @ {} has an operand of 0 dims; use mul to scale by a number", op,
                      a.sizes(), b.sizes());
  const std::int64_t k = a.sizes().back();
  const std::int64_t other_k = b.sizes()[b.dim() == 1 ? 0 : b.dim() - 2];
  require<ShapeError>(k == other_k,
                      "{}: inner sizes differ, {} @ {} ({} vs {}); transpose the right operand or "
                      "check the layer sizes",
                      op, a.sizes(), b.sizes(), k, other_k);
  Tensor y = a.dim() >= 2 && b.dim() >= 2 ? matrix_product(op, a, b) : vector_product(op, a, b);
  return record<MatmulNode>(
      std::move(y), {&a, &b},
      [&](MatmulNode& node) {
        if (node.wants(1)) node.save_input(0, a);
        if (node.wants(0)) node.save_input(1, b);
      },
      a.dim(), b.dim());
}

struct AddmmNode final : NodeOf<AddmmNode> {
  static constexpr std::string_view op = "addmm", formula = "y = β·c + α·(a b)",
                                    gradient = "dc = β · g, da = α · g bᵀ, db = α · aᵀ g";
  AddmmNode(Scalar of_c, Scalar of_product) : beta(of_c), alpha(of_product) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    if (gradients.wants(0)) gradients.give(0, scaled(g, beta));
    if (!gradients.wants(1) && !gradients.wants(2)) return;
    const Tensor upstream = scaled(g, alpha);
    if (gradients.wants(1)) give_product(*this, gradients, 1, upstream, saved_input(2).t());
    if (gradients.wants(2)) give_product(*this, gradients, 2, saved_input(1).t(), upstream);
  }
  static Tensor scaled(const Tensor& g, Scalar factor) {
    return factor.as_double() == 1.0 ? g : mul(g, factor);
  }
  Scalar beta, alpha;
};

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) { return product("matmul", a, b); }
Tensor Tensor::matmul(const Tensor& other) const { return product("matmul", *this, other); }

Tensor mm(const Tensor& a, const Tensor& b) {
  require_ranks("mm", a, 2, b, 2);
  return product("mm", a, b);
}

Tensor bmm(const Tensor& a, const Tensor& b) {
  require_ranks("bmm", a, 3, b, 3);
  require<ShapeError>(a.sizes()[0] == b.sizes()[0],
                      "bmm: batch sizes differ, {} @ {} ({} vs {}); give as many matrices on both "
                      "sides or use matmul to broadcast",
                      a.sizes(), b.sizes(), a.sizes()[0], b.sizes()[0]);
  return product("bmm", a, b);
}

Tensor mv(const Tensor& a, const Tensor& x) {
  require_ranks("mv", a, 2, x, 1);
  return product("mv", a, x);
}

Tensor dot(const Tensor& a, const Tensor& b) {
  require_ranks("dot", a, 1, b, 1);
  return product("dot", a, b);
}

Tensor outer(const Tensor& a, const Tensor& b) {
  require_ranks("outer", a, 1, b, 1);
  require_same_dtype("outer", a, b);
  if (a.dtype() == kBool) refuse_dtype("outer", a.dtype(), "float32, float64 or int64");
  return mul(a.unsqueeze(1), b);
}

Tensor addmm(const Tensor& c, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  require_defined("addmm", {&c, &a, &b});
  require_ranks("addmm", a, 2, b, 2);
  require_same_dtype("addmm", a, b);
  require_same_dtype("addmm", c, a);
  require<ShapeError>(a.sizes()[1] == b.sizes()[0],
                      "addmm: inner sizes differ, {} @ {} ({} vs {}); transpose the right operand "
                      "or check the layer sizes",
                      a.sizes(), b.sizes(), a.sizes()[1], b.sizes()[0]);
  const Shape sizes{a.sizes()[0], b.sizes()[1]};
  require<ShapeError>(broadcast_shapes("addmm", c.sizes(), sizes) == sizes,
                      "addmm: c {} does not broadcast to the product's {}; give it that shape",
                      c.sizes(), sizes);
  Tensor y = visit_float(a.dtype(), "addmm", [&]<class T>() {
    Tensor sum = empty(sizes, a.dtype());
    const bool keeps_c = beta.as_double() != 0.0;
    if (keeps_c) copy_elements(sum, c);
    const auto matrix = [](const Tensor& x) {
      return kernels::MatrixView<const T>{elements<const T>(x), x.sizes()[0], x.sizes()[1],
                                          x.strides()[0], x.strides()[1]};
    };
    kernels::gemm<T>(static_cast<T>(alpha.as_double()), matrix(a), matrix(b),
                     static_cast<T>(beta.as_double()),
                     kernels::row_major(elements<T>(sum), sizes[0], sizes[1]));
    return sum;
  });
  return record<AddmmNode>(
      std::move(y), {&c, &a, &b},
      [&](AddmmNode& node) {
        if (node.wants(2)) node.save_input(1, a);
        if (node.wants(1)) node.save_input(2, b);
      },
      beta, alpha);
}

}  // namespace retrace
