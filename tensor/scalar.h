#pragma once

#include <concepts>
#include <cstdint>
#include <limits>

#include <retrace/tensor/dtype.h>

namespace retrace {

/// A plain number given to an op beside tensors. It takes the tensor's dtype: a fraction given to
/// an int64 tensor is a DTypeError, never cut off. Whole numbers are int64: an unsigned one above
/// 2^63 - 1 is a ValueError.
class Scalar {
 public:
  Scalar(std::floating_point auto value) : floating_(static_cast<double>(value)), whole_(false) {}
  Scalar(std::integral auto value) : integer_(static_cast<std::int64_t>(value)), whole_(true) {
    if constexpr (std::numeric_limits<decltype(value)>::digits > 63) {
      if (integer_ < 0) [[unlikely]]
        refuse_unsigned(value);
    }
  }

  bool is_integer() const { return whole_; }
  double as_double() const { return whole_ ? static_cast<double>(integer_) : floating_; }

  /// The number as a T, cut off if need be; for kernels, after `to` was asked.
  template <class T>
  T as() const {
    if constexpr (std::is_same_v<T, std::int64_t>) {
      return whole_ ? integer_ : static_cast<T>(floating_);
    } else {
      return static_cast<T>(as_double());
    }
  }

  /// The number as an element of a tensor. DTypeError in the name of `op` for a fraction, an
  /// infinity or a NaN as int64.
  template <class T>
  T to(std::string_view op) const {
    if constexpr (std::is_same_v<T, bool>) {
      return as_double() != 0.0;
    } else if constexpr (std::is_same_v<T, std::int64_t>) {
      return whole(op);
    } else {
      return whole_ ? static_cast<T>(integer_) : static_cast<T>(floating_);
    }
  }

  /// In the name of `op`, for one that stores the number in tensors of `dtype`: `to` as int64, and
  /// ValueError for a finite number that as float32 would be infinite.
  void require_held(std::string_view op, DType dtype) const;

 private:
  [[noreturn]] static void refuse_unsigned(std::uint64_t value);
  std::int64_t whole(std::string_view op) const;

  union {
    double floating_;
    std::int64_t integer_;
  };
  bool whole_;
};

}  // namespace retrace
