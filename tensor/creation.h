#pragma once

// Tensors from nothing, from plain numbers, from memory. None of these is recorded.

#include <memory>
#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace {

/// Uninitialised.
Tensor empty(const Shape& sizes, DType dtype = kFloat32);
Tensor zeros(const Shape& sizes, DType dtype = kFloat32);
Tensor ones(const Shape& sizes, DType dtype = kFloat32);
/// ValueError for a finite value that float32 cannot hold, if it is to.
Tensor full(const Shape& sizes, Scalar value, DType dtype = kFloat32);

/// Of the shape of x, in its dtype or another. (Memcheck takes an empty std::optional<DType>, as
/// a default argument, for an uninitialised dtype.)
Tensor empty_like(const Tensor& x);
Tensor empty_like(const Tensor& x, DType dtype);
Tensor zeros_like(const Tensor& x);
Tensor zeros_like(const Tensor& x, DType dtype);
Tensor ones_like(const Tensor& x);
Tensor ones_like(const Tensor& x, DType dtype);
Tensor full_like(const Tensor& x, Scalar value);
Tensor full_like(const Tensor& x, Scalar value, DType dtype);

/// start, start + step, ... below `end` (above, for a negative step). int64 when all are whole
/// numbers and no dtype is given, else float32. ValueError for step 0 or one that leads away.
Tensor arange(Scalar end, std::optional<DType> dtype = {});
Tensor arange(Scalar start, Scalar end, std::optional<DType> dtype = {});
Tensor arange(Scalar start, Scalar end, Scalar step, std::optional<DType> dtype = {});

/// `steps` numbers from start to end, both included, equally spaced; as int64 the fractions of
/// those between are cut off. ValueError for an end that is not finite or does not fit the dtype,
/// DTypeError for one with a fraction as int64.
Tensor linspace(Scalar start, Scalar end, std::int64_t steps, DType dtype = kFloat32);

/// Identity matrix [n, n] or [n, m].
Tensor eye(std::int64_t n, DType dtype = kFloat32);
Tensor eye(std::int64_t n, std::int64_t m, DType dtype);

/// Numbers in nested braces, `tensor({{1.0, 2.0}, {3.0, 4.0}})`; also a vector or one number.
class NestedList {
 public:
  NestedList(bool value) : kind_(kBool), value_(value) {}
  NestedList(std::floating_point auto value) : kind_(kFloat32), value_(value) {}
  NestedList(std::integral auto value) : kind_(kInt64), value_(value) {}
  NestedList(std::initializer_list<NestedList> items) : list_(true), items_(items) {}
  template <class T>
  NestedList(const std::vector<T>& items) : list_(true), items_(items.begin(), items.end()) {}

  bool is_list() const { return list_; }
  DType kind() const { return kind_; }
  Scalar value() const { return value_; }
  const std::vector<NestedList>& items() const { return items_; }

 private:
  bool list_ = false;
  DType kind_ = kFloat32;
  Scalar value_ = 0.0;
  std::vector<NestedList> items_;
};

/// A tensor of these numbers: float32 if one of them is a fraction type (`2.0`), int64 for whole
/// numbers, bool for bools, unless `dtype` says otherwise. ShapeError for ragged lists.
Tensor tensor(const NestedList& values, std::optional<DType> dtype = {});

/// A copy of `values` in the given shape (by default one dim). ShapeError when the count differs.
template <class T>
Tensor from_vector(const std::vector<T>& values, std::optional<Shape> sizes = {});

/// A tensor on memory that belongs to somebody else; `owner`, if given, keeps it alive.
Tensor from_blob(void* data, const Shape& sizes, DType dtype,
                 std::shared_ptr<void> owner = nullptr);

}  // namespace retrace
