// What stays in memory over many steps.
#include <doctest/doctest.h>
#include <unistd.h>

#include <retrace/retrace.h>
#include <retrace/tests/figures.h>
#include <retrace/tests/small_training.h>

#include <cstdio>
#include <fstream>

using namespace retrace;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // what is freed stays with them for a while
#else
constexpr bool kSanitized = false;
#endif

std::int64_t resident_bytes() {
  std::int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * ::sysconf(_SC_PAGESIZE);
}

std::string mib(std::int64_t bytes) {
  char text[40];
  std::snprintf(text, sizeof text, "%.2f MiB", static_cast<double>(bytes) / (1 << 20));
  return text;
}

}  // namespace

TEST_CASE("many steps of a small model take no more memory than few") {
  const std::int64_t steps = kSanitized ? 5'000 : 100'000;
  testing::SmallTraining training;
  std::int64_t resident = 0, blocks = 0, grown = 0, more = 0;
  for (std::int64_t step = 1; step <= steps; ++step) {
    training.step();
    if (step == 1000) {
      resident = resident_bytes();
      blocks = memory_stats().live_blocks;
    }
    if (step == steps) {
      grown = resident_bytes() - resident;
      more = memory_stats().live_blocks - blocks;
    }
  }
  CHECK(more == 0);
  if (kSanitized) return;
  CHECK(grown <= 1 << 20);
  testing::figure("R11", "resident memory from step 1,000 to step 100,000 of a small model",
                  "grows by " + mib(grown) + " (of 1 MiB), by " + std::to_string(more) +
                      " blocks of tensors and nodes",
                  grown <= 1 << 20 && more == 0);
}
