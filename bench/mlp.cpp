#include <retrace/retrace.h>

#include <retrace/bench/workloads.h>

namespace retrace::bench {
namespace {

void train_step(const Run& run, const std::string& workload, nn::Sequential model,
                std::int64_t batch, std::int64_t features) {
  const Tensor x = randn({batch, features});
  const Tensor labels = randint(0, 10, {batch});
  optim::Adam optimizer(model.parameters(), {.lr = 1e-6});
  report_time(run, workload, "ms/step", 1e3, [&] {
    optimizer.zero_grad();
    losses::cross_entropy(model(x), labels).backward();
    optimizer.step();
  });
}

}  // namespace

// W2.
void mlp_small(const Run& run) {
  manual_seed(0);
  using namespace nn;
  train_step(run, "mlp_small", Sequential(Linear(64, 128), ReLU(), Linear(128, 10)), 32, 64);
}

// W3.
void mlp_mnist(const Run& run) {
  manual_seed(0);
  using namespace nn;
  train_step(run, "mlp_mnist",
             Sequential(Linear(784, 512), ReLU(), Linear(512, 512), ReLU(), Linear(512, 10)), 128,
             784);
}

}  // namespace retrace::bench
