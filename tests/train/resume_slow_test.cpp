// The same bits, however a run came about: twice, on one thread or two, killed and resumed.
// RETRACE_KILLS says how many runs are killed; a thousand take half an hour.
#include <doctest/doctest.h>

#include <cstdlib>
#include <random>

#include <fmt/format.h>

#include <retrace/tests/figures.h>
#include <retrace/tests/train/process.h>
#include <retrace/train/checkpoint.h>

using namespace retrace::testing;

namespace {

// A task that draws on everything a checkpoint keeps: shuffled epochs, dropout, momentum, a rate
// that changes.
class Killable {
 public:
  Killable() {
    std::string text = "x,y,kind\n";
    for (int i = 0; i < 300; ++i) {
      text += std::to_string(i * 37 % 101) + "," + std::to_string(i * 53 % 89) + "," +
              std::to_string(i * 7 % 3) + "\n";
    }
    data_ = folder_.put("data.csv", text);
  }

  std::string path(const std::string& run) const { return folder_ / run; }
  void remove(const std::string& run) const { std::filesystem::remove_all(path(run)); }
  std::string model(const std::string& run) const {
    return contents_of(folder_ / (run + "/model.safetensors"));
  }

  // Of the newest checkpoint; 0 without one.
  std::int64_t kept_step(const std::string& run) const {
    const std::vector<std::int64_t> steps = retrace::train::CheckpointFolder(path(run)).steps();
    return steps.empty() ? 0 : steps.front();
  }
  // Whether the last process began behind the step: one that began anew ends in the same bits.
  bool went_on_after(std::int64_t step) const {
    return says(contents_of(folder_ / "err"), fmt::format("going on after step {} of 400\n", step));
  }

  std::vector<std::string> arguments(const std::string& how, const std::string& run) const {
    return {"--data", data_, "--target", "kind",         "--steps", "400",    "--batch-size",
            "32",     how,   path(run),  "--save-every", "10",      "--seed", "5"};
  }

  int finish(std::vector<std::string> arguments) const {
    Process process(example("mlp_classifier"), std::move(arguments), folder_ / "out",
                    folder_ / "err");
    return process.wait();
  }

  // Whether the process ended by itself before the kill.
  bool kill_after(std::vector<std::string> arguments, std::chrono::microseconds delay) const {
    Process process(example("mlp_classifier"), std::move(arguments), folder_ / "out",
                    folder_ / "err");
    std::this_thread::sleep_for(delay);
    process.send(SIGKILL);
    const int code = process.wait();
    REQUIRE((code == 0 || code == -SIGKILL));  // no other end is one of the kill's
    return code == 0;
  }

 private:
  TemporaryFolder folder_;
  std::string data_;
};

}  // namespace

TEST_CASE("two runs, and one and two threads, give the same model file") {
  const Killable task;
  std::vector<std::string> models;
  for (const char* threads : {"1", "1", "2", "3"}) {
    const std::string run = "run" + std::to_string(models.size());
    auto arguments = task.arguments("--save", run);
    arguments.insert(arguments.end(), {"--threads", threads});
    REQUIRE(task.finish(arguments) == 0);
    models.push_back(task.model(run));
    REQUIRE(!models.back().empty());
    CHECK(models.back() == models.front());
  }
}

TEST_CASE("runs killed at random moments and resumed give the same model file, each of them") {
  const Killable task;
  const auto begin = std::chrono::steady_clock::now();
  REQUIRE(task.finish(task.arguments("--save", "whole")) == 0);
  const auto whole = std::chrono::duration_cast<std::chrono::microseconds>(
      std::chrono::steady_clock::now() - begin);
  const std::string model = task.model("whole");
  std::mt19937 random(1);
  std::uniform_int_distribution<std::int64_t> delay(0, whole.count());
  const char* wanted = std::getenv("RETRACE_KILLS");
  const int runs = wanted == nullptr ? 20 : std::atoi(wanted);
  REQUIRE(runs > 0);
  int same = 0, behind = 0;
  for (int i = 0; i < runs; ++i) {
    // Every run is killed at least once: a kill that came too late is tried again, earlier, afresh.
    std::string run;
    std::int64_t moment = delay(random);
    for (int attempt = 0;; ++attempt, moment /= 2) {
      run = "run" + std::to_string(i) + "-" + std::to_string(attempt);
      REQUIRE(attempt < 40);
      if (!task.kill_after(task.arguments("--resume", run), std::chrono::microseconds(moment)))
        break;
    }
    const auto resume = task.arguments("--resume", run);
    const std::int64_t first = task.kept_step(run);
    task.kill_after(resume, std::chrono::microseconds(delay(random)));
    const std::int64_t second = task.kept_step(run);
    CHECK(second >= first);
    bool went_on = first == 0 || second == first || task.went_on_after(first);
    REQUIRE(task.finish(resume) == 0);
    went_on = went_on && (second == 0 || task.went_on_after(second));
    CHECK(went_on);
    same += went_on && task.model(run) == model;
    behind += second > 0;
    task.remove(run);
  }
  CHECK(same == runs);
  CHECK(behind > runs / 2);
  figure("R23", "a run killed at random moments and resumed, to the same model file",
         of(same, runs) + fmt::format(", {} of them behind a checkpoint", behind),
         same == runs && behind > runs / 2);
}
