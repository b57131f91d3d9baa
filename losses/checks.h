#pragma once

// For .cpp files: what losses demand of the numbers in their arguments.

#include <retrace/autograd/elementwise.h>
#include <retrace/tensor/check.h>

namespace retrace::losses {

/// ValueError in the name of `loss` with the first element of x, called `name`, that is not
/// `allowed`: "... it must be RULE".
template <class Allowed>
void require_each(std::string_view loss, std::string_view name, const Tensor& x, Allowed allowed,
                  std::string_view rule) {
  const Tensor dense = as_contiguous(x);
  visit_float(x.dtype(), loss, [&]<class T>() {
    const T* values = elements<const T>(dense);
    for (std::int64_t i = 0; i < dense.numel(); ++i)
      require<ValueError>(allowed(values[i]), "{}: {} {} holds {} (element {}); it must be {}",
                          loss, name, x.sizes(), values[i], i, rule);
  });
}

/// Labels of two classes written as numbers.
inline void require_signs(std::string_view loss, const Tensor& target) {
  require_each(
      loss, "target", target, [](auto t) { return t == 1 || t == -1; },
      "-1 or 1: turn labels y of 0 and 1 into 2 y - 1");
}

}  // namespace retrace::losses
