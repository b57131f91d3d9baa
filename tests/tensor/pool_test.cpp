#include <retrace/tensor/creation.h>
#include <retrace/tensor/large_blocks.h>
#include <retrace/tensor/pool.h>

#include <cstring>
#include <random>
#include <vector>

#include <doctest/doctest.h>

namespace retrace {
namespace {

constexpr std::size_t kMegabyte = 1 << 20;

TEST_CASE("small blocks of a byte more than a class holds keep what was written") {
  std::vector<Tensor> live;
  for (std::int64_t eighth = 1; eighth <= 64 * 1024; eighth *= 2) {
    for (std::int64_t bytes = 8 * eighth + 1; bytes < 16 * eighth; bytes += eighth) {
      for (int copy = 0; copy < 8; ++copy) live.push_back(zeros({bytes}, kBool));
    }
  }
  for (std::size_t i = 0; i < live.size(); ++i)
    std::memset(live[i].get().data, i % 2 == 0, static_cast<std::size_t>(live[i].numel()));
  for (std::size_t i = 0; i < live.size(); ++i) {
    const auto* const data = live[i].data_ptr<bool>();
    CHECK(data[0] == (i % 2 == 0));
    CHECK(data[live[i].numel() - 1] == (i % 2 == 0));
  }
}

TEST_CASE("large blocks: no two overlap, and all of them keep what was written") {
  struct Block {
    unsigned char* data;
    std::size_t bytes;
    unsigned char mark;
  };
  LargeBlocks blocks;
  std::vector<Block> live;
  std::mt19937 random(7);
  const auto give_back = [&](std::size_t i) {
    const Block block = live[i];
    for (const std::size_t at : {std::size_t{0}, block.bytes / 2, block.bytes - 1})
      CHECK(block.data[at] == block.mark);
    blocks.free(block.data, block.bytes);
    live.erase(live.begin() + static_cast<std::ptrdiff_t>(i));
  };
  for (int step = 0; step < 3000; ++step) {
    if (live.size() < 40 && random() % 3 != 0) {
      const std::size_t bytes = 1 + random() % (random() % 8 == 0 ? 8 * kMegabyte : kMegabyte);
      auto* data = static_cast<unsigned char*>(blocks.allocate(bytes));
      REQUIRE(data != nullptr);
      CHECK(reinterpret_cast<std::uintptr_t>(data) % 4096 == 0);
      const auto mark = static_cast<unsigned char>(random());
      std::memset(data, mark, bytes);
      live.push_back({data, bytes, mark});
    } else if (!live.empty()) {
      give_back(random() % live.size());
    }
  }
  while (!live.empty()) give_back(live.size() - 1);
  CHECK(blocks.reserved() > 0);
  blocks.release();
  CHECK(blocks.reserved() == 0);
}

TEST_CASE("large blocks: what lies side by side becomes one, in any order of giving back") {
  const std::size_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                   {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const auto& order : orders) {
    LargeBlocks blocks;
    void* parts[3];
    for (void*& part : parts) part = blocks.allocate(2 * kMegabyte);
    void* const rest = blocks.allocate(2 * kMegabyte);
    const std::size_t reserved = blocks.reserved();
    REQUIRE(reserved == 8 * kMegabyte);
    for (const std::size_t i : order) blocks.free(parts[i], 2 * kMegabyte);
    void* const whole = blocks.allocate(6 * kMegabyte);
    CHECK(whole == parts[0]);
    CHECK(blocks.reserved() == reserved);
    blocks.free(whole, 6 * kMegabyte);
    blocks.release();  // `rest` is in use
    CHECK(blocks.reserved() == reserved);
    blocks.free(rest, 2 * kMegabyte);
    blocks.release();
    CHECK(blocks.reserved() == 0);
  }
}

TEST_CASE("large blocks: the smallest range that is large enough is cut") {
  LargeBlocks blocks;
  const auto megabytes = [&](std::size_t n) { return blocks.allocate(n * kMegabyte); };
  void* const large = megabytes(3);
  void* const between = megabytes(1);
  void* const small = megabytes(2);
  void* const end = megabytes(2);
  blocks.free(large, 3 * kMegabyte);
  blocks.free(small, 2 * kMegabyte);
  CHECK(megabytes(2) == small);
  CHECK(megabytes(3) == large);
  blocks.free(large, 3 * kMegabyte);
  for (void* block : {small, end}) blocks.free(block, 2 * kMegabyte);
  blocks.free(between, kMegabyte);
  blocks.release();
  CHECK(blocks.reserved() == 0);
}

#ifndef RETRACE_NO_POOL  // as with a sanitizer, which ends a program that asks for too much
TEST_CASE("large blocks: none, where the system has no memory") {
  LargeBlocks blocks;
  CHECK(blocks.allocate(std::size_t{1} << 46) == nullptr);
  CHECK(blocks.reserved() == 0);
}

TEST_CASE("pool: tensors of changing size are served from the memory there is") {
  const Tensor small = zeros({1});  // the memory of small blocks is kept
  empty_cache();
  const auto before = memory_stats().reserved_bytes;
  { const Tensor largest = zeros({1200, 1000}); }
  const auto once = memory_stats().reserved_bytes;
  for (std::int64_t rows = 100; rows <= 1200; ++rows) const Tensor x = zeros({rows, 1000});
  CHECK(memory_stats().reserved_bytes == once);
  empty_cache();
  CHECK(memory_stats().reserved_bytes <= before);
}
#endif

}  // namespace
}  // namespace retrace
