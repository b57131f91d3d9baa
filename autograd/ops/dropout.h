#pragma once

#include <retrace/tensor/tensor.h>

namespace retrace {

class Generator;

/// In training, each element is set to 0 with probability p, independently, and the others are
/// divided by 1 - p, so that the expected value stays: y = x · m / (1 - p), m drawn with P(m = 1) =
/// 1 - p. Out of training, or with p = 0, x itself and nothing is drawn; p = 1 gives zeros.
///
/// x: floating. Which elements go depends on the generator's state and their place alone.
/// Gradient: dx = g · m / (1 - p).
/// Errors: ValueError for p outside [0, 1].
/// Source: Srivastava et al. 2014, JMLR 15.
Tensor dropout(const Tensor& x, double p = 0.5, bool training = true,
               Generator* generator = nullptr);

}  // namespace retrace
