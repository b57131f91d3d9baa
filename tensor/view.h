#pragma once

// Raw access below the tape: nothing here records. For ops and kernels.

#include <retrace/tensor/tensor.h>

namespace retrace {

/// A tensor on the storage of `base` with its own geometry; `offset` counts elements from base's
/// first one. The caller answers for the bounds.
Tensor make_view(const Tensor& base, const Shape& sizes, const Strides& strides,
                 std::int64_t offset = 0);

/// Geometry of `x` broadcast to `sizes` (stride 0 where it repeats); sizes must be broadcastable.
Tensor expanded(const Tensor& x, const Shape& sizes);

/// Strides of `x` when it is broadcast to `sizes`: 0 where it repeats.
Strides broadcast_strides(const Tensor& x, const Shape& sizes);

/// Whether two elements of x are one place in memory: repeated by stride 0, or in windows that
/// overlap.
bool elements_overlap(const Tensor& x);

/// Strides with which a tensor can be seen as `sizes` without copying, if there are any.
std::optional<Strides> view_strides(const Shape& from, const Strides& strides, const Shape& to);

/// `sizes` with a -1 worked out from `numel`. ShapeError in the name of `op` when they do not fit.
Shape infer_sizes(std::string_view op, const Shape& sizes, const Shape& from);

/// Copies numbers: `source` must broadcast to the sizes of `target`; dtypes are converted. The
/// version of target is not touched.
void copy_elements(const Tensor& target, const Tensor& source);

/// As full(), for what was computed and may be beyond float32: that is infinite.
Tensor full_unchecked(const Shape& sizes, Scalar value, DType dtype);

/// As Tensor::contiguous and Tensor::clone, unrecorded.
Tensor contiguous_copy(const Tensor& x);
inline Tensor as_contiguous(const Tensor& x) { return x.is_contiguous() ? x : contiguous_copy(x); }

/// The elements, contiguous or not; T is not checked.
template <class T>
T* elements(const Tensor& x) {
  return reinterpret_cast<T*>(x.get().data);
}

}  // namespace retrace
