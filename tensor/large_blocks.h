#pragma once

// For pool.cpp: memory for large tensors.

#include <cstddef>
#include <vector>

namespace retrace {

/// Blocks of any size, cut from regions that are taken from the system. What is given back merges
/// with the free memory beside it, so that tensors of other sizes fit there later. Not safe to call
/// from two threads at once.
class LargeBlocks {
 public:
  /// A block aligned to 4096 bytes: of the smallest free range that is large enough, else of a new
  /// region. Null when the system has no memory left.
  void* allocate(std::size_t bytes);

  /// Gives back a block of `bytes`, as asked for.
  void free(void* block, std::size_t bytes) noexcept;

  /// Gives regions in which nothing is in use back to the system.
  void release() noexcept;

  /// Bytes of all regions.
  std::size_t reserved() const { return reserved_; }

 private:
  // Lies in the free memory itself.
  struct Range {
    std::byte* end() { return reinterpret_cast<std::byte*>(this) + bytes; }
    Range* next;  // by address
    std::size_t bytes;
  };
  struct Region {
    void* data;
    std::size_t bytes;
  };
  bool add_region(std::size_t bytes);

  Range* first_ = nullptr;
  std::vector<Region> regions_;
  std::size_t reserved_ = 0;
};

}  // namespace retrace
