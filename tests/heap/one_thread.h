#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>

#include <retrace/tensor/parallel.h>

namespace retrace::testing {

/// From here on this thread works alone. The workers of what ran before end some time after they
/// are told to, and give memory back when they do: they are waited for.
inline void use_one_thread() {
  set_num_threads(1);
  const auto works = [] {
    for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
      std::ifstream file(thread.path() / "comm");  // unreadable: it has just ended
      if (std::string name; std::getline(file, name) && name == "retrace worker") return true;
    }
    return false;
  };
  for (int tries = 0; works(); ++tries) {
    if (tries == 10'000) throw std::runtime_error("workers do not end");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace retrace::testing
