#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

namespace retrace {

/// Reference count inside an object. While the process has one thread, counting is plain
/// arithmetic: an atomic add costs as much as a quarter of the engine's whole work for an op.
class RefCount {
 public:
  void add() {
    if (single_threaded()) {
      count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    } else {
      count_.fetch_add(1, std::memory_order_relaxed);
    }
  }
  /// True when this was the last reference.
  bool drop() {
    // The only owner needs no atomic operation: nobody else can reach the object.
    const std::uint32_t count = count_.load(std::memory_order_acquire);
    if (count == 1) return true;
    if (single_threaded()) {
      count_.store(count - 1, std::memory_order_relaxed);
      return false;
    }
    return count_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }
  std::uint32_t count() const { return count_.load(std::memory_order_acquire); }

 private:
  static bool single_threaded() {
#if __has_include(<sys/single_threaded.h>)
    return __libc_single_threaded;
#else
    return false;
#endif
  }
  std::atomic<std::uint32_t> count_{1};
};

/// Pointer that shares ownership of an object counting its own references. For T there are
/// functions `retain(T*)` and `release(T*)`; T itself may be incomplete.
template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  /// Takes over the reference that the caller holds.
  static Ref adopt(T* pointer) {
    Ref ref;
    ref.pointer_ = pointer;
    return ref;
  }
  static Ref share(T* pointer) {
    if (pointer != nullptr) retain(pointer);
    return adopt(pointer);
  }
  Ref(const Ref& other) : pointer_(other.pointer_) {
    if (pointer_ != nullptr) retain(pointer_);
  }
  Ref(Ref&& other) noexcept : pointer_(std::exchange(other.pointer_, nullptr)) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(pointer_, other.pointer_);
    return *this;
  }
  ~Ref() {
    if (pointer_ != nullptr) release(pointer_);
  }

  T* get() const { return pointer_; }
  T* operator->() const { return pointer_; }
  T& operator*() const { return *pointer_; }
  explicit operator bool() const { return pointer_ != nullptr; }
  bool operator==(const Ref&) const = default;
  /// Gives the reference away; the caller drops it.
  T* leak() { return std::exchange(pointer_, nullptr); }

 private:
  T* pointer_ = nullptr;
};

}  // namespace retrace
