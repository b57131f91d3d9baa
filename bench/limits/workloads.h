// What an expert writes for one model without any autograd, and what the machine can do at most.
// bench/README.md says what each one does.
#pragma once

#include <retrace/bench/harness.h>

namespace retrace::bench {

void op_overhead(const Run& run);
void mlp_small(const Run& run);
void mlp_mnist(const Run& run);
void mlp_small_gemms(const Run& run);
void mlp_mnist_gemms(const Run& run);
void sgemm(const Run& run);
void fma_peak(const Run& run);
void triad(const Run& run);

// Part `index` of [0, size) cut into `parts`.
struct Part {
  int begin, end;
  int size() const { return end - begin; }
};
inline Part part_of(int size, int index, int parts) {
  return {static_cast<int>(static_cast<long>(size) * index / parts),
          static_cast<int>(static_cast<long>(size) * (index + 1) / parts)};
}

}  // namespace retrace::bench
