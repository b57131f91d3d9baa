#pragma once

#include <retrace/tensor/random.h>

namespace retrace {

/// Standard normal numbers: in each test the same, whatever ran before it (main.cpp).
inline Tensor random(const Shape& sizes, DType dtype = kFloat64) { return randn(sizes, dtype); }

}  // namespace retrace
