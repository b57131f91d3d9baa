#include <retrace/retrace.h>

#include <retrace/bench/workloads.h>

namespace retrace::bench {
namespace {

// Of a training step with layers of these widths: three products each, but no gradient of x.
double gflop(std::int64_t batch, std::initializer_list<std::int64_t> widths) {
  std::int64_t products = 0;
  for (auto w = widths.begin(); w + 1 != widths.end(); ++w)
    products += w[0] * w[1] * (w == widths.begin() ? 2 : 3);
  return 2e-9 * static_cast<double>(batch * products);
}

void train_step(const Run& run, const std::string& workload, nn::Sequential model,
                std::int64_t batch, std::int64_t features, double gflop) {
  const Tensor x = randn({batch, features});
  const Tensor labels = randint(0, 10, {batch});
  optim::Adam optimizer(model.parameters(), {.lr = 1e-6});
  report_time(run, workload, "ms/step", 1e3,
              [&] {
                optimizer.zero_grad();
                losses::cross_entropy(model(x), labels).backward();
                optimizer.step();
              },
              {{"gflop", gflop}});
}

}  // namespace

// W2.
void mlp_small(const Run& run) {
  manual_seed(0);
  using namespace nn;
  train_step(run, "mlp_small", Sequential(Linear(64, 128), ReLU(), Linear(128, 10)), 32, 64,
             gflop(32, {64, 128, 10}));
}

// W3.
void mlp_mnist(const Run& run) {
  manual_seed(0);
  using namespace nn;
  train_step(run, "mlp_mnist",
             Sequential(Linear(784, 512), ReLU(), Linear(512, 512), ReLU(), Linear(512, 10)), 128,
             784, gflop(128, {784, 512, 512, 10}));
}

}  // namespace retrace::bench
