#include <retrace/tensor/kernels/blas.h>

#include <cblas.h>
#include <dlfcn.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <string_view>

#include <retrace/tensor/error.h>

namespace retrace::kernels::blas {
namespace {

// An environment variable for as long as a library reads it; a value that is there already stays.
class Setting {
 public:
  Setting(const char* name, const char* value) : name_(name), ours_(std::getenv(name) == nullptr) {
    if (ours_) setenv(name, value, 0);
  }
  ~Setting() {
    if (ours_) unsetenv(name_);
  }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;

 private:
  const char* name_;
  bool ours_;
};

struct Library {
  void* handle = nullptr;
  decltype(&cblas_sgemm) sgemm = nullptr;
  decltype(&cblas_dgemm) dgemm = nullptr;
  decltype(&cblas_sgemv) sgemv = nullptr;
  decltype(&cblas_dgemv) dgemv = nullptr;
  decltype(&openblas_get_corename) corename = nullptr;
  decltype(&openblas_get_config) config = nullptr;
  void* (*take_buffer)(int) = nullptr;
  void (*give_buffer)(void*) = nullptr;
  bool takes_turns = false;

  Library() {
    {
      const Setting one_thread("OPENBLAS_NUM_THREADS", "1");
      // The file that the build found; elsewhere whichever the loader finds.
      for (const char* file : {RETRACE_OPENBLAS, "libopenblas.so.0"}) {
        if (handle == nullptr) handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
      }
    }
    if (handle == nullptr) {
      throw Error(std::string("gemm: OpenBLAS cannot be loaded: ") + dlerror() +
                  "; install it (Debian: libopenblas0-pthread), or, if it is, give the process "
                  "more memory");
    }
    sgemm = get<decltype(sgemm)>("cblas_sgemm");
    dgemm = get<decltype(dgemm)>("cblas_dgemm");
    sgemv = get<decltype(sgemv)>("cblas_sgemv");
    dgemv = get<decltype(dgemv)>("cblas_dgemv");
    corename = get<decltype(corename)>("openblas_get_corename");
    config = get<decltype(config)>("openblas_get_config");
    takes_turns =
        get<decltype(&openblas_get_parallel)>("openblas_get_parallel")() == OPENBLAS_SEQUENTIAL;
    // Not in its header, and hidden by some builds.
    take_buffer = reinterpret_cast<void* (*)(int)>(dlsym(handle, "blas_memory_alloc"));
    give_buffer = reinterpret_cast<void (*)(void*)>(dlsym(handle, "blas_memory_free"));
    choose_kernels();
    // The program may have loaded it before, with threads.
    get<decltype(&openblas_set_num_threads)>("openblas_set_num_threads")(1);
  }

  template <class F>
  F get(const char* name) const {
    void* const symbol = dlsym(handle, name);
    if (symbol == nullptr) {
      throw Error(std::string("gemm: the OpenBLAS that was loaded has no ") + name +
                  "; install one with its C interface");
    }
    return reinterpret_cast<F>(symbol);
  }

  void choose_kernels() const {
#if defined(__x86_64__)
    constexpr std::array<std::string_view, 6> kModern = {
        "Haswell", "Zen", "Excavator", "SkylakeX", "Cooperlake", "SapphireRapids"};
    if (std::ranges::find(kModern, std::string_view(corename())) != kModern.end()) return;
    const char* kernels = nullptr;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) kernels = "Haswell";
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512cd")) {
      kernels = "SkylakeX";
    }
    // The library's own choice, made while it is loaded; not in its header, and absent from builds
    // for one processor.
    const auto init = reinterpret_cast<void (*)()>(dlsym(handle, "gotoblas_dynamic_init"));
    const auto quit = reinterpret_cast<void (*)()>(dlsym(handle, "gotoblas_dynamic_quit"));
    if (kernels == nullptr || init == nullptr || quit == nullptr ||
        std::getenv("OPENBLAS_CORETYPE") != nullptr) {
      return;
    }
    const Setting core("OPENBLAS_CORETYPE", kernels);
    quit();
    init();
#endif
  }
};

