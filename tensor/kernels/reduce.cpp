#include <retrace/tensor/kernels/reduce.h>

namespace retrace::kernels {

Tensor reduced_last(const Tensor& x, const bool* reduced) {
  Shape sizes;
  Strides strides;
  for (const bool wanted : {false, true}) {
    for (int d = 0; d < x.dim(); ++d) {
      if (reduced[d] != wanted) continue;
      sizes.push_back(x.sizes()[d]);
      strides.push_back(x.strides()[d]);
    }
  }
  return as_contiguous(make_view(x, sizes, strides));
}

}  // namespace retrace::kernels
