#pragma once

#include <vector>

#include <retrace/tensor/tensor.h>

/// libtorch's names for what is done to gradients between backward and step.
namespace retrace::nn::utils {

/// Scales all gradients, in place, so that together, as one vector, they have at most the norm
/// `max_norm`: each is multiplied by min(1, max_norm / (norm + 1e-6)). Returns the norm before, in
/// double. Parameters without a gradient do not count, and one that is listed twice counts once.
///
/// norm_type p > 0: (Σ |g|^p)^(1/p); infinity: max |g|. Powers may be beyond the range of double,
/// the norm not. One that is NaN or infinite makes the gradients NaN and 0, unless
/// error_if_nonfinite: then it is a ValueError and nothing is changed.
/// ValueError also for max_norm below 0 or NaN, or another norm_type.
/// Source: Pascanu et al. 2012, arXiv:1211.5063, algorithm 1; in the form of
/// torch.nn.utils.clip_grad_norm_.
double clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm,
                       double norm_type = 2.0, bool error_if_nonfinite = false);

/// The norm that clip_grad_norm_ returns, and nothing is changed.
double grad_norm(const std::vector<Tensor>& parameters, double norm_type = 2.0);

/// Whether no element of the tensors is NaN or infinite.
bool are_finite(const std::vector<Tensor>& tensors);
/// Whether no gradient has an element that is NaN or infinite: one pass, faster than a norm.
bool grads_are_finite(const std::vector<Tensor>& parameters);

/// Clamps every element of every gradient to [-clip_value, clip_value], in place. NaN stays NaN.
/// ValueError for clip_value below 0 or NaN.
void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value);

}  // namespace retrace::nn::utils
