// What many steps leave on the heap, and how much of it a step takes at most.
#include <doctest/doctest.h>

#include <cstdlib>

#include <fmt/format.h>

#include <retrace/retrace.h>
#include <retrace/tests/figures.h>
#include <retrace/tests/heap/heap.h>
#include <retrace/tests/small_training.h>

using namespace retrace;

TEST_CASE("many steps of a small model leave no block") {
  constexpr std::int64_t kSteps = 100'000;
  testing::SmallTraining training;
  std::int64_t more = 0, lost = 0;
  for (std::int64_t step = 1; step <= kSteps; ++step) {
    training.step();
    if (step != 1000 && step != kSteps) continue;
    more = heap::blocks_in_use() - more;
    lost = static_cast<std::int64_t>(heap::bytes()) - lost;
  }
  // glibc gives a block 16 bytes more than were asked for, where the rest of a hole is of no use.
  const std::int64_t blocks = heap::blocks_in_use();
  CHECK(more == 0);
  CHECK(std::abs(lost) <= 16 * blocks);
  testing::figure(
      "R11", "the heap from step 1,000 to step 100,000 of a small model",
      fmt::format("{} blocks and {} bytes more (0; 16 for each of {} blocks)", more, lost, blocks),
      more == 0 && std::abs(lost) <= 16 * blocks);
}

TEST_CASE("a step takes little more than what it must keep") {
  constexpr std::int64_t kRows = 512, kIn = 1024, kHidden = 1536, kClasses = 64;
  // BLAS keeps its buffer.
  static_cast<void>(ones({kRows, kIn}).matmul(ones({kIn, kHidden})));
  const std::size_t before = heap::bytes();
  std::int64_t parameters = 0;
  heap::reset_peak();
  {
    const Tensor x = randn({kRows, kIn}), target = randint(0, kClasses, {kRows});
    const nn::Mlp net(kIn, kClasses, {.hidden = {kHidden, kHidden}, .activation = &relu});
    optim::AdamW optimizer(net.parameters());
    for (const Tensor& parameter : net.parameters()) parameters += parameter.numel();
    for (int step = 0; step < 3; ++step) {
      optimizer.zero_grad();
      losses::cross_entropy(net(x), target).backward();
      optimizer.step();
    }
  }
  const auto peak = static_cast<std::int64_t>(heap::peak() - before);
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
  testing::figure(
      "R14", "the most of the heap in use in steps of a network of 1024-1536-1536-64",
      fmt::format("{:.3f} (of 1.2) times the {:.2f} MiB of parameters, gradients, state "
                  "and kept activations",
                  ratio, static_cast<double>(least) / (1 << 20)),
      ratio <= 1.2);
}
