// Two threads at once: each with a model of its own, or both with one that neither changes.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/figures.h>

#include <thread>

using namespace retrace;

namespace {

// Numbers that depend on `seed` alone, whatever other threads draw.
Tensor noise(const Shape& sizes, std::uint64_t seed) {
  Generator generator(seed);
  return randn(sizes, kFloat32, &generator);
}

nn::Mlp model(std::uint64_t seed) {
  nn::Mlp net(16, 4, {.hidden = {32}});
  const NoGradGuard no_grad;
  for (Tensor parameter : net.parameters()) parameter.copy_(noise(parameter.sizes(), seed++) * 0.2);
  return net;
}

/// What a few steps make of the parameters.
StateDict trained(std::uint64_t seed) {
  const nn::Mlp net = model(seed);
  optim::AdamW optimizer(net.parameters(), {.lr = 1e-2});
  for (std::uint64_t step = 0; step < 100; ++step) {
    const Tensor x = noise({32, 16}, 1000 * seed + step);
    optimizer.zero_grad();
    losses::cross_entropy(net(x), x.narrow(1, 0, 4).argmax(1)).backward();
    optimizer.step();
  }
  return net.state_dict();
}

bool equal(const StateDict& a, const StateDict& b) {
  for (const auto& [name, tensor] : a) {
    if (!tensor.equal(b.at(name))) return false;
  }
  return a.size() == b.size();
}

template <class F>
void on_two_threads(F f) {
  std::thread first([&] { f(0); }), second([&] { f(1); });
  first.join();
  second.join();
}

}  // namespace

TEST_CASE("C11: two threads that train models of their own get what each gets alone") {
  const StateDict alone[] = {trained(1), trained(2)};
  constexpr int kRounds = 5;
  std::int64_t same = 0;
  for (int round = 0; round < kRounds; ++round) {
    StateDict together[2];
    on_two_threads([&](std::size_t k) { together[k] = trained(k + 1); });
    for (std::size_t k = 0; k < 2; ++k) same += equal(together[k], alone[k]);
  }
  CHECK(same == 2 * kRounds);
  testing::figure("R54", "two threads train models of their own, to the bits of one thread",
                  testing::of(same, 2 * kRounds) + " trainings of 100 steps", same == 2 * kRounds);
}

TEST_CASE("C11: two threads compute with one model without recording") {
  const nn::Mlp net = model(3);
  constexpr std::size_t kBatches = 50;
  std::vector<Tensor> inputs, alone;
  for (std::size_t i = 0; i < kBatches; ++i) inputs.push_back(noise({8, 16}, i));
  for (const Tensor& x : inputs) alone.push_back(net(x).detach());
  std::int64_t same[2] = {}, unrecorded[2] = {};
  on_two_threads([&](std::size_t k) {
    const NoGradGuard no_grad;
    for (std::size_t i = 0; i < kBatches; ++i) {
      const Tensor y = net(inputs[i]);
      same[k] += y.equal(alone[i]);
      unrecorded[k] += !y.requires_grad();
    }
  });
  CHECK(GradMode::is_enabled());
  const std::int64_t results = same[0] + same[1], all = 2 * kBatches;
  CHECK(results == all);
  CHECK(unrecorded[0] + unrecorded[1] == all);
  testing::figure("R54", "two threads compute with one model under NoGradGuard",
                  testing::of(results, all) + " results with the bits of one thread",
                  results == all);
}
