// The workloads on Retrace.
#include <retrace/tensor/kernels/gemm.h>
#include <retrace/tensor/parallel.h>

#include <retrace/bench/program.h>
#include <retrace/bench/workloads.h>

namespace retrace::bench {
namespace {

void startup(const Run& run) { report_startup(run, program_folder() / "startup_xor"); }

}  // namespace
}  // namespace retrace::bench

int main(int argc, char** argv) {
  using namespace retrace::bench;
  std::vector<Workload> workloads = {{"op_overhead", op_overhead},
                                     {"mlp_small", mlp_small},
                                     {"mlp_mnist", mlp_mnist},
                                     {"gpt_tiny", gpt_tiny},
                                     {"gpt_char", gpt_char},
                                     {"infonce", infonce},
                                     {"gpt_generate", gpt_generate},
                                     {"gpt_generate_nocache", gpt_generate_nocache},
                                     {"gpt_generate_kvcache", gpt_generate_kvcache},
                                     {"startup", startup},
                                     {"dpo", dpo},
                                     {"scaling_batch", scaling_batch},
                                     {"scaling_width", scaling_width},
                                     {"scaling_context", scaling_context},
                                     {"scaling_depth", scaling_depth},
                                     {"scaling_graph", scaling_graph}};
  for (Workload& workload : elementwise()) workloads.push_back(std::move(workload));
  return run_program(argc, argv,
                     {"retrace", [](int threads) { retrace::set_num_threads(threads); },
                      [] { return retrace::kernels::blas_kernels(); }, std::move(workloads)});
}
