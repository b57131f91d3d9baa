#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/losses/token_mask.h>

namespace retrace::losses {

Tensor kept_tokens(std::string_view op, const Tensor& like, const Tensor& mask) {
  require_defined(op, {&like});
  if (!mask.defined()) return ones({}, like.dtype()).expand(like.sizes());
  require<DTypeError>(mask.dtype() == kBool || mask.dtype() == like.dtype(),
                      "{}: the mask is {} {}, the rest {} {}; convert it with .to(kBool)", op,
                      mask.dtype(), mask.sizes(), like.dtype(), like.sizes());
  require<ShapeError>(mask.sizes() == like.sizes(),
                      "{}: the mask is {}, the rest {}; give one truth value a token", op,
                      mask.sizes(), like.sizes());
  return without_recording([&] { return ne(mask, 0).to(like.dtype()); });
}

double divisor_of(const Tensor& kept) {
  return std::max(1.0, without_recording([&] { return kept.sum().item<double>(); }));
}

}  // namespace retrace::losses
