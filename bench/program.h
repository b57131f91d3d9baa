// The command line shared by every benchmark program:
//   PROGRAM WORKLOAD... [--threads N] [--seconds S] [--list]
// Several workloads run one after the other, each in a process of its own.
#pragma once

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include <retrace/bench/harness.h>

namespace retrace::bench {

struct Workload {
  std::string name;
  std::function<void(const Run&)> run;
};

struct Program {
  std::string impl;               // name of the implementation in the results
  void (*set_threads)(int);       // called once, before the workload
  std::string (*blas_kernels)();  // called once, after set_threads
  std::vector<Workload> workloads;
};

// Runs `command` to its end and returns its exit code, 128 + signal when a signal ended it.
// Throws std::system_error when it cannot be started.
inline int run_process(const std::vector<std::string>& command) {
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  pid_t pid = 0;
  if (const int error = posix_spawn(&pid, argv[0], nullptr, nullptr, argv.data(), environ)) {
    throw std::system_error(error, std::generic_category(), "cannot start " + command[0]);
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Folder of the running program; other programs of the build stand beside it.
inline std::filesystem::path program_folder() {
  return std::filesystem::read_symlink("/proc/self/exe").parent_path();
}

// W9: runs `child` over and over and reports the wall time of the whole process, and its peak
// memory, which it prints when called with --peak.
inline void report_startup(const Run& run, const std::string& child) {
  double peak = 0;
  FILE* pipe = popen(("'" + child + "' --peak").c_str(), "r");
  if (pipe == nullptr || std::fscanf(pipe, "%lf", &peak) != 1 || pclose(pipe) != 0) {
    throw std::runtime_error(child + " --peak did not print its peak memory");
  }
  const Timing timing = measure(
      [&] {
        if (run_process({child}) != 0) throw std::runtime_error(child + " failed");
      },
      run.seconds);
  report(run, "startup", "ms", timing.median * 1e3, timing.min * 1e3,
         {{"child_peak_rss_mb", peak}});
}

// The main function of a benchmark program. Exit code 0, 1 when a workload fails, 2 on wrong usage.
inline int run_program(int argc, char** argv, const Program& program) {
  const auto names = [&] {
    std::string all;
    for (const Workload& w : program.workloads) all += (all.empty() ? "" : " ") + w.name;
    return all;
  };
  const auto usage = [&](const std::string& what) {
    std::fprintf(stderr,
                 "%s\nusage: %s WORKLOAD... [--threads N] [--seconds S] [--list]\nworkloads: %s\n",
                 what.c_str(), argv[0], names().c_str());
    return 2;
  };

  Run run{.impl = program.impl, .blas = {}, .threads = 1, .seconds = 2};
  std::vector<const Workload*> chosen;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--list") {
      for (const Workload& w : program.workloads) std::puts(w.name.c_str());
      return 0;
    }
    if (word == "--threads" || word == "--seconds") {
      const std::string_view value = i + 1 < argc ? argv[++i] : "";
      const char* end = value.data() + value.size();
      const auto parsed = word == "--threads" ? std::from_chars(value.data(), end, run.threads)
                                              : std::from_chars(value.data(), end, run.seconds);
      if (parsed.ec != std::errc{} || parsed.ptr != end || run.threads < 1 || !(run.seconds > 0)) {
        return usage(std::string(word) + " needs a number above zero, not '" + std::string(value) +
                     "'");
      }
      continue;
    }
    const auto found = std::find_if(program.workloads.begin(), program.workloads.end(),
                                    [&](const Workload& w) { return w.name == word; });
    if (found == program.workloads.end()) {
      return usage("unknown workload '" + std::string(word) + "'");
    }
    chosen.push_back(&*found);
  }
  if (chosen.empty()) return usage("no workload named");

  try {
    if (chosen.size() == 1) {
      program.set_threads(run.threads);
      run.blas = program.blas_kernels();
      chosen[0]->run(run);
      return 0;
    }
    int worst = 0;
    for (const Workload* w : chosen) {
      worst = std::max(
          worst, run_process({"/proc/self/exe", w->name, "--threads", std::to_string(run.threads),
                              "--seconds", number(run.seconds)}));
    }
    return worst == 0 ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}

}  // namespace retrace::bench
