// W9: a whole process that trains XOR for 100 steps. With --peak it prints its peak memory in MiB.
#include <torch/torch.h>

#include <retrace/bench/harness.h>

int main(int argc, char**) {
  using namespace torch::nn;
  at::set_num_threads(1);
  torch::manual_seed(0);
  Sequential model(Linear(2, 2), Tanh(), Linear(2, 1), Sigmoid());
  const torch::Tensor x = torch::tensor({{0.f, 0.f}, {0.f, 1.f}, {1.f, 0.f}, {1.f, 1.f}});
  const torch::Tensor y = torch::tensor({{0.f}, {1.f}, {1.f}, {0.f}});
  torch::optim::SGD optimizer(model->parameters(), 0.5);
  float value = 0;
  for (int step = 0; step < 100; ++step) {
    optimizer.zero_grad();
    const torch::Tensor loss = torch::mse_loss(model->forward(x), y);
    loss.backward();
    optimizer.step();
    value = loss.item<float>();
  }
  if (argc > 1) std::printf("%.2f\n", retrace::bench::peak_rss_mb());
  return value < 1 ? 0 : 1;
}
