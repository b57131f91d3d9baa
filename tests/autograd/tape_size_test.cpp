// Long, wide and deep graphs; what stays in memory; threads.
#include <doctest/doctest.h>

#include <retrace/retrace.h>

#include <retrace/tests/figures.h>

#include <pthread.h>

#include <cstdio>
#include <ctime>
#include <stdexcept>
#include <thread>

using namespace retrace;

namespace {

Tensor doubles(const NestedList& values) { return tensor(values, kFloat64); }
Tensor leaf(const NestedList& values) { return doubles(values).requires_grad_(); }

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kSmallStack = 1 << 20;  // sanitizers make frames larger
constexpr int kMany = 100'000;
#else
constexpr std::size_t kSmallStack = 256 << 10;
constexpr int kMany = 1'000'000;
#endif

double processor_seconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Runs f on a thread with little stack; its seconds, whatever else runs on this machine.
double on_stack(std::size_t bytes, void (*f)()) {
  struct Task {
    void (*f)();
    double seconds;
  } task = {f, 0};
  pthread_attr_t attributes;
  REQUIRE(pthread_attr_init(&attributes) == 0);
  REQUIRE(pthread_attr_setstacksize(&attributes, bytes) == 0);
  pthread_t thread;
  const auto run = [](void* argument) -> void* {
    auto* const running = static_cast<Task*>(argument);
    running->f();
    running->seconds = processor_seconds();
    return nullptr;
  };
  REQUIRE(pthread_create(&thread, &attributes, run, &task) == 0);
  REQUIRE(pthread_join(thread, nullptr) == 0);
  REQUIRE(pthread_attr_destroy(&attributes) == 0);
  return task.seconds;
}

double on_small_stack(void (*f)()) { return on_stack(kSmallStack, f); }

std::string in_seconds(double seconds) {
  char text[40];
  std::snprintf(text, sizeof text, "%.2f s of a processor", seconds);
  return text;
}

}  // namespace

TEST_CASE("a chain of a million ops runs forward, back and is freed on a 256 KiB stack") {
  const auto chain = [] {
    const Tensor x = zeros({1}).requires_grad_();
    Tensor y = x;
    for (int i = 0; i < kMany; ++i) y = y + 1.0;
    CHECK(y.item<float>() == static_cast<float>(kMany));
    y.backward();
    CHECK(x.grad().item<float>() == 1.0f);
  };
  const double small = on_small_stack(chain), usual = on_stack(8 << 20, chain);
  testing::figure("R10", "a chain of " + std::to_string(kMany) + " ops, forward, back and freed",
                  in_seconds(small) + " on a stack of " + std::to_string(kSmallStack >> 10) +
                      " KiB, " + in_seconds(usual) + " on 8 MiB (of 3 s)",
                  small < 3 && usual < 3);
}

TEST_CASE("a chain that saves tensors, and is dropped without going back") {
  on_small_stack([] {
    const Tensor x = ones({1}).requires_grad_();
    Tensor y = x;
    for (int i = 0; i < kMany; ++i) y = y * x;
    y = Tensor();
    CHECK(!x.grad().defined());
  });
}

TEST_CASE("a chain of ops that save, back and freed, by steps") {
  on_small_stack([] {
    const Tensor x = ones({1}).requires_grad_();
    Tensor y = x;
    for (int i = 0; i < kMany / 10; ++i) y = y * x;
    Backprop pass(y);
    y = Tensor();
    int steps = 0;
    for (; !pass.done(); ++steps) pass.step();
    CHECK(steps == kMany / 10);
    CHECK(x.grad().item<float>() == static_cast<float>(kMany / 10 + 1));
  });
}

TEST_CASE("a chain of gradients of gradients") {
  on_small_stack([] {
    const Tensor x = leaf({1.0});
    Tensor y = x;
    for (int i = 0; i < 2000; ++i) y = y * x;  // x^2001
    const Tensor first = grad({y}, {x}, {}, false, true)[0];
    const Tensor second = grad({first}, {x})[0];
    CHECK(first.item<double>() == 2001.0);
    CHECK(second.item<double>() == 2001.0 * 2000.0);
  });
}

namespace {

template <int uses>
void use_often() {
  const Tensor x = leaf({2.0});
  const Tensor y = x * 1.0;
  std::vector<Tensor> results;
  for (int i = 0; i < uses; ++i) results.push_back(y * 3.0);
  Backprop(results, {}, nullptr, false, false).run();
  CHECK(x.grad().item<double>() == 3.0 * uses);
}

}  // namespace

TEST_CASE("a million uses of one tensor") {
  const double few = on_small_stack(use_often<kMany / 10>), many = on_small_stack(use_often<kMany>);
  testing::figure(
      "R10", std::to_string(kMany) + " uses of one tensor",
      in_seconds(many) + ", of a tenth " + in_seconds(few) + " (linear: at most 40 times)",
      many < 40 * few);
}

TEST_CASE("a million leaves, of which one is asked for") {
  std::vector<Tensor> leaves;
  const int count = kMany / 10;
  std::vector<Tensor> outputs;
  for (int i = 0; i < count; ++i) {
    leaves.push_back(ones({1}).requires_grad_());
    outputs.push_back(leaves.back() * 2.0);
  }
  const std::vector<Tensor> one = {leaves[7]};
  CHECK(grad(outputs, one, {}, true)[0].item<float>() == 2.0f);
  const std::vector<Tensor> all = grad(outputs, leaves);
  CHECK(all.back().item<float>() == 2.0f);
  CHECK(!leaves[0].grad().defined());
}

