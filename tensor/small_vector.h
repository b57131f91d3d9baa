#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

namespace retrace {

/// A list that keeps its first N elements inside itself: the inputs and saved tensors of a node are
/// nearly always few, and an allocation costs as much as the op.
template <class T, std::size_t N>
class SmallVector {
 public:
  SmallVector() = default;
  SmallVector(const SmallVector&) = delete;
  SmallVector& operator=(const SmallVector&) = delete;

  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](std::size_t i) { return data()[i]; }
  const T& operator[](std::size_t i) const { return data()[i]; }

  /// `size` default elements; what was there is dropped.
  void reset(std::size_t size) {
    clear();
    if (size > N) {
      more_ = std::make_unique<T[]>(size);
      capacity_ = static_cast<std::uint32_t>(size);
    }
    size_ = static_cast<std::uint32_t>(size);
  }
  void push_back(T value) {
    if (size_ == (more_ ? capacity_ : N)) grow();
    data()[size_++] = std::move(value);
  }
  void clear() {
    for (std::size_t i = 0; i < size_; ++i) data()[i] = T{};
    more_.reset();
    size_ = 0;
  }

 private:
  T* data() { return more_ ? more_.get() : few_; }
  const T* data() const { return more_ ? more_.get() : few_; }
  void grow() {
    capacity_ = size_ * 2;
    auto larger = std::make_unique<T[]>(capacity_);
    for (std::size_t i = 0; i < size_; ++i) larger[i] = std::move(data()[i]);
    more_ = std::move(larger);
  }

  T few_[N] = {};
  std::unique_ptr<T[]> more_;
  std::uint32_t size_ = 0, capacity_ = 0;
};

}  // namespace retrace
