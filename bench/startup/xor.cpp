// W9: a whole process that trains XOR for 100 steps. With --peak it prints its peak memory in MiB.
#include <retrace/retrace.h>

#include <retrace/bench/harness.h>

int main(int argc, char**) {
  using namespace retrace;
  set_num_threads(1);
  manual_seed(0);
  nn::Sequential model{nn::Linear(2, 2), nn::Tanh(), nn::Linear(2, 1), nn::Sigmoid()};
  const Tensor x = tensor({{0.0, 0.0}, {0.0, 1.0}, {1.0, 0.0}, {1.0, 1.0}});
  const Tensor y = tensor({{0.0}, {1.0}, {1.0}, {0.0}});
  optim::SGD optimizer(model.parameters(), {.lr = 0.5});
  float value = 0;
  for (int step = 0; step < 100; ++step) {
    optimizer.zero_grad();
    const Tensor loss = losses::mse_loss(model(x), y);
    loss.backward();
    optimizer.step();
    value = loss.item<float>();
  }
  if (argc > 1) std::printf("%.2f\n", bench::peak_rss_mb());
  return value < 1 ? 0 : 1;
}
