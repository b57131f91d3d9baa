#pragma once

// Activations, element by element, of floating tensors (DTypeError otherwise; relu also takes
// int64). Each is one node. g is the gradient of the result, σ the logistic function. Where pieces
// meet the slope is that of the side named in the gradient. An option that is NaN is a ValueError,
// and so is a slope, α or β that is not finite in x's dtype, or that vanishes there and divides.

#include <retrace/tensor/tensor.h>

namespace retrace {

// Sigmoids ---------------------------------------------------------------------------------------

/// 1 / (1 + e⁻ˣ).  dx = g · y (1 - y).
/// Source: Rumelhart, Hinton and Williams 1986, Nature 323, equation 2.
Tensor sigmoid(const Tensor& x);
/// (eˣ - e⁻ˣ) / (eˣ + e⁻ˣ).  dx = g · (1 - y²).
/// Source: LeCun et al. 1998, Efficient BackProp, section 4.4.
Tensor tanh(const Tensor& x);
/// x / (1 + |x|).  dx = g / (1 + |x|)².
/// Source: Glorot and Bengio 2010, AISTATS, section 2.2.
Tensor softsign(const Tensor& x);
/// ln σ(x) = -ln(1 + e⁻ˣ).  dx = g · σ(-x).
/// Source: PyTorch's logsigmoid.
Tensor logsigmoid(const Tensor& x);
/// min(max(x / 6 + ½, 0), 1).  dx = g / 6 where -3 < x < 3, else 0.
/// Source: Howard et al. 2019, arXiv 1905.02244, section 5.2.
Tensor hardsigmoid(const Tensor& x);
/// min(max(x, min_val), max_val).  dx = g where min_val < x < max_val, else 0. ValueError for
/// min_val above max_val.
/// Source: Collobert 2004, Large Scale Machine Learning, thesis.
Tensor hardtanh(const Tensor& x, double min_val = -1, double max_val = 1);

// Rectifiers -------------------------------------------------------------------------------------

/// max(x, 0); NaN stays.  dx = g where x > 0, else 0.
/// Source: Nair and Hinton 2010, ICML.
Tensor relu(const Tensor& x);
/// min(max(x, 0), 6).  dx = g where 0 < x < 6, else 0.
/// Source: Krizhevsky 2010, Convolutional Deep Belief Networks on CIFAR-10.
Tensor relu6(const Tensor& x);
/// x above 0, negative_slope · x below.  dx = g where x > 0, else g · negative_slope.
/// Source: Maas, Hannun and Ng 2013, Rectifier Nonlinearities.
Tensor leaky_relu(const Tensor& x, double negative_slope = 0.01);
/// x above 0, a · x below, with slopes a to be learnt: one ([] or [1]), or one for each channel,
/// [x.size(1)].  dx = g where x > 0, else g · a;  da = Σ g · x over x ≤ 0 of its channel.
/// ShapeError for another number of slopes. Source: He et al. 2015, arXiv 1502.01852, equations 1,
/// 7 and 8.
Tensor prelu(const Tensor& x, const Tensor& weight);
/// ln(1 + e^(βx)) / β, and x itself where βx > threshold.  dx = g · σ(βx), g above the threshold.
/// ValueError unless beta > 0.
/// Source: Dugas et al. 2000, NIPS 13; the threshold is PyTorch's.
Tensor softplus(const Tensor& x, double beta = 1, double threshold = 20);

// Exponential units ------------------------------------------------------------------------------

/// x above 0, α (eˣ - 1) below.  dx = g where x > 0, else g · α eˣ. ValueError unless α ≥ 0.
/// Source: Clevert, Unterthiner and Hochreiter 2015, arXiv 1511.07289, equation 15.
Tensor elu(const Tensor& x, double alpha = 1);
/// λ · elu(x, α) with λ = 1.0507009873554805 and α = 1.6732632423543772: weights of variance 1 / in
/// then keep activations at mean 0 and variance 1 through any depth.  dx = g · λ where x > 0, else
/// g · λ α eˣ.
/// Source: Klambauer et al. 2017, arXiv 1706.02515, equation 2.
Tensor selu(const Tensor& x);
/// x above 0, α (e^(x/α) - 1) below: smooth at 0 for every α.  dx = g where x > 0, else g ·
/// e^(x/α). ValueError for α = 0. Source: Barron 2017, arXiv 1704.07483, equation 2.
Tensor celu(const Tensor& x, double alpha = 1);

// Gated by themselves ----------------------------------------------------------------------------

/// Which formula gelu computes.
enum class Approximate { none, tanh };

/// x · Φ(x), Φ being the normal distribution function: ½ x (1 + erf(x / √2)).  dx = g · (Φ(x) +
/// x φ(x)). With Approximate::tanh the form of GPT-2, ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))),
/// which differs by up to 4.8e-4. In float32 the exact form's dx has an error of up to 2e-7 · g: it
/// is 0 below x = -5.75.
/// Source: Hendrycks and Gimpel 2016, arXiv 1606.08415, section 2.
Tensor gelu(const Tensor& x, Approximate approximate = Approximate::none);
/// x · σ(1.702 x), which differs from gelu by up to 0.021.  dx as for swish.
/// Source: Hendrycks and Gimpel 2016, arXiv 1606.08415, section 2.
Tensor quick_gelu(const Tensor& x);
/// x · σ(x): swish with β = 1.  dx = g · σ(x) (1 + x σ(-x)).
/// Source: Elfwing, Uchibe and Doya 2017, arXiv 1702.03118, equation 8.
Tensor silu(const Tensor& x);
/// x · σ(βx): x / 2 for β = 0, towards relu for large β.  dx = g · σ(βx) (1 + βx σ(-βx)).
/// Source: Ramachandran, Zoph and Le 2017, arXiv 1710.05941, section 4.
Tensor swish(const Tensor& x, double beta = 1);
/// With β to be learnt, a tensor that broadcasts to x (ShapeError otherwise): one number, or one
/// for each feature.  dβ = Σ g · x² σ(βx) σ(-βx).
Tensor swish(const Tensor& x, const Tensor& beta);
/// x · tanh(ln(1 + eˣ)).  dx = g · (t + x σ(x) (1 - t²)) with t = tanh(ln(1 + eˣ)).
/// Source: Misra 2019, arXiv 1908.08681, equation 1.
Tensor mish(const Tensor& x);
/// x · min(max(x + 3, 0), 6) / 6.  dx = g · (2x + 3) / 6 where -3 ≤ x ≤ 3, 0 below, g above.
/// Source: Howard et al. 2019, arXiv 1905.02244, section 5.2.
Tensor hardswish(const Tensor& x);

// Shrinkers --------------------------------------------------------------------------------------

/// x - tanh(x).  dx = g · tanh²(x).
/// Source: PyTorch's Tanhshrink.
Tensor tanhshrink(const Tensor& x);
/// x drawn towards 0 by λ, sign(x) max(|x| - λ, 0).  dx = g where |x| > λ, else 0. ValueError
/// unless λ ≥ 0. Source: Donoho 1995, IEEE Transactions on Information Theory 41, equation 2.
Tensor softshrink(const Tensor& x, double lambd = 0.5);
/// x where |x| > λ, else 0.  dx = g where |x| > λ, else 0.
/// Source: Donoho and Johnstone 1994, Biometrika 81, section 2.
Tensor hardshrink(const Tensor& x, double lambd = 0.5);

}  // namespace retrace
