#include <torch/torch.h>

#include <retrace/bench/workloads.h>

namespace retrace::bench {

namespace {

void train_step(const Run& run, const std::string& workload, torch::nn::Sequential model,
                int64_t batch, int64_t features) {
  torch::manual_seed(0);
  const torch::Tensor x = torch::randn({batch, features});
  const torch::Tensor labels = torch::randint(10, {batch}, torch::kInt64);
  std::vector<torch::Tensor> parameters = model->parameters();
  torch::optim::Adam optimizer(parameters, torch::optim::AdamOptions(1e-6));
  report_time(run, workload, "ms/step", 1e3, [&] {
    for (torch::Tensor& p : parameters) p.mutable_grad().reset();
    torch::nn::functional::cross_entropy(model->forward(x), labels).backward();
    optimizer.step();
  });
}

}  // namespace

void mlp_small(const Run& run) {
  using namespace torch::nn;
  train_step(run, "mlp_small", Sequential(Linear(64, 128), ReLU(), Linear(128, 10)), 32, 64);
}

void mlp_mnist(const Run& run) {
  using namespace torch::nn;
  train_step(run, "mlp_mnist",
             Sequential(Linear(784, 512), ReLU(), Linear(512, 512), ReLU(), Linear(512, 10)), 128,
             784);
}

}  // namespace retrace::bench
