// The workloads that retrace_bench knows; bench/README.md says what each one does.
#pragma once

#include <retrace/bench/program.h>

namespace retrace::bench {

void op_overhead(const Run& run);
void mlp_small(const Run& run);
void mlp_mnist(const Run& run);
void infonce(const Run& run);
/// "elementwise", and "ew:OP" for each of its ops.
std::vector<Workload> elementwise();

}  // namespace retrace::bench