const Library& library() {
  static const Library loaded;
  return loaded;
}

// The memory that calls work in, one buffer each at a time. OpenBLAS asks the system for one until
// it gets it: for ever, where there is none. So no call is made for which it has none yet.
class Buffers {
 public:
  void take(const Library& library) {
    while (!take_idle()) {
      {
        const std::lock_guard lock(making_);
        if (take_idle() || make(library)) return;
      }
      idle_.wait(0);
    }
  }
  void give_back() {
    idle_.fetch_add(1);
    idle_.notify_one();
  }

 private:
  bool take_idle() {
    int idle = idle_.load();
    while (idle > 0) {
      if (idle_.compare_exchange_weak(idle, idle - 1)) return true;
    }
    return false;
  }

  // One more, taken; false when the calls have to share those there are.
  bool make(const Library& library) {
    if (made_ > 0 && library.takes_turns) return false;
    constexpr std::size_t kBytes = 128 << 20, kSlack = 1 << 20;
    void* const space =
        mmap(nullptr, kBytes + kSlack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (space == MAP_FAILED && made_ > 0) return false;
    if (space == MAP_FAILED) {
      throw ValueError(
          "gemm: OpenBLAS needs 128 MiB of address space to work in, and the system gives no more; "
          "raise the limit (ulimit -v) or free memory first");
    }
    munmap(space, kBytes + kSlack);
    // It hands out those first that nobody has: only with all others in hand is this one new.
    for (int others = 0; others < made_; ++others) {
      while (!take_idle()) idle_.wait(0);
    }
    ++made_;
    if (library.take_buffer != nullptr && library.give_buffer != nullptr) {
      void* taken[kMost] = {};
      const int all = std::min(made_, kMost);
      for (int i = 0; i < all; ++i) taken[i] = library.take_buffer(0);
      for (int i = 0; i < all; ++i) library.give_buffer(taken[i]);
    }
    for (int others = 1; others < made_; ++others) give_back();
    return true;
  }

  static constexpr int kMost = 64;
  std::atomic<int> idle_{0};
  int made_ = 0;  // guarded by making_
  std::mutex making_;
};

// Holds what a call needs for its time.
class Call {
 public:
  Call() : library_(library()) { buffers.take(library_); }
  ~Call() { buffers.give_back(); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  const Library* operator->() const { return &library_; }

 private:
  static constinit inline Buffers buffers;
  const Library& library_;
};

CBLAS_TRANSPOSE flag(bool transposed) { return transposed ? CblasTrans : CblasNoTrans; }

}  // namespace

void gemm(bool a_transposed, bool b_transposed, int m, int n, int k, float alpha, const float* a,
          int lda, const float* b, int ldb, float beta, float* c, int ldc) {
  Call()->sgemm(CblasRowMajor, flag(a_transposed), flag(b_transposed), m, n, k, alpha, a, lda, b,
                ldb, beta, c, ldc);
}
void gemm(bool a_transposed, bool b_transposed, int m, int n, int k, double alpha, const double* a,
          int lda, const double* b, int ldb, double beta, double* c, int ldc) {
  Call()->dgemm(CblasRowMajor, flag(a_transposed), flag(b_transposed), m, n, k, alpha, a, lda, b,
                ldb, beta, c, ldc);
}
void gemv(bool a_transposed, int m, int n, float alpha, const float* a, int lda, const float* x,
          int incx, float beta, float* y, int incy) {
  Call()->sgemv(CblasRowMajor, flag(a_transposed), m, n, alpha, a, lda, x, incx, beta, y, incy);
}
void gemv(bool a_transposed, int m, int n, double alpha, const double* a, int lda, const double* x,
          int incx, double beta, double* y, int incy) {
  Call()->dgemv(CblasRowMajor, flag(a_transposed), m, n, alpha, a, lda, x, incx, beta, y, incy);
}

std::string kernels() { return library().corename(); }
std::string config() { return library().config(); }

}  // namespace retrace::kernels::blas
