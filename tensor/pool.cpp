#include <retrace/tensor/check.h>
#include <retrace/tensor/large_blocks.h>
#include <retrace/tensor/pool.h>

#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <utility>
#include <vector>

namespace retrace {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kSmallest = 1024;       // below, one class for every 64 bytes
constexpr std::size_t kSlab = 256 << 10;      // small blocks are cut from slabs of this size
constexpr std::size_t kSlabBlock = 4096;      // up to this block size
constexpr std::size_t kLarge = 1 << 18;       // larger blocks have no classes
constexpr std::size_t kLocalBytes = 4 << 20;  // what one thread keeps of a class before it shares
constexpr int kLinear = kSmallest / kAlignment;
constexpr int kClasses = kLinear + 8 * 8;  // eight classes for every doubling, up to kLarge

struct Class {
  int index;
  std::size_t bytes;
};

// Size rounded up to its class. Eight steps a doubling waste at most an eighth.
Class class_of(std::size_t bytes) {
  if (bytes <= kSmallest) {
    const std::size_t units = bytes == 0 ? 1 : (bytes + kAlignment - 1) / kAlignment;
    return {static_cast<int>(units) - 1, units * kAlignment};
  }
  const int doubling =
      static_cast<int>(std::bit_width(bytes - 1)) - 1;  // 2^doubling < bytes <= 2^(doubling + 1)
  const std::size_t step = std::size_t{1} << (doubling - 3);
  const std::size_t steps = (bytes - (std::size_t{1} << doubling) + step - 1) / step;
  return {kLinear + (doubling - 10) * 8 + static_cast<int>(steps) - 1,
          (std::size_t{1} << doubling) + steps * step};
}

[[noreturn]] void out_of_memory(std::size_t bytes) {
  fail<ValueError>("memory: cannot allocate {} bytes; use smaller sizes or free tensors first",
                   bytes);
}

struct FreeBlock {
  FreeBlock* next;
};

struct LocalCache;

struct Shared {
  std::mutex mutex;
  FreeBlock* free[kClasses] = {};
  LargeBlocks large;
  std::vector<LocalCache*> caches;
  std::int64_t retired_live_bytes = 0, retired_live_blocks = 0;
  std::atomic<std::int64_t> reserved{0};
};

// Never destroyed: tensors with static lifetime are freed after it would be.
Shared& shared() {
  static auto* instance = new Shared;
  return *instance;
}

// Zero-initialised and trivially destructible, so that reaching it costs no guard.
struct LocalCache {
  FreeBlock* free[kClasses];
  std::uint32_t count[kClasses];
  std::atomic<std::int64_t> live_bytes, live_blocks;
  bool registered;

