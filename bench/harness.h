// The measuring method shared by every benchmark program: Retrace's, libtorch's and the
// hand-written limits. It depends on none of them, so that all are timed by the same code.
#pragma once

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace retrace::bench {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Seconds per call: the median over batches, and the best batch.
struct Timing {
  double median = 0;
  double min = 0;
};

// Calls `call` for about `seconds`. Warm-up: 3 calls, then at least 0.2 s. After it batches of
// about 10 ms (one call where a call is longer) until the time is spent, at least 5; a batch gives
// the mean time of its calls.
template <class Call>
Timing measure(Call&& call, double seconds) {
  constexpr double kWarmUp = 0.2, kBatch = 0.01;
  constexpr size_t kFewestBatches = 5;
  for (int i = 0; i < 3; ++i) call();
  const auto warm_up = Clock::now();
  double calls = 0;
  do {
    call();
    ++calls;
  } while (seconds_since(warm_up) < kWarmUp);
  const double estimate = seconds_since(warm_up) / calls;
  const int batch = std::max(1, static_cast<int>(std::lround(kBatch / estimate)));

  std::vector<double> means;
  const auto start = Clock::now();
  while (means.size() < kFewestBatches || seconds_since(start) < seconds) {
    const auto begin = Clock::now();
    for (int i = 0; i < batch; ++i) call();
    means.push_back(seconds_since(begin) / batch);
  }
  std::sort(means.begin(), means.end());
  const size_t middle = means.size() / 2;
  const double median =
      means.size() % 2 == 1 ? means[middle] : (means[middle - 1] + means[middle]) / 2;
  return {median, means.front()};
}

// Largest resident set of this process so far, in MiB. Read from VmHWM: unlike ru_maxrss it does
// not remember what the parent held before exec.
inline double peak_rss_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmHWM:") continue;
    double kib = 0;
    status >> kib;
    return kib / 1024;
  }
  return 0;
}

// What a workload is told about the run it is part of.
struct Run {
  std::string impl;  // name of the implementation
  std::string blas;  // kernels that the BLAS chose, e.g. "SkylakeX"
  int threads = 1;
  double seconds = 2;
};

// Six significant digits, whatever the locale.
inline std::string number(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value, std::chars_format::general, 6).ptr};
}

// Further fields of a result, numbers all.
using Fields = std::vector<std::pair<std::string, double>>;

// Prints one result as a JSON line. `best` is the best batch: the highest value of a rate.
inline void report(const Run& run, const std::string& workload, const std::string& unit,
                   double median, double best, const Fields& more = {}) {
  std::string line = "{\"workload\":\"" + workload + "\",\"impl\":\"" + run.impl +
                     "\",\"threads\":" + std::to_string(run.threads) + ",\"unit\":\"" + unit +
                     "\",\"median\":" + number(median) + ",\"min\":" + number(best) +
                     ",\"peak_rss_mb\":" + number(peak_rss_mb()) + ",\"blas\":\"" + run.blas + '"';
  for (const auto& [key, value] : more) line += ",\"" + key + "\":" + number(value);
  line += "}\n";
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

// Measures `call` and reports its time multiplied by `scale`: 1e3 for ms per call, 1e9 / n for ns
// per each of n elements.
template <class Call>
void report_time(const Run& run, const std::string& workload, const std::string& unit, double scale,
                 Call&& call, const Fields& more = {}) {
  const Timing timing = measure(call, run.seconds);
  report(run, workload, unit, timing.median * scale, timing.min * scale, more);
}

// Measures `call`, which does `amount` of work, and reports amount per second.
template <class Call>
void report_rate(const Run& run, const std::string& workload, const std::string& unit,
                 double amount, Call&& call, const Fields& more = {}) {
  const Timing timing = measure(call, run.seconds);
  report(run, workload, unit, amount / timing.median, amount / timing.min, more);
}

}  // namespace retrace::bench
