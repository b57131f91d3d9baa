#include <cblas.h>
#include <omp.h>

#include <retrace/bench/program.h>

#include <retrace/bench/limits/workloads.h>

int main(int argc, char** argv) {
  using namespace retrace::bench;
  return run_program(argc, argv,
                     {"by_hand",
                      [](int threads) {
                        omp_set_num_threads(threads);
                        openblas_set_num_threads(1);  // products are split by hand
                      },
                      [] { return std::string(openblas_get_corename()); },
                      {{"op_overhead", op_overhead},
                       {"mlp_small", mlp_small},
                       {"mlp_mnist", mlp_mnist},
                       {"mlp_small_gemms", mlp_small_gemms},
                       {"mlp_mnist_gemms", mlp_mnist_gemms},
                       {"sgemm", sgemm},
                       {"fma_peak", fma_peak},
                       {"triad", triad}}});
}
