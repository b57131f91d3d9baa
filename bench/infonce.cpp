#include <retrace/retrace.h>

#include <retrace/bench/workloads.h>

// W7: forward and backward of a symmetric contrastive loss.

namespace retrace::bench {

void infonce(const Run& run) {
  manual_seed(0);
  const Tensor a = randn({512, 128}).requires_grad_(), b = randn({512, 128}).requires_grad_();
  constexpr double kGflop =
      3 * 2e-9 * 512 * 512 * 128;  // the similarities, and a product for each side
  report_time(run, "infonce", "ms", 1e3,
              [&] {
                a.zero_grad();
                b.zero_grad();
                losses::info_nce(a, b, {.temperature = 0.07, .symmetric = true}).backward();
              },
              {{"gflop", kGflop}});
}

}  // namespace retrace::bench
