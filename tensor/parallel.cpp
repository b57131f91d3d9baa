#include <retrace/tensor/parallel.h>

#include <pthread.h>

#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <limits>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif

#include <retrace/tensor/error.h>

namespace retrace {
namespace {

// What the tasks of one parallel call are; on the stack of its caller.
struct Call {
  void (*task)(void* context, int64_t index);
  void* context;
  int64_t end = 0;
  std::atomic<bool> failed{false};
  std::exception_ptr error{};

  void run(int64_t index) {
    if (failed.load(std::memory_order_relaxed)) return;
    try {
      task(context, index);
    } catch (...) {
      if (!failed.exchange(true)) error = std::current_exception();
    }
  }
};

// Where a call offers its tasks. Slots outlive every thread, so a worker that comes late finds
// nothing to claim instead of a caller's dead stack.
struct alignas(64) Slot {
  std::atomic<bool> taken{false};
  // Low half: tasks nobody has claimed. High half: a number per call, so that a claim meant for one
  // call cannot succeed in the next.
  std::atomic<uint64_t> unclaimed{0};
  std::atomic<Call*> call{nullptr};
  std::atomic<uint32_t> unfinished{0};

  // Runs tasks until none is left to claim; returns how many. A claimed task keeps the call alive
  // until the claimant subtracts it from `unfinished`.
  uint32_t run_tasks() {
    uint32_t ran = 0;
    uint64_t word = unclaimed.load(std::memory_order_acquire);
    while (static_cast<uint32_t>(word) != 0) {
      Call* const current = call.load(std::memory_order_relaxed);
      if (!unclaimed.compare_exchange_weak(word, word - 1, std::memory_order_acq_rel,
                                           std::memory_order_acquire)) {
        continue;
      }
      current->run(current->end - static_cast<uint32_t>(word));
      ++ran;
      word = unclaimed.load(std::memory_order_acquire);
    }
    return ran;
  }
};

// Constructed before the program starts and never destroyed: workers are detached, and sleep until
// the process ends.
struct Pool {
  std::array<Slot, 8> slots;
  alignas(64) std::atomic<uint32_t> calls{0};  // changes with every call; workers wait for that
  std::atomic<int> workers{0};
  std::mutex starting;
};
constinit Pool pool;

constinit std::atomic<int> thread_count{0};  // 0: not asked for yet
constinit thread_local bool in_region = false;

int processors() {
#if defined(__linux__)
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int default_threads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    const std::string_view digits = text;
    int n = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), n);
    if (n >= 1) return n;
  }
  return processors();
}

// Waking a sleeping thread takes longer than this; spinning longer takes time from whoever has
// work.
constexpr std::chrono::microseconds kLongSpin{50};
constexpr std::chrono::microseconds kShortSpin{5};

// True as soon as `done` is, false when it is not within `longest`.
template <class Done>
bool spin(std::chrono::microseconds longest, Done done) {
  static const int cores = processors();
  if (num_threads() > cores) return done();
  const auto start = std::chrono::steady_clock::now();
  do {
    for (int i = 0; i < 8; ++i) {
      if (done()) return true;
#if defined(__x86_64__)
      __builtin_ia32_pause();
#elif defined(__aarch64__)
      asm volatile("yield");
#endif
    }
  } while (std::chrono::steady_clock::now() - start < longest);
  return false;
}

// Whether this worker is one too many since set_num_threads, and has been signed off.
bool superfluous() {
  int workers = pool.workers.load(std::memory_order_relaxed);
  while (workers >= num_threads()) {
    if (pool.workers.compare_exchange_weak(workers, workers - 1)) return true;
  }
  return false;
}

void work() {
#if defined(__linux__)
  pthread_setname_np(pthread_self(), "retrace worker");  // for top, gdb, and tests
#endif
  in_region = true;
  bool patient = true;  // the last time, spinning was worth while or would have been
  for (;;) {
    const uint32_t seen = pool.calls.load(std::memory_order_acquire);
    uint32_t ran = 0;
    for (Slot& slot : pool.slots) {
      const uint32_t here = slot.run_tasks();
      if (here != 0 && slot.unfinished.fetch_sub(here, std::memory_order_acq_rel) == here) {
        slot.unfinished.notify_one();
      }
      ran += here;
    }
    if (ran != 0) continue;
    if (superfluous()) return;
    const auto called = [seen] { return pool.calls.load(std::memory_order_relaxed) != seen; };
    const auto idle = std::chrono::steady_clock::now();
    if (!spin(patient ? kLongSpin : kShortSpin, called)) {
      pool.calls.wait(seen, std::memory_order_relaxed);
    }
    patient = std::chrono::steady_clock::now() - idle < kLongSpin;
  }
}

