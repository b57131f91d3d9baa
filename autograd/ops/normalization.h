#pragma once

// Normalisations: numbers that belong together are brought to mean 0 and variance 1, then scaled
// and shifted by learned parameters. They differ in which numbers share their statistics. These are
// computed in double, so squares must lie within its range, and x - mean within that of x. Where
// var + eps is 0, so is 1 / sqrt(var + eps): with eps = 0, too, numbers that are equal give bias,
// and a gradient of 0. Errors, all of them: ShapeError, DTypeError, ValueError for an eps that is
// negative or not finite.

#include <retrace/tensor/tensor.h>

namespace retrace {

/// Each slice of x over its last dims brought to mean 0 and variance 1, then scaled and shifted:
/// y = (x - mean) / sqrt(var + eps) · weight + bias, var being the biased variance.
///
/// x [.., normalized_shape], float32 or float64; weight and bias of normalized_shape, or not given.
/// A constant slice gives bias.
/// Gradient, with n = (x - mean) · r, r = 1 / sqrt(var + eps), h = g · weight and means over the
/// slice: dx = r · (h - mean(h) - n · mean(h · n)), dweight = Σ g · n, dbias = Σ g.
/// Source: Ba, Kiros, Hinton 2016, arXiv:1607.06450, section 3.
Tensor layer_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight = {},
                  const Tensor& bias = {}, double eps = 1e-5);

/// Each slice of x over its last dims divided by its root mean square, then scaled:
/// y = x / sqrt(mean(x²) + eps) · weight. Without eps it is the dtype's machine epsilon.
///
/// x [.., normalized_shape], float32 or float64; weight of normalized_shape, or not given.
/// Gradient, with r = 1 / sqrt(mean(x²) + eps), n = x · r, h = g · weight:
/// dx = r · (h - n · mean(h · n)), dweight = Σ g · n.
/// Source: Zhang and Sennrich 2019, arXiv:1910.07467, equation 4.
Tensor rms_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight = {},
                std::optional<double> eps = {});

/// Each channel of a batch normalised: y = (x - mean) / sqrt(var + eps) · weight + bias. In
/// training mean and (biased) var are those of the channel in this batch, over all dims but the
/// second, and running_mean and running_var move towards them in place, running = (1 - momentum) ·
/// running + momentum · batch, where the variance is the unbiased one; without running_mean and
/// running_var nothing is tracked. Else mean and var are running_mean and running_var.
///
/// x [N, C, ..], float32 or float64; all others [C] of its dtype, weight and bias may be absent.
/// Gradient, with n = (x - mean) · r, r = 1 / sqrt(var + eps), h = g · weight: in training
/// dx = r · (h - mean(h) - n · mean(h · n)), means over the channel, else dx = r · h;
/// dweight = Σ g · n, dbias = Σ g. Running values are constants.
/// Errors: ValueError for a momentum outside [0, 1]; in training for fewer than two values per
/// channel, which have no variance, and for running values of which several are one place in
/// memory. Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1.
Tensor batch_norm(const Tensor& x, const Tensor& running_mean, const Tensor& running_var,
                  const Tensor& weight = {}, const Tensor& bias = {}, bool training = false,
                  double momentum = 0.1, double eps = 1e-5);

/// Channels of a sample normalised in num_groups groups of neighbours, each over its channels and
/// all dims behind: y = (x - mean) / sqrt(var + eps) · weight + bias, var biased.
///
/// x [N, C, ..], float32 or float64; weight and bias [C], or not given.
/// Gradient: that of layer_norm, means over the group; dweight = Σ g · n, dbias = Σ g over all dims
/// but the second.
/// Errors: ValueError unless num_groups divides C.
/// Source: Wu and He 2018, arXiv:1803.08494, equations 1 to 7.
Tensor group_norm(const Tensor& x, std::int64_t num_groups, const Tensor& weight = {},
                  const Tensor& bias = {}, double eps = 1e-5);

/// Each channel of each sample normalised over the dims behind it: group_norm with one channel to a
/// group, and a node of that name.
///
/// x [N, C, ..], at least three dims; weight and bias [C], or not given.
/// Gradient: that of group_norm.
/// Errors: ValueError for one value per channel, which has no variance.
/// Source: Ulyanov, Vedaldi, Lempitsky 2016, arXiv:1607.08022, equation 3.
Tensor instance_norm(const Tensor& x, const Tensor& weight = {}, const Tensor& bias = {},
                     double eps = 1e-5);

}  // namespace retrace
