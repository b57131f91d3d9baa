#pragma once

// For .cpp files: what the losses over classes share, their shapes, the checks of class targets and
// what becomes of the losses of rows.

#include <optional>

#include <retrace/autograd/elementwise.h>
#include <retrace/losses/reducing.h>
#include <retrace/tensor/tensor.h>

namespace retrace::losses {

/// Sizes of the input without its class dim (dim 1, or the only one).
Shape sizes_without_classes(const Shape& input);
std::int64_t class_count(const Shape& input);

/// The input with its class dim last, row-major: rows of C numbers, one for each target.
Tensor class_rows(const Tensor& input);
/// A view of such rows in the shape `input`.
Tensor from_class_rows(const Tensor& rows, const Shape& input);

/// The same rows, recorded: [rows, C].
Tensor recorded_class_rows(const Tensor& input);

/// Checks that the input is floating and has a class dim of at least one class.
void check_scores(std::string_view loss, const Tensor& input, const Tensor& target);
/// Checks input, class targets and weight, and gives what a mean divides by: Σ weight(t) over the
/// targets that are not ignored. The targets are to be int64; see losses/classification.h.
double check_classes(std::string_view loss, const Tensor& input, const Tensor& target,
                     const Tensor& weight, std::optional<std::int64_t> ignore_index);
/// Checks the weight of each class, an option called `name`.
void check_class_weight(std::string_view loss, std::string_view name, const Tensor& input,
                        const Tensor& weight);

/// The losses of rows, of the targets' shape, as the caller wants them.
Tensor reduce_rows(const Tensor& losses, const Reducing& reducing);

/// The same of losses by row, recorded. (A mean of no rows passes nothing on.)
Tensor recorded_reduction(const Tensor& losses, const Shape& sizes, const Reducing& reducing);

/// The gradient of each row's loss, from that of the reduced losses.
template <class T>
class RowUpstream {
 public:
  RowUpstream(const Tensor& g, const Reducing& reducing)
      : dense_(as_contiguous(g)), each_(elements<const T>(dense_)) {
    if (reducing.how == Reduction::none) return;
    same_ = static_cast<T>(static_cast<double>(each_[0]) * reducing.weight_of_one());
    each_ = nullptr;
  }

  T operator()(std::int64_t row) const { return each_ == nullptr ? same_ : each_[row]; }

 private:
  Tensor dense_;
  const T* each_;
  T same_ = 0;
};

}  // namespace retrace::losses
