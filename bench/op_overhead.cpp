#include <retrace/retrace.h>

#include <retrace/bench/workloads.h>

namespace retrace::bench {
namespace {

// y + a and y * b in turn, on one number.
struct Chain {
  Tensor x = ones({1}).requires_grad_();
  Tensor a = full({1}, 1e-3), b = full({1}, 0.999);

  Tensor forward(std::int64_t ops) const {
    Tensor y = x;
    for (std::int64_t i = 0; i < ops / 2; ++i) {
      y = y + a;
      y = y * b;
    }
    return y;
  }
  void step(std::int64_t ops) {
    x.zero_grad();
    forward(ops).backward();
  }
};

}  // namespace

// W1: what an op costs that computes next to nothing.
void op_overhead(const Run& run) {
  constexpr std::int64_t kOps = 1000;
  constexpr double kNanosecondsPerOp = 1e9 / kOps;
  Chain chain;
  const auto forward = [&] { return chain.forward(kOps); };
  report_time(run, "op_overhead", "ns/op", kNanosecondsPerOp, [&] { chain.step(kOps); });
  report_time(run, "op_overhead_fwd_taped", "ns/op", kNanosecondsPerOp, [&] { forward(); });
  report_time(run, "op_overhead_nograd", "ns/op", kNanosecondsPerOp, [&] {
    const NoGradGuard recording_off;
    forward();
  });
}

void scaling_graph(const Run& run) {
  Chain chain;
  for (std::int64_t ops = 10; ops <= 10'000'000; ops *= 10) {
    const auto count = static_cast<double>(ops);
    report_time(run, "scaling_graph", "ns/op", 1e9 / count, [&] { chain.step(ops); },
                {{"x", count}});
  }
}

}  // namespace retrace::bench