TEST_CASE("a diamond of 2^40 paths has 80 nodes") {
  const Tensor x = leaf({1.0});
  Tensor y = x;
  for (int level = 0; level < 40; ++level) y = y * 1.0 + y;
  Backprop pass(y);
  int visits = 0;
  for (; !pass.done(); ++visits) pass.step();
  CHECK(visits == 80);
  CHECK(x.grad().item<double>() == 1099511627776.0);
  testing::figure("R10", "a diamond of 2^40 ways, 40 levels",
                  std::to_string(visits) + " visits of nodes (of 80)", visits == 80);
}

// Memory
// ---------------------------------------------------------------------------------------------

TEST_CASE("after backward only the gradients are left") {
  const Tensor x = leaf({1.0, 2.0}), w = leaf({3.0, 4.0});
  const auto train = [&] {
    const Tensor hidden = x * w + x;
    const Tensor loss = (hidden * hidden / (w * w)).sum();
    loss.backward();
  };
  const auto before = memory_stats();
  train();
  const auto after = memory_stats();
  // A gradient is a tensor and its storage.
  CHECK(after.live_blocks == before.live_blocks + 4);
  train();
  CHECK(memory_stats().live_blocks == after.live_blocks);
  CHECK(memory_stats().live_bytes == after.live_bytes);
  const auto more = memory_stats().live_blocks - before.live_blocks;
  testing::figure("R13", "blocks of memory after backward, beyond those before forward",
                  std::to_string(more) + " (4: two gradients, each a tensor and its numbers)",
                  more == 4);
}

TEST_CASE("forward passes without backward, and refused ones, leave nothing") {
  const Tensor x = leaf({1.0, 2.0});
  const auto blocks = memory_stats().live_blocks;
  for (int i = 0; i < 10'000; ++i) {
    const Tensor y = (x * x + x).sum();
    CHECK(y.requires_grad());
  }
  const auto left = memory_stats().live_blocks - blocks;
  CHECK(left == 0);
  testing::figure("R13", "10,000 forward passes without backward",
                  std::to_string(left) + " blocks of memory left", left == 0);
  for (int i = 0; i < 1000; ++i) {
    CHECK_THROWS(x * zeros({3, 3}, kFloat64));
    CHECK_THROWS((x * x).backward());
    Tensor changed = x.detach().clone();
    const Tensor y = x * changed;
    changed.zero_();
    CHECK_THROWS(y.sum().backward());
  }
  CHECK(memory_stats().live_blocks == blocks);
}

TEST_CASE("a pass that is given up midway, or held while its graph goes, leaves nothing") {
  Tensor x = leaf({1.0, 2.0});
  const auto blocks = memory_stats().live_blocks;
  for (int i = 0; i < 10; ++i) {
    auto pass = std::make_unique<Backprop>((x * x * x).sum());
    pass->step();
    const Step kept = pass->step();
    pass.reset();
    CHECK(kept.node->name() == "mul");
    CHECK(kept.gradients[0].defined());
  }
  x.zero_grad();
  CHECK(memory_stats().live_blocks == blocks);
}

TEST_CASE("tensor, hook, node and pass may go in any order") {
  const auto blocks = memory_stats().live_blocks;
  for (int order = 0; order < 24; ++order) {
    Tensor x = leaf({1.0, 2.0});
    Tensor y = x * 2.0;
    y.register_hook([held = x](const Tensor&) {});
    y.retain_grad();
    Tensor z = (y * y).sum();
    auto pass = std::make_unique<Backprop>(z, BackwardOptions{.retain_graph = true});
    pass->step();
    int which[] = {0, 1, 2, 3};
    for (int i = 3, rest = order; i > 0; --i) {
      std::swap(which[i], which[rest % (i + 1)]);
      rest /= i + 1;
    }
    for (const int k : which) {
      if (k == 0) x = Tensor();
      if (k == 1) y = Tensor();
      if (k == 2) z = Tensor();
      if (k == 3) pass.reset();
      if (pass && !pass->done()) pass->step();
    }
  }
  CHECK(memory_stats().live_blocks == blocks);
}

// Threads
// ----------------------------------------------------------------------------------------------

TEST_CASE("threads train models of their own") {
  const auto train = [](double start) {
    Tensor w = doubles({start, -start}).requires_grad_();
    for (int i = 0; i < 300; ++i) {
      const Tensor error = w * doubles({2.0, 0.5}) - doubles({1.0, 3.0});
      w.zero_grad();
      (error * error).sum().backward();
      const NoGradGuard no_grad;
      w.sub_(w.grad(), 0.05);
    }
    return w.detach().clone();
  };
  std::vector<Tensor> alone, together(4);
  for (int k = 0; k < 4; ++k) alone.push_back(train(k));
  std::vector<std::thread> threads;
  for (std::size_t k = 0; k < 4; ++k)
    threads.emplace_back([&, k] { together[k] = train(static_cast<double>(k)); });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t k = 0; k < 4; ++k) CHECK(together[k].equal(alone[k]));
}

TEST_CASE("modes and guards belong to their thread") {
  const NoGradGuard no_grad;
  const AnomalyMode anomaly;
  bool recording = false, watched = true;
  std::thread([&] {
    recording = GradMode::is_enabled();
    watched = AnomalyMode::is_enabled();
  }).join();
  CHECK(recording);
  CHECK(!watched);
}

TEST_CASE("a graph made on one thread goes back on another") {
  const Tensor x = leaf({1.0, 2.0});
  Tensor loss;
  std::thread([&] { loss = (x * x).sum(); }).join();
  loss.backward();
  CHECK(x.grad().equal(doubles({2.0, 4.0})));
  std::thread([&] { loss = Tensor(); }).join();
}
