// Each optimizer learns the exclusive or.
#include <doctest/doctest.h>

#include <functional>

#include <retrace/autograd/autograd.h>
#include <retrace/losses/losses.h>
#include <retrace/nn/nn.h>
#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>

using namespace retrace;

namespace {

double learn_xor(std::uint64_t seed,
                 const std::function<optim::Optimizer(const std::vector<Tensor>&)>& make) {
  manual_seed(seed);
  nn::Sequential net{nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1), nn::Sigmoid()};
  optim::Optimizer optimizer = make(net.parameters());
  const Tensor x = tensor({{0.0, 0.0}, {0.0, 1.0}, {1.0, 0.0}, {1.0, 1.0}});
  const Tensor y = tensor({{0.0}, {1.0}, {1.0}, {0.0}});
  double loss = 1;
  for (int step = 0; step < 2000; ++step) {
    optimizer.zero_grad();
    Tensor error = losses::mse_loss(net(x), y);
    error.backward();
    optimizer.step();
    loss = error.item<double>();
  }
  return loss;
}

}  // namespace

TEST_CASE("every optimizer learns the exclusive or from every seed") {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    CAPTURE(seed);
    CHECK(learn_xor(seed, [](const auto& p) {
            return optim::SGD(p, {.lr = 0.5, .momentum = 0.9, .nesterov = true});
          }) < 0.01);
    CHECK(learn_xor(seed, [](const auto& p) { return optim::Adam(p, {.lr = 0.05}); }) < 0.01);
    CHECK(learn_xor(seed, [](const auto& p) {
            return optim::Adam(p, {.lr = 0.05, .amsgrad = true});
          }) < 0.01);
    CHECK(learn_xor(seed, [](const auto& p) {
            return optim::AdamW(p, {.lr = 0.05, .weight_decay = 1e-4});
          }) < 0.01);
    CHECK(learn_xor(seed, [](const auto& p) { return optim::RMSprop(p, {.lr = 0.01}); }) < 0.01);
  }
}
