#pragma once

#include <cstddef>
#include <cstdint>

namespace retrace {

/// Memory for tensors and tape nodes: blocks of 64-byte-aligned memory that are kept for reuse.
/// Small ones have size classes and stay first on the thread that freed them; from 256 KiB on they
/// are cut from regions that all threads share, and merge again (large_blocks.h). A training step
/// that repeats asks the system for nothing. With RETRACE_NO_POOL (sanitizers, valgrind, fault
/// injection) every call goes straight to malloc and free, or those tools would see nothing.
/// Throws ValueError when the memory cannot be had.
void* pool_allocate(std::size_t bytes);

/// Gives back a block; `bytes` is what was asked for.
void pool_free(void* block, std::size_t bytes) noexcept;

/// What the pool holds, over all threads.
struct MemoryStats {
  std::int64_t live_bytes = 0;      ///< in use now (asked for, not rounded up)
  std::int64_t live_blocks = 0;     ///< blocks in use now
  std::int64_t reserved_bytes = 0;  ///< taken from the system, in use or kept
};
/// As things are now.
MemoryStats memory_stats();

/// Gives memory that is kept but not in use back to the system (large blocks; this thread's and the
/// shared ones).
void empty_cache();

}  // namespace retrace
