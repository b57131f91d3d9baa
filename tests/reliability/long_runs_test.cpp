// What stays in memory over many steps, and how much a step takes at most.
#include <doctest/doctest.h>
#include <unistd.h>

#include <retrace/retrace.h>
#include <retrace/tests/figures.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <thread>

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
  const nn::Mlp net(4, 2, {.hidden = {8}});
  optim::AdamW optimizer(net.parameters());
  const Tensor x = randn({16, 4});
  std::int64_t resident = 0, blocks = 0, grown = 0, more = 0;
  for (std::int64_t step = 1; step <= steps; ++step) {
    optimizer.zero_grad();
    const Tensor y = net(x);
    (losses::mse_loss(y, zeros_like(y)) + y.tanh().square().mean()).backward();
    nn::utils::clip_grad_norm_(optimizer.parameters(), 1.0);
    optimizer.step();
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

TEST_CASE("a step takes little more than what it must keep") {
  constexpr std::int64_t kRows = 512, kIn = 1024, kHidden = 1536, kClasses = 64;
  const std::int64_t before = memory_stats().live_bytes;
  std::int64_t parameters = 0, peak = 0;
  {
    const Tensor x = randn({kRows, kIn}), target = randint(0, kClasses, {kRows});
    const nn::Mlp net(kIn, kClasses, {.hidden = {kHidden, kHidden}, .activation = &relu});
    optim::AdamW optimizer(net.parameters());
    for (const Tensor& parameter : net.parameters()) parameters += parameter.numel();
    std::atomic<bool> done{false};
    // Ops take long enough for another thread to see what each has in use.
    std::thread watcher([&] {
      while (!done) {
        peak = std::max(peak, memory_stats().live_bytes - before);
        std::this_thread::sleep_for(std::chrono::microseconds(20));
      }
    });
    for (int step = 0; step < 20; ++step) {
      optimizer.zero_grad();
      losses::cross_entropy(net(x), target).backward();
      optimizer.step();
    }
    done = true;
    watcher.join();
  }
  CHECK(parameters ==
        kIn * kHidden + kHidden + kHidden * kHidden + kHidden + kHidden * kClasses + kClasses);
  // Parameters, their gradients and two moments. Of each row: the input, and the results of the two
  // layers after their activation, which the next product and relu keep; the logits; of the loss
  // the target, and what it keeps of the softmax, as large as the logits.
  const std::int64_t row = 4 * (kIn + 2 * kHidden + 2 * kClasses) + 8;
  const std::int64_t least = 4 * 4 * parameters + kRows * row;
  const double ratio = static_cast<double>(peak) / static_cast<double>(least);
  CHECK(ratio <= 1.2);
  CHECK(peak >= 4 * 4 * parameters);
  char text[100];
  std::snprintf(text, sizeof text, "%.3f (of 1.2) times the %s of parameters, gradients, state and",
                ratio, mib(least).c_str());
  testing::figure("R14", "memory in use at once in steps of a network of 1024-1536-1536-64",
                  std::string(text) + " kept activations", ratio <= 1.2);
}
