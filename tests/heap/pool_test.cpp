// The parts of the library that ask for memory where an exception would be one too many.
#include <doctest/doctest.h>

#include <atomic>

#include <retrace/tensor/large_blocks.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tests/heap/heap.h>

using namespace retrace;

TEST_CASE("large blocks are null when any memory for them is missing, and there when it is not") {
  for (const bool lasting : {false, true}) {
    for (long request = 1;; ++request) {
      LargeBlocks blocks;
      heap::fail_at(request, lasting);
      void* const block = blocks.allocate(1 << 20);
      if (!heap::stop_failing()) {
        REQUIRE(block != nullptr);
        CHECK(request > 2);
        blocks.free(block, 1 << 20);
        blocks.release();
        break;
      }
      if (lasting) REQUIRE(block == nullptr);
      void* const later = blocks.allocate(1 << 20);
      REQUIRE(later != nullptr);
      blocks.free(later, 1 << 20);
      if (block != nullptr) blocks.free(block, 1 << 20);
      blocks.release();
      CHECK(blocks.reserved() == 0);
    }
  }
}

TEST_CASE("without memory for more threads the caller does the work") {
  set_num_threads(4);
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> done = 0;
    heap::fail_at(1, round < 10);
    parallel_chunks(8, [&](std::int64_t) { ++done; });
    heap::stop_failing();
    CHECK(done == 8);
  }
}
