// A program that builds, trains, saves and loads, in which each request for memory fails once.
#include <doctest/doctest.h>

#include <sys/wait.h>
#include <unistd.h>

#include <exception>
#include <filesystem>
#include <new>

#include <fmt/format.h>

#include <retrace/retrace.h>
#include <retrace/tensor/file.h>
#include <retrace/tests/figures.h>
#include <retrace/tests/files.h>
#include <retrace/tests/heap/heap.h>
#include <retrace/tests/heap/one_thread.h>
#include <retrace/train/checkpoint.h>

using namespace retrace;
using namespace retrace::testing;
namespace fs = std::filesystem;

namespace {

void train_save_load(const std::string& folder) {
  manual_seed(1);
  nn::Sequential model{nn::Linear(3, 4), nn::Tanh(), nn::Linear(4, 2)};
  optim::Adam optimizer(model.parameters(), {.lr = 0.1});
  train::CheckpointParts parts;
  parts.add("model", model);
  parts.add("optimizer", optimizer);
  for (int step = 0; step < 3; ++step) {
    optimizer.zero_grad();
    losses::cross_entropy(model(randn({5, 3})), tensor({0, 1, 1, 0, 1})).backward();
    optimizer.step();
  }
  const train::CheckpointFolder run(folder);
  run.save(3, parts.state_dict(), {{"seed", "1"}});
  const auto newest = run.newest();
  if (newest->step != 3) throw ValueError("the newest checkpoint is not the one just saved");
  parts.load_state_dict(newest->state);
}

class Run {
 public:
  Run() : path(folder_ / "run") {
    use_one_thread();
    // OpenBLAS ends the process when it gets no memory: its buffers are there before any fails.
    static_cast<void>(ones({50, 50}).matmul(ones({50, 50})));
    const train::CheckpointFolder run(path);
    run.save(1, {{"w", ones({3})}}, {});
    before_ = contents_of(run.checkpoint_path(1));
  }
  // The checkpoint of before is as it was; of the one that was being saved there is all or nothing,
  // and no temporary file is left.
  bool is_sound() const {
    const train::CheckpointFolder run(path);
    for (const std::string& name : names_in_folder(path)) {
      if (!name.starts_with("checkpoint-")) return false;
    }
    if (fs::exists(run.checkpoint_path(3))) load_safetensors(run.checkpoint_path(3));
    return contents_of(run.checkpoint_path(1)) == before_;
  }
  void forget_the_new_one() const { fs::remove(train::CheckpointFolder(path).checkpoint_path(3)); }

 private:
  TemporaryFolder folder_;
  std::string before_;

 public:
  const std::string path;
};

enum class End { succeeded, refused, strange, passed };  // `passed`: there are not as many requests

// Of train_save_load, in which a request fails.
End end_of(const Run& run, long request, bool lasting) {
  heap::fail_at(request, lasting);
  End end = End::refused;
  try {
    train_save_load(run.path);
    end = End::succeeded;
  } catch (const Error&) {
  } catch (const std::bad_alloc&) {
  } catch (...) {
    end = End::strange;
  }
  const bool failed = heap::stop_failing();
  return failed ? end : End::passed;
}

// What one process after the other does for the first time.
void fail_each_at_first(bool lasting) {
  const Run run;
  long well = 0, all = 0;
  for (long request = 1;; ++request) {
    run.forget_the_new_one();
    std::cout.flush();
    const pid_t child = ::fork();
    if (child == 0) {
      const End end = end_of(run, request, lasting);
      if (end == End::passed) ::_exit(2);
      train_save_load(run.path);
      ::_exit(end != End::strange && run.is_sound() ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 2) break;
    CHECK_MESSAGE(status == 0, "request " << request << " fails: status " << status);
    ++all;
    well += status == 0;
  }
  CHECK(all > 1000);
  figure("R71",
         lasting ? "from each request for memory of a new process on, all fail"
                 : "each request for memory of a new process fails",
         of(well, all) + " end in an exception or do without, and all works once there is memory",
         well == all);
}

// In a process that ran before, where whatever is left in use is lost.
void fail_each(bool lasting) {
  const Run run;
  train_save_load(run.path);
  long all = 0, refused = 0, succeeded = 0, leaking = 0, sound = 0;
  for (long request = 1;; ++request) {
    run.forget_the_new_one();
    const long blocks = heap::blocks_in_use();
    const End end = end_of(run, request, lasting);
    if (end == End::passed) break;
    const long left = heap::blocks_in_use() - blocks;
    const bool is_sound = run.is_sound();
    CHECK_MESSAGE((left == 0 && is_sound && end != End::strange),
                  "request " << request << " fails, which leaves " << left << " blocks");
    ++all;
    refused += end == End::refused;
    succeeded += end == End::succeeded;
    leaking += left != 0;
    sound += is_sound;
  }
  CHECK(all > 1000);
  figure("R71", lasting ? "from each request for memory on, all fail" : "each request fails once",
         fmt::format("{} failures: {} exceptions, {} do without, {} leak, the checkpoint of "
                     "before is whole after {}",
                     all, refused, succeeded, leaking, sound),
         refused + succeeded == all && leaking == 0 && sound == all);
}

}  // namespace

TEST_CASE("in a new process, a request that fails leaves nothing half made") {
  fail_each_at_first(false);
}
TEST_CASE("in a new process, requests that all fail from one on leave nothing half made") {
  fail_each_at_first(true);
}
TEST_CASE("in a process that ran before, a request that fails leaves nothing in use") {
  fail_each(false);
}
TEST_CASE("in a process that ran before, requests that all fail leave nothing in use") {
  fail_each(true);
}
