// The workloads that every program here knows; bench/README.md says what each one does.
#pragma once

#include <retrace/bench/program.h>

namespace retrace::bench {

void op_overhead(const Run& run);
void mlp_small(const Run& run);
void mlp_mnist(const Run& run);
void infonce(const Run& run);
void gpt_tiny(const Run& run);
void gpt_char(const Run& run);
void gpt_generate_nocache(const Run& run);
void gpt_generate_kvcache(const Run& run);
/// Both of them.
void gpt_generate(const Run& run);
void dpo(const Run& run);
/// How the time grows: a training step of a GPT, a chain of ops. A result for each size `x`.
void scaling_batch(const Run& run);
void scaling_width(const Run& run);
void scaling_context(const Run& run);
void scaling_depth(const Run& run);
void scaling_graph(const Run& run);
/// "elementwise", and "ew:OP" for each of its ops.
std::vector<Workload> elementwise();

}  // namespace retrace::bench
