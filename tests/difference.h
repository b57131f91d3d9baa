#pragma once

#include <doctest/doctest.h>

#include <retrace/autograd/autograd.h>

namespace retrace {

/// The largest |a - b|: NaN where there is one, 0 of nothing. Their sizes must be the same.
inline double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.sizes() == b.sizes());
  return a.numel() == 0 ? 0.0 : (a.detach() - b.detach()).abs().max().item<double>();
}

}  // namespace retrace
