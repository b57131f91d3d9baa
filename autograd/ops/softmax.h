#pragma once

// Softmax and its relatives over one dim of a floating tensor: probabilities p sum to 1 along
// `dim`. Each row is shifted by its largest element first, so that nothing overflows. Entries of
// -infinity have probability 0 and gradient 0; a row of nothing else is NaN, as in PyTorch. Each is
// one node. Errors: IndexError for a dim out of range, DTypeError for int64 and bool.
//
// Source: Bridle 1990, Probabilistic Interpretation of Feedforward Classification Network Outputs.

#include <retrace/tensor/tensor.h>

namespace retrace {

class Generator;

/// p = exp(x) / Σ exp(x).  dx = p · (g - Σ g p).
Tensor softmax(const Tensor& x, std::int64_t dim);
/// ln p = x - ln Σ exp(x), exact where p itself would be 0.  dx = g - p · Σ g.
Tensor log_softmax(const Tensor& x, std::int64_t dim);
/// softmax(-x).  dx = -p · (g - Σ g p).
Tensor softmin(const Tensor& x, std::int64_t dim);

/// softmax(x / T): towards uniform for large T, towards the largest entry alone for small T.
/// dx = p · (g - Σ g p) / T. ValueError unless T > 0.
/// Source: Hinton, Vinyals and Dean 2015, arXiv 1503.02531, equation 1.
Tensor softmax_temperature(const Tensor& x, std::int64_t dim, double temperature);

/// softmax over the entries where the mask is true; the others have p = 0 and gradient 0. mask:
/// bool (DTypeError otherwise), broadcasts to x (ShapeError). A row that keeps nothing is NaN,
/// as is its gradient. dx = p · (g - Σ g p).
Tensor masked_softmax(const Tensor& x, const Tensor& mask, std::int64_t dim);

struct GumbelSoftmaxOptions {
  double tau = 1;
  bool hard = false;
  std::int64_t dim = -1;
};
/// A random choice that has a gradient: p = softmax((logits + noise) / τ), the noise being
/// -ln(-ln u) of uniform u, so that each entry is the largest as often as softmax(logits) says.
/// Hard: 1 at the largest (the first of equal ones) and 0 elsewhere, with the gradient of p.
/// dlogits = p · (g - Σ g p) / τ. ValueError unless τ > 0.
/// Source: Jang, Gu and Poole 2016, arXiv 1611.01144, equation 2 and section 2.2; Maddison, Mnih
/// and Teh 2016, arXiv 1611.00712, equation 10.
Tensor gumbel_softmax(const Tensor& logits, const GumbelSoftmaxOptions& options = {},
                      Generator* generator = nullptr);
/// With given noise of the shape (ShapeError) and dtype of the logits, taken as constant.
Tensor gumbel_softmax(const Tensor& logits, const Tensor& noise,
                      const GumbelSoftmaxOptions& options = {});

/// Entropy of softmax(x) in nats, H = -Σ p ln p = ln Σ exp(x) - Σ p x, with 0 ln 0 = 0: from 0,
/// when one entry has all, to ln n. dx = -g · p (x - Σ p x). Source: Shannon 1948, A Mathematical
/// Theory of Communication, section 6.
Tensor entropy_from_logits(const Tensor& x, std::int64_t dim = -1, bool keepdim = false);

}  // namespace retrace
