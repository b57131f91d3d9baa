// The workloads on libtorch, at its best settings: memory kept by the allocator, threads pinned (by
// bench/compare), gradients dropped instead of zeroed.
#include <dlfcn.h>
#include <malloc.h>
#include <torch/torch.h>

#include <retrace/bench/program.h>

#include <retrace/bench/workloads.h>

namespace retrace::bench {

void startup(const Run& run) { report_startup(run, program_folder() / "libtorch_xor"); }

void set_threads(int threads) {
  at::set_num_threads(threads);
  at::set_num_interop_threads(1);
}

// libtorch calls whatever provides libblas.so.3; only OpenBLAS tells which kernels it chose.
std::string blas_kernels() {
  using Name = char* (*)();
  const auto corename = reinterpret_cast<Name>(dlsym(RTLD_DEFAULT, "openblas_get_corename"));
  return corename == nullptr ? "unknown" : corename();
}

}  // namespace retrace::bench

int main(int argc, char** argv) {
  using namespace retrace::bench;
  // Large blocks come from the heap and stay there: no page faults after the first step.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 64 << 20);
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
                                     {"dpo", dpo}};
  for (Workload& workload : elementwise()) workloads.push_back(std::move(workload));
  return run_program(argc, argv, {"libtorch", set_threads, blas_kernels, std::move(workloads)});
}
