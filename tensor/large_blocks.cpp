#include <retrace/tensor/large_blocks.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#ifdef __linux__
#include <sys/mman.h>
#endif

namespace retrace {
namespace {

constexpr std::size_t kPage = 4096, kHugePage = 2 << 20;
// A region is at least this, and at least a fourth of what there is: few regions, and little that
// is never used. (Memory that nothing was written to costs nothing yet.)
constexpr std::size_t kRegion = 8 << 20;

std::size_t round_up(std::size_t bytes, std::size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

bool LargeBlocks::add_region(std::size_t bytes) {
  try {
    regions_.reserve(regions_.size() + 1);
  } catch (const std::bad_alloc&) {
    return false;
  }
  void* const data = std::aligned_alloc(kHugePage, bytes);
  if (data == nullptr) return false;
#ifdef __linux__
  // A product walks through many pages of three matrices: of huge ones the processor knows all.
  madvise(data, bytes, MADV_HUGEPAGE);
#endif
  regions_.push_back({data, bytes});
  reserved_ += bytes;
  free(data, bytes);
  return true;
}

void* LargeBlocks::allocate(std::size_t bytes) {
  bytes = round_up(bytes, kPage);
  Range** best = nullptr;
  for (Range** at = &first_; *at != nullptr; at = &(*at)->next) {
    if ((*at)->bytes >= bytes && (best == nullptr || (*at)->bytes < (*best)->bytes)) best = at;
  }
  if (best == nullptr) {
    const std::size_t wanted = round_up(bytes, kHugePage);
    const std::size_t ample = round_up(std::max({wanted, kRegion, reserved_ / 4}), kHugePage);
    return add_region(ample) || (ample > wanted && add_region(wanted)) ? allocate(bytes) : nullptr;
  }
  Range* const range = *best;
  Range* rest = range->next;
  if (range->bytes > bytes)
    rest =
        new (reinterpret_cast<std::byte*>(range) + bytes) Range{range->next, range->bytes - bytes};
  *best = rest;
  return range;
}

// Two regions never touch: malloc keeps a number of its own before each.
void LargeBlocks::free(void* block, std::size_t bytes) noexcept {
  Range** at = &first_;
  Range* before = nullptr;
  for (; *at != nullptr && *at < block; at = &(*at)->next) before = *at;
  auto* const range = new (block) Range{*at, round_up(bytes, kPage)};
  *at = range;
  const auto merge = [](Range* left) {
    Range* const right = left->next;
    if (right == nullptr || left->end() != reinterpret_cast<std::byte*>(right)) return;
    left->bytes += right->bytes;
    left->next = right->next;
  };
  merge(range);
  if (before != nullptr) merge(before);
}

void LargeBlocks::release() noexcept {
  std::erase_if(regions_, [this](const Region& region) {
    Range** at = &first_;
    while (*at != nullptr && *at < region.data) at = &(*at)->next;
    if (*at != region.data || (*at)->bytes != region.bytes) return false;
    *at = (*at)->next;
    reserved_ -= region.bytes;
    std::free(region.data);
    return true;
  });
}

}  // namespace retrace
