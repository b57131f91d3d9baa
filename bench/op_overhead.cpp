#include <retrace/retrace.h>

#include <retrace/bench/workloads.h>

namespace retrace::bench {

// W1: what an op costs that computes next to nothing.
void op_overhead(const Run& run) {
  constexpr int kPairs = 500;
  constexpr double kNanosecondsPerOp = 1e9 / (2 * kPairs);
  Tensor x = ones({1}).requires_grad_();
  const Tensor a = full({1}, 1e-3), b = full({1}, 0.999);
  const auto forward = [&] {
    Tensor y = x;
    for (int i = 0; i < kPairs; ++i) {
      y = y + a;
      y = y * b;
    }
    return y;
  };

  report_time(run, "op_overhead", "ns/op", kNanosecondsPerOp, [&] {
    x.zero_grad();
    forward().backward();
  });
  report_time(run, "op_overhead_fwd_taped", "ns/op", kNanosecondsPerOp, [&] { forward(); });
  report_time(run, "op_overhead_nograd", "ns/op", kNanosecondsPerOp, [&] {
    const NoGradGuard recording_off;
    forward();
  });
}

}  // namespace retrace::bench
