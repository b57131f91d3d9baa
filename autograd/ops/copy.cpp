#include <retrace/autograd/elementwise.h>

namespace retrace {
namespace {

struct CloneNode final : NodeOf<CloneNode> {
  static constexpr std::string_view op = "clone", formula = "y = x", gradient = "dx = g";
  static constexpr bool elementwise = true;
  void backward(const Tensor& g, Gradients& gradients) override { gradients.give(0, g); }
};

struct CastNode final : NodeOf<CastNode> {
  static constexpr std::string_view op = "to", formula = "y = x in another dtype",
                                    gradient = "dx = g in x's dtype";
  static constexpr bool elementwise = true;
  explicit CastNode(DType source) : from(source) {}
  void backward(const Tensor& g, Gradients& gradients) override { gradients.give(0, g.to(from)); }
  DType from;
};

}  // namespace

Tensor Tensor::clone() const {
  require_defined("clone", {this});
  return record<CloneNode>(contiguous_copy(*this), {this}, [](CloneNode&) {});
}

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : clone(); }

Tensor Tensor::to(DType dtype) const {
  if (dtype == this->dtype()) return *this;
  Tensor y = empty(sizes(), dtype);
  copy_elements(y, *this);
  if (!is_floating(dtype)) return y;
  return record<CastNode>(
      std::move(y), {this}, [](CastNode&) {}, this->dtype());
}

}  // namespace retrace
