#include <torch/torch.h>

#include <retrace/bench/workloads.h>

namespace retrace::bench {

void infonce(const Run& run) {
  namespace F = torch::nn::functional;
  torch::manual_seed(0);
  const torch::Tensor a = torch::randn({512, 128}).requires_grad_(),
                      b = torch::randn({512, 128}).requires_grad_(), labels = torch::arange(512);
  report_time(run, "infonce", "ms", 1e3, [&] {
    a.mutable_grad().reset();
    b.mutable_grad().reset();
    const auto rows = F::NormalizeFuncOptions().p(2).dim(1);  // eps 1e-12
    const torch::Tensor logits = F::normalize(a, rows).mm(F::normalize(b, rows).t()) / 0.07;
    (0.5 * (F::cross_entropy(logits, labels) + F::cross_entropy(logits.t(), labels))).backward();
  });
}

}  // namespace retrace::bench
