#pragma once

// For .cpp files: what the losses over classes share, their shapes and the checks of class targets.

#include <retrace/tensor/tensor.h>

namespace retrace::losses {

/// Sizes of the input without its class dim (dim 1, or the only one).
Shape sizes_without_classes(const Shape& input);
std::int64_t class_count(const Shape& input);

/// The input with its class dim last, row-major: rows of C numbers, one for each target.
Tensor class_rows(const Tensor& input);
/// A view of such rows in the shape `input`.
Tensor from_class_rows(const Tensor& rows, const Shape& input);

/// Checks input, class targets and weight, and gives what a mean divides by: Σ weight(t) over the
/// targets that are not ignored. The targets are to be int64; see losses/classification.h.
double check_classes(std::string_view loss, const Tensor& input, const Tensor& target,
                     const Tensor& weight, std::int64_t ignore_index);
void check_class_weight(std::string_view loss, const Tensor& input, const Tensor& weight);

}  // namespace retrace::losses