// A child has none of the workers, and calls of other threads never end there.
void start_afresh_in_child() { new (&pool) Pool; }

void start_workers(int wanted) {
  const std::lock_guard lock(pool.starting);
  static const int registered = pthread_atfork(
      [] { pool.starting.lock(); }, [] { pool.starting.unlock(); }, start_afresh_in_child);
  static_cast<void>(registered);
  try {
    for (; pool.workers.load(std::memory_order_relaxed) < wanted; ++pool.workers) {
      std::thread(work).detach();
    }
  } catch (const std::exception&) {
    // No more threads, or no memory for one: the callers do the work.
  }
}

void wake_workers(int wanted) {
  pool.calls.fetch_add(1);
  if (wanted >= pool.workers.load(std::memory_order_relaxed)) {
    pool.calls.notify_all();
  } else {
    for (int i = 0; i < wanted; ++i) pool.calls.notify_one();
  }
}

Slot* free_slot() {
  for (Slot& slot : pool.slots) {
    if (!slot.taken.exchange(true, std::memory_order_acquire)) return &slot;
  }
  return nullptr;
}

// Offers the last `count` tasks before the end of `call` to the workers, and works along.
void share(Call& call, int64_t count, Slot& slot) {
  const int helpers = static_cast<int>(std::min<int64_t>(num_threads(), count)) - 1;
  if (pool.workers.load(std::memory_order_relaxed) < helpers) start_workers(helpers);
  const uint32_t tasks = static_cast<uint32_t>(count);
  const uint64_t number = slot.unclaimed.load(std::memory_order_relaxed) >> 32;
  slot.call.store(&call, std::memory_order_relaxed);
  slot.unfinished.store(tasks, std::memory_order_relaxed);
  slot.unclaimed.store((number + 1) << 32 | tasks, std::memory_order_release);
  wake_workers(helpers);
  in_region = true;
  const uint32_t ran = slot.run_tasks();
  in_region = false;
  // What is left is running on a worker at this moment.
  uint32_t left = slot.unfinished.fetch_sub(ran, std::memory_order_acq_rel) - ran;
  const auto done = [&] { return (left = slot.unfinished.load(std::memory_order_acquire)) == 0; };
  if (left != 0 && !spin(kLongSpin, done)) {
    while (!done()) slot.unfinished.wait(left, std::memory_order_acquire);
  }
  slot.taken.store(false, std::memory_order_release);
}

}  // namespace

int num_threads() {
  int n = thread_count.load(std::memory_order_relaxed);
  if (n == 0) {
    const int wanted = default_threads();
    n = thread_count.compare_exchange_strong(n, wanted) ? wanted : n;
  }
  return n;
}

void set_num_threads(int n) {
  if (n < 1) {
    throw ValueError("set_num_threads: got " + std::to_string(n) + "; pass at least 1");
  }
  thread_count.store(n, std::memory_order_relaxed);
  const int workers = pool.workers.load(std::memory_order_relaxed);
  if (workers >= n) wake_workers(workers);
}

bool in_parallel_region() { return in_region; }

void run_tasks(int64_t count, void (*task)(void* context, int64_t index), void* context) {
  constexpr int64_t kMost = std::numeric_limits<uint32_t>::max();  // that a slot can count
  int64_t begin = 0;
  if (num_threads() > 1 && !in_region) {
    Call call{task, context};
    for (; count - begin > 1; begin = call.end) {
      Slot* const slot = free_slot();
      if (slot == nullptr) break;  // enough other calls keep the workers busy
      call.end = std::min(count, begin + kMost);
      share(call, call.end - begin, *slot);
      if (call.error) std::rethrow_exception(call.error);
    }
  }
  for (; begin < count; ++begin) task(context, begin);
}

void run_ranges(int64_t n, int64_t grain, void (*range)(void* context, int64_t begin, int64_t end),
                void* context) {
  if (n <= 0) return;
  if (n <= grain || num_threads() == 1 || in_region) return range(context, 0, n);
  const int64_t grains = (n - 1) / grain + 1;
  const int64_t shares = std::min<int64_t>(num_threads(), grains);
  parallel_chunks(shares, [&](int64_t share) {
    range(context, share * grains / shares * grain,
          std::min(n, (share + 1) * grains / shares * grain));
  });
}

}  // namespace retrace
