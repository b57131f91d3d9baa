#include <torch/torch.h>

#include <retrace/bench/workloads.h>

namespace retrace::bench {

void op_overhead(const Run& run) {
  constexpr int kPairs = 500;
  constexpr double kNanosecondsPerOp = 1e9 / (2 * kPairs);
  torch::Tensor x = torch::ones({1}, torch::requires_grad());
  const torch::Tensor a = torch::full({1}, 1e-3), b = torch::full({1}, 0.999);
  const auto forward = [&] {
    torch::Tensor y = x;
    for (int i = 0; i < kPairs; ++i) {
      y = y + a;
      y = y * b;
    }
    return y;
  };

  report_time(run, "op_overhead", "ns/op", kNanosecondsPerOp, [&] {
    x.mutable_grad().reset();
    forward().backward();
  });
  report_time(run, "op_overhead_fwd_taped", "ns/op", kNanosecondsPerOp, [&] { forward(); });
  report_time(run, "op_overhead_nograd", "ns/op", kNanosecondsPerOp, [&] {
    const c10::InferenceMode recording_off;  // a sixth faster than NoGradGuard
    forward();
  });
}

}  // namespace retrace::bench
