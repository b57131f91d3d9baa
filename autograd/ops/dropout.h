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

/// Dropout for selu: in training, each element goes to selu's limit α' = -1.7580993 with
/// probability p, then y = a (x m + α' (1 - m)) + b, with a and b such that mean 0 and variance 1
/// stay: a = ((1 - p) (1 + p α'²))^(-1/2), b = -a p α'. Out of training, or with p = 0, x itself; p
/// = 1 gives zeros.
///
/// x: floating. Gradient: dx = g · a m. Errors: ValueError for p outside [0, 1].
/// Source: Klambauer et al. 2017, arXiv 1706.02515, section 2, "New Dropout Technique".
Tensor alpha_dropout(const Tensor& x, double p = 0.5, bool training = true,
                     Generator* generator = nullptr);

}  // namespace retrace
