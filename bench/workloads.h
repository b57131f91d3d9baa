// The workloads that retrace_bench knows; bench/README.md says what each one does.
#pragma once

#include <retrace/bench/harness.h>

namespace retrace::bench {

void op_overhead(const Run& run);
void mlp_small(const Run& run);
void mlp_mnist(const Run& run);

}  // namespace retrace::bench
