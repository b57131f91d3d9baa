#pragma once

// For .cpp files: which tokens of padded sequences count.

#include <retrace/tensor/tensor.h>

#include <string_view>

namespace retrace::losses {

/// 1 for tokens that count and 0 for the others, in the sizes and dtype of `like`. The mask is bool
/// or of that dtype, anything but 0 counts; undefined, all do. DTypeError or ShapeError in the name
/// of `op`.
Tensor kept_tokens(std::string_view op, const Tensor& like, const Tensor& mask);
/// What a mean over those tokens divides by: their number, and 1 if there are none.
double divisor_of(const Tensor& kept);

}  // namespace retrace::losses
