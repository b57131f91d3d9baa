#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include <retrace/tensor/ref.h>

namespace retrace {

/// The bytes that a tensor and its views share. Header and bytes are one block of the pool, unless
/// the bytes belong to somebody else (a mapped file).
struct Storage {
  RefCount references;
  /// Counts changes in place. A saved tensor whose storage moved on is refused by backward.
  std::atomic<std::uint32_t> version{0};
  /// Live views of it that are recorded on a tape: changing it in place on the tape is refused.
  std::atomic<std::uint32_t> recorded_views{0};
  std::int64_t bytes = 0;
  std::byte* data = nullptr;
  std::shared_ptr<void> owner;  ///< set when the bytes lie elsewhere

  void changed() {
    version.store(version.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
};

/// `bytes` uninitialised bytes, 64-byte aligned. ValueError when they cannot be had.
Ref<Storage> allocate_storage(std::int64_t bytes);
/// Bytes that lie elsewhere; `owner` keeps them alive.
Ref<Storage> borrow_storage(void* data, std::int64_t bytes, std::shared_ptr<void> owner);

/// For Ref: the bytes go back to the pool with the last reference.
void destroy(Storage* storage) noexcept;
inline void retain(Storage* storage) { storage->references.add(); }
inline void release(Storage* storage) {
  if (storage->references.drop()) destroy(storage);
}

}  // namespace retrace
