#pragma once

// Activations, element by element, of floating tensors (DTypeError otherwise; relu also takes
// int64). g is the gradient of the result, σ the logistic function.

#include <retrace/tensor/tensor.h>

namespace retrace {

/// max(x, 0); NaN stays.  dx = g where x > 0, else 0.
Tensor relu(const Tensor& x);

/// 1 / (1 + e⁻ˣ).  dx = g · y (1 - y).
Tensor sigmoid(const Tensor& x);

/// (eˣ - e⁻ˣ) / (eˣ + e⁻ˣ).  dx = g · (1 - y²).
Tensor tanh(const Tensor& x);

/// Which formula gelu computes.
enum class Approximate { none, tanh };

/// x · Φ(x), Φ being the normal distribution function: ½ x (1 + erf(x / √2)).  dx = g · (Φ(x) +
/// x φ(x)). With Approximate::tanh the form of GPT-2, ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))),
/// which differs by up to 4.8e-4.  Hendrycks and Gimpel 2016, arXiv 1606.08415.
Tensor gelu(const Tensor& x, Approximate approximate = Approximate::none);

/// x · σ(x), also called swish.  dx = g · σ(x) (1 + x σ(-x)).  Elfwing et al. 2017, arXiv
/// 1702.03118.
Tensor silu(const Tensor& x);

/// ln(1 + e^(βx)) / β, and x itself where βx > threshold.  dx = g · σ(βx), g above the threshold.
/// ValueError unless beta > 0.
Tensor softplus(const Tensor& x, double beta = 1, double threshold = 20);

/// ln σ(x) = -ln(1 + e⁻ˣ).  dx = g · σ(-x).
Tensor logsigmoid(const Tensor& x);

}  // namespace retrace
