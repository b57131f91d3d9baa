// What the machine can do at most: products, multiply-adds in registers, memory.
#include <cblas.h>
#include <omp.h>

#include <vector>

#include <retrace/bench/limits/workloads.h>

namespace retrace::bench {

void sgemm(const Run& run) {
  for (const int n : {64, 128, 256, 512, 1024}) {
    const size_t size = static_cast<size_t>(n) * static_cast<size_t>(n);
    const std::vector<float> a(size, 1.F), b(size, 1.F);
    std::vector<float> c(size);
    report_rate(run, "sgemm_" + std::to_string(n), "GFLOP/s", 2e-9 * n * n * n, [&] {
#pragma omp parallel
      {
        const Part rows = part_of(n, omp_get_thread_num(), omp_get_num_threads());
        const ptrdiff_t offset = static_cast<ptrdiff_t>(rows.begin) * n;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows.size(), n, n, 1.F,
                    a.data() + offset, n, b.data(), n, 0.F, c.data() + offset, n);
      }
    });
  }
}

void fma_peak(const Run& run) {
  typedef float Vector __attribute__((vector_size(64)));
  constexpr int kChains = 16, kRounds = 10000, kLanes = 16;
  volatile float sink = 0;
  report_rate(run, "fma_peak", "GFLOP/s", 2e-9 * kLanes * kChains * kRounds * run.threads, [&] {
#pragma omp parallel
    {
      Vector sums[kChains] = {};
      Vector factor = Vector{} + 0.999F, term = Vector{} + 1e-3F;
      asm volatile("" : "+m"(factor), "+m"(term));  // not constants to the compiler
      for (int i = 0; i < kRounds; ++i) {
#pragma GCC unroll 16
        for (int k = 0; k < kChains; ++k) sums[k] = sums[k] * factor + term;
      }
      for (int k = 1; k < kChains; ++k) sums[0] += sums[k];
      if (sums[0][0] < 0) sink = sums[0][0];
    }
  });
}

void triad(const Run& run) {
  constexpr int kSize = 1 << 25;
  constexpr double kBytes = 12.0 * kSize;
  std::vector<float> a(kSize), b(kSize, 1.F), c(kSize, 2.F);
  report_rate(run, "triad", "GB/s", kBytes * 1e-9, [&] {
#pragma omp parallel
    {
      const Part part = part_of(kSize, omp_get_thread_num(), omp_get_num_threads());
      float* __restrict x = a.data();
      const float* __restrict y = b.data();
      const float* __restrict z = c.data();
      for (int i = part.begin; i < part.end; ++i) x[i] = y[i] + 3.F * z[i];
    }
  });
}

}  // namespace retrace::bench
