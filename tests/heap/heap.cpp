#include <retrace/tests/heap/heap.h>

#include <malloc.h>

#include <atomic>
#include <cerrno>

// What glibc calls its own.
extern "C" {
void* __libc_malloc(std::size_t bytes);
void* __libc_calloc(std::size_t count, std::size_t bytes);
void* __libc_realloc(void* block, std::size_t bytes);
void* __libc_memalign(std::size_t alignment, std::size_t bytes);
void __libc_free(void* block);
}

namespace heap {
namespace {

constinit std::atomic<long> blocks{0};
constinit std::atomic<std::size_t> bytes_in_use{0}, most{0};
constinit std::atomic<long> until_failure{0};  // 0: none is to come
constinit std::atomic<bool> lasts{false}, failed{false};

bool refuses() {
  const long before = until_failure.load();
  if (before == 0) return false;
  if (before > 1) {
    --until_failure;
    return false;
  }
  if (!lasts) until_failure = 0;
  failed = true;
  errno = ENOMEM;
  return true;
}

void* taken(void* block) {
  if (block == nullptr) return nullptr;
  ++blocks;
  const std::size_t now = bytes_in_use += malloc_usable_size(block);
  if (now > most) most = now;
  return block;
}

void given_back(void* block) {
  if (block == nullptr) return;
  --blocks;
  bytes_in_use -= malloc_usable_size(block);
}

}  // namespace

long blocks_in_use() { return blocks; }
std::size_t bytes() { return bytes_in_use; }
std::size_t peak() { return most; }
void reset_peak() { most = bytes_in_use.load(); }

void fail_at(long request, bool lasting) {
  lasts = lasting;
  failed = false;
  until_failure = request;
}

bool stop_failing() {
  until_failure = 0;
  return failed;
}

}  // namespace heap

extern "C" {

void* malloc(std::size_t bytes) noexcept {
  return heap::refuses() ? nullptr : heap::taken(__libc_malloc(bytes));
}

void* calloc(std::size_t count, std::size_t bytes) noexcept {
  return heap::refuses() ? nullptr : heap::taken(__libc_calloc(count, bytes));
}

void* realloc(void* block, std::size_t bytes) noexcept {
  if (heap::refuses()) return nullptr;
  heap::given_back(block);
  void* const moved = __libc_realloc(block, bytes);
  // If it failed, the old block is still there.
  heap::taken(moved == nullptr && bytes != 0 ? block : moved);
  return moved;
}

void* memalign(std::size_t alignment, std::size_t bytes) noexcept {
  return heap::refuses() ? nullptr : heap::taken(__libc_memalign(alignment, bytes));
}

void* aligned_alloc(std::size_t alignment, std::size_t bytes) noexcept {
  return memalign(alignment, bytes);
}

int posix_memalign(void** block, std::size_t alignment, std::size_t bytes) noexcept {
  const int before = errno;
  *block = memalign(alignment, bytes);
  errno = before;
  return *block == nullptr ? ENOMEM : 0;
}

void free(void* block) noexcept {
  heap::given_back(block);
  __libc_free(block);
}

// Files of these tests need not outlive the machine.
int fsync(int) { return 0; }

}  // extern "C"
