#pragma once

// For .cpp files: which dims a reduction takes away.

#include <algorithm>

#include <retrace/tensor/check.h>
#include <retrace/tensor/tensor.h>

namespace retrace {

/// The dims that a reduction of `x` takes away, and the sizes of its result with and without them.
struct Reduced {
  bool marked[kMaxDims] = {};
  Shape kept, kept_as_one;
  Shape dims;              ///< those taken away, ascending
  std::int64_t count = 1;  ///< elements that become one

  /// All dims when `which` is null. IndexError in the name of `op` for a dim that is not there or
  /// is named twice.
  Reduced(std::string_view op, const Tensor& x, const Shape* which) {
    if (which == nullptr) std::fill_n(marked, x.dim(), true);
    for (int i = 0; which != nullptr && i < which->size(); ++i) {
      const int d = wrap_dim(op, (*which)[i], x.sizes());
      require<IndexError>(!marked[d], "{}: dim {} is named twice in {}; name each once", op, d,
                          *which);
      marked[d] = true;
    }
    for (int d = 0; d < x.dim(); ++d) {
      if (!marked[d]) kept.push_back(x.sizes()[d]);
      if (marked[d]) dims.push_back(d);
      if (marked[d]) count *= x.sizes()[d];
      kept_as_one.push_back(marked[d] ? 1 : x.sizes()[d]);
    }
  }

  const Shape& sizes(bool keepdim) const { return keepdim ? kept_as_one : kept; }
};

}  // namespace retrace