  void count_live(std::int64_t bytes, std::int64_t blocks) {
    live_bytes.store(live_bytes.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
    live_blocks.store(live_blocks.load(std::memory_order_relaxed) + blocks,
                      std::memory_order_relaxed);
  }
};
thread_local constinit LocalCache local{};

void share_all(LocalCache& cache) {
  for (int i = 0; i < kClasses; ++i) {
    while (FreeBlock* block = cache.free[i]) {
      cache.free[i] = block->next;
      block->next = shared().free[i];
      shared().free[i] = block;
    }
    cache.count[i] = 0;
  }
}

// Hands a thread's blocks to the others when it ends.
struct Registration {
  Registration() {
    const std::lock_guard lock(shared().mutex);
    shared().caches.push_back(&local);
    local.registered = true;
  }
  ~Registration() {
    const std::lock_guard lock(shared().mutex);
    share_all(local);
    std::erase(shared().caches, &local);
    shared().retired_live_bytes += local.live_bytes;
    shared().retired_live_blocks += local.live_blocks;
    local.live_bytes = local.live_blocks = 0;
  }
};

void ensure_registered() {
  if (local.registered) return;
  static thread_local Registration registration;
}

// What `allocate` gives, if need be after what is kept unused went back to the system.
template <class F>
void* allocate_or_fail(std::size_t bytes, F&& allocate) {
  void* block = allocate();
  if (block == nullptr) {
    empty_cache();
    block = allocate();
  }
  if (block == nullptr) out_of_memory(bytes);
  return block;
}

void* allocate_large(std::size_t bytes) {
  ensure_registered();
  return allocate_or_fail(bytes, [bytes] {
    const std::lock_guard lock(shared().mutex);
    return shared().large.allocate(bytes);
  });
}

void* from_system(std::size_t bytes) {
  void* const block = allocate_or_fail(bytes, [bytes]() -> void* {
    void* found = nullptr;
    return ::posix_memalign(&found, kAlignment, bytes) == 0 ? found : nullptr;
  });
  shared().reserved.fetch_add(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
  return block;
}

void* allocate_slowly(Class size) {
  ensure_registered();
  {
    const std::lock_guard lock(shared().mutex);
    FreeBlock*& head = shared().free[size.index];
    if (head != nullptr) {
      void* first = std::exchange(head, head->next);
      // A few more at once, so that a thread that only allocates does not lock each time.
      for (int i = 0; i < 31 && head != nullptr && size.bytes <= kSlabBlock; ++i) {
        FreeBlock* block = std::exchange(head, head->next);
        block->next = local.free[size.index];
        local.free[size.index] = block;
        ++local.count[size.index];
      }
      return first;
    }
  }
  if (size.bytes > kSlabBlock) return from_system(size.bytes);
  auto* slab = static_cast<std::byte*>(from_system(kSlab));
  const std::size_t blocks = kSlab / size.bytes;
  // Backwards, so that blocks are handed out in the order of their addresses.
  for (std::size_t i = blocks - 1; i > 0; --i) {
    auto* block = reinterpret_cast<FreeBlock*>(slab + i * size.bytes);
    block->next = local.free[size.index];
    local.free[size.index] = block;
  }
  local.count[size.index] += static_cast<std::uint32_t>(blocks - 1);
  return slab;
}

void share_half(Class size) {
  ensure_registered();
  const std::uint32_t half = local.count[size.index] / 2;
  const std::lock_guard lock(shared().mutex);
  for (std::uint32_t i = 0; i < half; ++i) {
    FreeBlock* block = local.free[size.index];
    local.free[size.index] = block->next;
    block->next = shared().free[size.index];
    shared().free[size.index] = block;
  }
  local.count[size.index] -= half;
}

}  // namespace

void* pool_allocate(std::size_t bytes) {
  if (bytes > (std::size_t{1} << 46)) out_of_memory(bytes);
#ifdef RETRACE_NO_POOL
  ensure_registered();
  void* block = from_system(bytes);  // not one more, or a tool would not see what is behind the end
#else
  const Class size = class_of(bytes);
  void* block;
  if (bytes > kLarge) [[unlikely]] {
    block = allocate_large(bytes);
  } else if (block = local.free[size.index]; block != nullptr) {
    local.free[size.index] = static_cast<FreeBlock*>(block)->next;
    --local.count[size.index];
  } else {
    block = allocate_slowly(size);
  }
#endif
  local.count_live(static_cast<std::int64_t>(bytes), 1);
  return block;
}

void pool_free(void* block, std::size_t bytes) noexcept {
  local.count_live(-static_cast<std::int64_t>(bytes), -1);
#ifdef RETRACE_NO_POOL
  shared().reserved.fetch_sub(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
  std::free(block);
#else
  const Class size = class_of(bytes);
  if (bytes > kLarge) [[unlikely]] {
    const std::lock_guard lock(shared().mutex);
    return shared().large.free(block, bytes);
  }
  auto* freed = static_cast<FreeBlock*>(block);
  freed->next = local.free[size.index];
  local.free[size.index] = freed;
  if (++local.count[size.index] * size.bytes > kLocalBytes && local.count[size.index] > 64)
      [[unlikely]]
    share_half(size);
#endif
}

MemoryStats memory_stats() {
  ensure_registered();
  const std::lock_guard lock(shared().mutex);
  MemoryStats stats{shared().retired_live_bytes, shared().retired_live_blocks,
                    shared().reserved + static_cast<std::int64_t>(shared().large.reserved())};
  for (const LocalCache* cache : shared().caches) {
    stats.live_bytes += cache->live_bytes;
    stats.live_blocks += cache->live_blocks;
  }
  return stats;
}

void empty_cache() {
  ensure_registered();
  const std::lock_guard lock(shared().mutex);
  share_all(local);
  for (int i = class_of(kSlabBlock).index + 1; i < kClasses; ++i) {
    const int step = i - kLinear;
    const std::size_t base = std::size_t{1} << (10 + step / 8);
    const std::size_t bytes = base + static_cast<std::size_t>(step % 8 + 1) * (base / 8);
    while (FreeBlock* block = shared().free[i]) {
      shared().free[i] = block->next;
      shared().reserved.fetch_sub(static_cast<std::int64_t>(bytes), std::memory_order_relaxed);
      std::free(block);
    }
  }
  shared().large.release();
}

}  // namespace retrace
