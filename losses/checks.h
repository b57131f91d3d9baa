#pragma once

// For .cpp files: what losses demand of their options and of the numbers in their tensors.

#include <retrace/autograd/elementwise.h>
#include <retrace/tensor/check.h>

#include <cmath>
#include <cstdint>
#include <type_traits>

namespace retrace::losses {

/// ValueError in the name of `loss` with the option `name` unless its value `holds`: "... it must
/// be RULE".
inline void require_option(std::string_view loss, std::string_view name, double value, bool holds,
                           std::string_view rule) {
  require<ValueError>(holds, "{}: {} is {}; it must be {}", loss, name, value, rule);
}
inline void require_above_zero(std::string_view loss, std::string_view name, double value) {
  require_option(loss, name, value, value > 0 && std::isfinite(value), "above 0 and finite");
}
/// Infinity is allowed: a bound that is none.
inline void require_at_least_zero(std::string_view loss, std::string_view name, double value) {
  require_option(loss, name, value, value >= 0, "at least 0");
}
inline void require_finite(std::string_view loss, std::string_view name, double value) {
  require_option(loss, name, value, std::isfinite(value), "finite");
}
inline void require_share(std::string_view loss, std::string_view name, double value) {
  require_option(loss, name, value, value >= 0 && value <= 1, "in [0, 1]");
}

/// ValueError in the name of `loss` with the first element of x, called `name`, that is not
/// `allowed`: "... it must be RULE".
template <class Allowed>
void require_each(std::string_view loss, std::string_view name, const Tensor& x, Allowed allowed,
                  std::string_view rule) {
  const Tensor dense = as_contiguous(x);
  visit_float(x.dtype(), loss, [&]<class T>() {
    const T* values = elements<const T>(dense);
    // As wide as T, and without a branch: a loop of vectors.
    std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t> bad = 0;
#pragma omp simd reduction(| : bad)
    for (std::int64_t i = 0; i < dense.numel(); ++i) bad |= allowed(values[i]) ? 0 : 1;
    for (std::int64_t i = 0; bad != 0 && i < dense.numel(); ++i)
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
