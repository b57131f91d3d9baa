#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

/// One pool of threads for every kernel of the library.
///
/// How work is cut depends on its shape alone, never on the number of threads; which thread runs a
/// chunk is left open. A kernel whose result depends on how it is cut (a sum, say) cuts it by
/// `parallel_chunks` and combines the partial results in the order of the chunks: then any number
/// of threads gives the same bits.
namespace retrace {

/// Threads that a parallel call may use, the caller included. At first OMP_NUM_THREADS if set, else
/// the processors that the process may run on.
int num_threads();

/// Process-wide, from the next parallel call on. n < 1 throws ValueError.
void set_num_threads(int n);

/// True inside a chunk that runs beside others; parallel calls made there run serially.
bool in_parallel_region();

/// Calls task(context, i) once for each i in [0, count), in any order, on up to num_threads()
/// threads, and returns when all have ended. The first exception that a task throws reaches the
/// caller; tasks not yet started are then skipped.
void run_tasks(int64_t count, void (*task)(void* context, int64_t index), void* context);

// A function is behind a pointer in both, or the compiler would make three copies of its loops: for
// one thread, for one chunk, for many.

/// Calls f(chunk) once for each chunk in [0, n_chunks), in any order. Every chunk is a call of its
/// own with one thread, too.
template <class F>
void parallel_chunks(int64_t n_chunks, F&& f) {
  using Function = std::remove_reference_t<F>;
  run_tasks(
      n_chunks, [](void* context, int64_t chunk) { (*static_cast<Function*>(context))(chunk); },
      const_cast<void*>(static_cast<const void*>(&f)));
}

/// As parallel_for below: calls range(context, begin, end).
void run_ranges(int64_t n, int64_t grain, void (*range)(void* context, int64_t begin, int64_t end),
                void* context);

/// Calls f(begin, end) on ranges that together cover [0, n) once; inner boundaries are multiples of
/// `grain` (at least 1). For work in which the cut does not matter: n <= grain, one thread or a
/// nested call is a direct f(0, n). A grain below about 32 K elements of light work costs more than
/// it gains.
template <class F>
void parallel_for(int64_t n, int64_t grain, F&& f) {
  using Function = std::remove_reference_t<F>;
  run_ranges(
      n, grain,
      [](void* context, int64_t begin, int64_t end) {
        (*static_cast<Function*>(context))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(&f)));
}

}  // namespace retrace
