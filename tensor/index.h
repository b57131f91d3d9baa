#pragma once

// What stands between the brackets of x.index({...}): as in libtorch, and as x[...] in NumPy.
//
//   x.index({0})                          the first row, as x[0]
//   x.index({Slice(1, None), Slice()})    all rows but the first
//   x.index({Ellipsis, -1})               the last column, whatever the rank
//   x.index({None})                       a new dim of size 1 in front
//   x.index({mask})                       the elements, or rows, where a bool tensor holds
//   x.index({rows, columns})              the elements at pairs of int64 indices, which broadcast
//
// Whole numbers, slices, None and Ellipsis give views; tensors give copies. Dims that tensors take
// the place of become the dims of their broadcast shape: there if the tensors are neighbours, else
// in front. Errors: IndexError for an index out of range or too many, ShapeError for a mask that
// does not fit or indices that do not broadcast, DTypeError for tensors other than int64 and bool.

#include <retrace/tensor/tensor.h>

namespace retrace {

namespace indexing {

/// Indices start, start + step, ... below stop; bounds as in Python. The step is positive.
struct Slice {
  Slice(std::optional<std::int64_t> first = {}, std::optional<std::int64_t> end = {},
        std::int64_t by = 1)
      : start(first), stop(end), step(by) {}
  std::optional<std::int64_t> start, stop;
  std::int64_t step;
};

/// A new dim, or a bound that is not given.
inline constexpr std::nullopt_t None = std::nullopt;

struct EllipsisType {};
/// All dims that are not named.
inline constexpr EllipsisType Ellipsis;

}  // namespace indexing

/// One of the indices above.
class TensorIndex {
 public:
  enum class Kind { whole, slice, none, ellipsis, truth, tensor };

  TensorIndex(std::integral auto index) : kind_(Kind::whole), whole_(index) {}
  TensorIndex(bool truth) : kind_(Kind::truth), whole_(truth) {}
  TensorIndex(const indexing::Slice& slice) : kind_(Kind::slice), slice_(slice) {}
  TensorIndex(std::nullopt_t) : kind_(Kind::none) {}
  TensorIndex(indexing::EllipsisType) : kind_(Kind::ellipsis) {}
  TensorIndex(Tensor tensor) : kind_(Kind::tensor), tensor_(std::move(tensor)) {}

  Kind kind() const { return kind_; }
  std::int64_t whole() const { return whole_; }
  bool truth() const { return whole_ != 0; }
  const indexing::Slice& slice() const { return slice_; }
  const Tensor& tensor() const { return tensor_; }

 private:
  Kind kind_;
  std::int64_t whole_ = 0;
  indexing::Slice slice_;
  Tensor tensor_;
};

}  // namespace retrace
