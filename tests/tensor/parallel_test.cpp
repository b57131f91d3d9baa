#include <retrace/tensor/parallel.h>

#include <doctest/doctest.h>

#if defined(__linux__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include <atomic>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <mutex>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <retrace/tensor/error.h>

namespace {

struct Threads {
  explicit Threads(int n) : before(retrace::num_threads()) { retrace::set_num_threads(n); }
  ~Threads() { retrace::set_num_threads(before); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;
  int before;
};

TEST_CASE("every index is visited once, inner boundaries are multiples of the grain") {
  for (const int threads : {1, 2, 3, 7}) {
    const Threads scope(threads);
    for (const int64_t n : {0, 1, 2, 9, 10, 11, 99, 100, 101, 1000, 12345}) {
      for (const int64_t grain : {1, 3, 10, 64, 1000, 100000}) {
        std::vector<std::atomic<int>> visits(static_cast<size_t>(n));
        std::atomic<bool> aligned{true};
        retrace::parallel_for(n, grain, [&](int64_t begin, int64_t end) {
          if (begin % grain != 0 || (end % grain != 0 && end != n) || begin >= end) aligned = false;
          for (int64_t i = begin; i < end; ++i) ++visits[static_cast<size_t>(i)];
        });
        CHECK(aligned);
        int64_t once = 0;
        for (const auto& count : visits) once += count == 1;
        CHECK(once == n);
      }
    }
  }
}

TEST_CASE("small work stays on the calling thread as one range") {
  const Threads scope(4);
  int calls = 0;
  std::thread::id thread;
  retrace::parallel_for(1000, 1000, [&](int64_t begin, int64_t end) {
    ++calls;
    thread = std::this_thread::get_id();
    CHECK(begin == 0);
    CHECK(end == 1000);
  });
  CHECK(calls == 1);
  CHECK(thread == std::this_thread::get_id());
}

TEST_CASE("chunks are the same with any number of threads") {
  for (const int threads : {1, 2, 5}) {
    const Threads scope(threads);
    std::vector<double> partial(100);
    retrace::parallel_chunks(100, [&](int64_t chunk) {
      partial[static_cast<size_t>(chunk)] += 1.0 / static_cast<double>(chunk + 1);
    });
    for (size_t i = 0; i < partial.size(); ++i) {
      REQUIRE(partial[i] == 1.0 / static_cast<double>(i + 1));
    }
  }
}

TEST_CASE("an exception reaches the caller, and the threads live on") {
  for (const int threads : {1, 2, 4}) {
    const Threads scope(threads);
    for (int round = 0; round < 20; ++round) {
      CHECK_THROWS_WITH_AS(retrace::parallel_chunks(64,
                                                    [](int64_t chunk) {
                                                      if (chunk % 7 == 3) {
                                                        throw std::runtime_error("chunk");
                                                      }
                                                    }),
                           "chunk", std::runtime_error);
    }
    std::atomic<int64_t> sum{0};
    retrace::parallel_chunks(64, [&](int64_t chunk) { sum += chunk; });
    CHECK(sum == 64 * 63 / 2);
    CHECK_FALSE(retrace::in_parallel_region());
  }
}

TEST_CASE("nested calls run serially") {
  const Threads scope(2);
  std::atomic<int> inner_calls{0};
  std::atomic<int> outside{0};
  retrace::parallel_chunks(8, [&](int64_t) {
    const auto self = std::this_thread::get_id();
    if (!retrace::in_parallel_region()) ++outside;
    retrace::parallel_for(1 << 20, 1, [&](int64_t begin, int64_t end) {
      if (begin == 0 && end == 1 << 20 && std::this_thread::get_id() == self) ++inner_calls;
    });
  });
  CHECK(inner_calls == 8);
  CHECK(outside == 0);
}

TEST_CASE("parallel calls from several threads at once") {
  const Threads scope(2);
  std::atomic<int64_t> total{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 4; ++t) {
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        retrace::parallel_chunks(10, [&](int64_t chunk) { total += chunk; });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(total == 4 * 50 * 45);
}

TEST_CASE("the number of threads") {
  CHECK(retrace::num_threads() >= 1);
  const Threads scope(3);
  CHECK(retrace::num_threads() == 3);
  CHECK_THROWS_AS(retrace::set_num_threads(0), retrace::ValueError);
  CHECK_THROWS_AS(retrace::set_num_threads(-2), retrace::ValueError);
  CHECK(retrace::num_threads() == 3);
}

TEST_CASE("more callers at once than the pool has room for") {
  const Threads scope(3);
  std::atomic<int64_t> total{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 24; ++t) {
    callers.emplace_back([&] {
      for (int round = 0; round < 20; ++round) {
        retrace::parallel_chunks(10, [&](int64_t chunk) {
          if (round % 5 == 0) std::this_thread::yield();
          total += chunk;
        });
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(total == 24 * 20 * 45);
}

TEST_CASE("an exception of one caller does not reach another") {
  const Threads scope(3);
  std::atomic<int> caught{0}, whole{0};
  std::vector<std::thread> callers;
  for (int t = 0; t < 6; ++t) {
    callers.emplace_back([&, t] {
      for (int round = 0; round < 50; ++round) {
        std::atomic<int> ran{0};
        try {
          retrace::parallel_chunks(8, [&](int64_t chunk) {
            if (t % 2 == 0 && chunk == 5) throw std::runtime_error("chunk");
            ++ran;
          });
          whole += ran == 8 ? 1 : 0;
        } catch (const std::runtime_error&) {
          ++caught;
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  CHECK(caught == 150);
  CHECK(whole == 150);
}

TEST_CASE("the number of threads changes while calls run") {
  const Threads scope(2);
  std::atomic<bool> stop{false};
  std::thread changes([&] {
    for (int n = 0; !stop; n = (n + 1) % 5) {
      retrace::set_num_threads(n + 1);
      std::this_thread::yield();
    }
  });
  int64_t wrong = 0;
  for (int round = 0; round < 2000; ++round) {
    std::atomic<int64_t> sum{0};
    retrace::parallel_chunks(20, [&](int64_t chunk) { sum += chunk; });
    wrong += sum == 190 ? 0 : 1;
  }
  stop = true;
  changes.join();
  CHECK(wrong == 0);
}

#if defined(__linux__)
int threads_of_process() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "Threads:") continue;
    int count = 0;
    status >> count;
    return count;
  }
  return -1;
}

// Whether the process comes to have `count` threads.
bool has_threads(int count) {
  for (int tries = 0; tries < 2000 && threads_of_process() != count; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return threads_of_process() == count;
}

// What a fresh process does with the pool; the number of the first thing that is wrong.
int use_pool_in_child() {
  const auto sum = [] {
    std::atomic<int64_t> total{0};
    retrace::parallel_chunks(64, [&](int64_t chunk) { total += chunk; });
    return total.load();
  };
  if (threads_of_process() != 1) return 1;
  retrace::set_num_threads(1);
  if (sum() != 64 * 63 / 2 || threads_of_process() != 1) return 2;
  retrace::set_num_threads(4);
  if (threads_of_process() != 1) return 3;
  if (sum() != 64 * 63 / 2 || !has_threads(4)) return 4;
  retrace::set_num_threads(2);
  if (!has_threads(2) || sum() != 64 * 63 / 2) return 5;
  retrace::set_num_threads(1);
  return has_threads(1) && sum() == 64 * 63 / 2 ? 0 : 6;
}

#if !defined(__SANITIZE_THREAD__)  // forbids threads after a fork
TEST_CASE("threads start with the first parallel call and leave; a forked child starts afresh") {
  const Threads scope(3);
  retrace::parallel_chunks(64, [](int64_t) {});
  std::atomic<bool> stop{false};
  std::thread busy([&] {
    while (!stop) retrace::parallel_chunks(64, [](int64_t) {});
  });
  for (int round = 0; round < 20; ++round) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(60);
      _exit(use_pool_in_child());
    }
    REQUIRE(child > 0);
    int status = -1;
    REQUIRE(waitpid(child, &status, 0) == child);
    CHECK(status == 0);
  }
  stop = true;
  busy.join();
}
#endif
#endif

}  // namespace
