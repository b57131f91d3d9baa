#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace retrace {

/// Most dims a tensor can have. Sizes and strides live inside the tensor, so this bounds its size.
inline constexpr int kMaxDims = 8;

/// A short list of whole numbers: sizes, strides, or dims of a tensor. Prints as `[2, 3]`.
class Shape {
 public:
  Shape() : values_{0, 0, 0, 0} {}
  Shape(std::initializer_list<std::int64_t> values) : Shape() {
    assign(values.begin(), values.size());
  }
  Shape(const std::vector<std::int64_t>& values) : Shape() { assign(values.data(), values.size()); }
  explicit Shape(std::span<const std::int64_t> values) : Shape() {
    assign(values.data(), values.size());
  }
  // Nearly all shapes have up to four dims: only those values are always set and copied.
  Shape(const Shape& other) : Shape() { *this = other; }
  // NOLINTNEXTLINE(bugprone-unhandled-self-assignment,cert-oop54-cpp): onto itself it is harmless
  Shape& operator=(const Shape& other) {
    size_ = other.size_;
    std::copy_n(other.values_, kUsual, values_);
    if (size_ > kUsual) [[unlikely]]
      std::copy(other.values_ + kUsual, other.values_ + size_, values_ + kUsual);
    return *this;
  }
  /// `count` times `value`.
  static Shape filled(int count, std::int64_t value);

  int size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::int64_t operator[](int i) const { return values_[i]; }
  std::int64_t& operator[](int i) { return values_[i]; }
  const std::int64_t* begin() const { return values_; }
  const std::int64_t* end() const { return values_ + size_; }
  std::int64_t back() const { return values_[size_ - 1]; }

  void push_back(std::int64_t value);
  void insert(int position, std::int64_t value);
  void erase(int position);

  bool operator==(const Shape& other) const {
    if (size_ != other.size_) return false;
    for (int i = 0; i < size_; ++i) {
      if (values_[i] != other.values_[i]) return false;
    }
    return true;
  }

  /// Product of the values; 1 for no dims. ShapeError when it does not fit 63 bits.
  std::int64_t numel() const;
  /// "[2, 3]"
  std::string str() const;

 private:
  static constexpr int kUsual = 4;
  void assign(const std::int64_t* values, std::size_t count);

  int size_ = 0;
  std::int64_t values_[kMaxDims];
};

/// Nothing is one.
struct NotADim {
  NotADim() = delete;
};
/// What `{}` is where a dim or several are asked for. C++ would read it as dim 0, PyTorch means all
/// dims: reductions delete it, so that it does not compile. Of all dims name none, `x.sum()`.
using NoDims = std::initializer_list<NotADim>;

/// "[2, 3]".
std::ostream& operator<<(std::ostream& out, const Shape& shape);

/// Strides count elements, not bytes.
using Strides = Shape;

/// Strides of a row-major tensor of these sizes.
Strides contiguous_strides(const Shape& sizes);

/// Whether a tensor of these sizes and strides lies row-major without gaps.
bool is_contiguous(const Shape& sizes, const Strides& strides);

/// Sizes to which a and b broadcast (NumPy's rules). ShapeError in the name of `op` if they do not.
Shape broadcast_shapes(std::string_view op, const Shape& a, const Shape& b);

/// dim in [-rank, rank) as one in [0, rank); IndexError in the name of `op` otherwise. A 0-d tensor
/// counts as having one dim, as in PyTorch.
int wrap_dim(std::string_view op, std::int64_t dim, const Shape& sizes);

}  // namespace retrace
