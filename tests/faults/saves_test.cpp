// Saves that are killed, or whose system calls fail, one after the other.
#include <doctest/doctest.h>

#include <cerrno>
#include <csignal>
#include <set>
#include <system_error>

#include <retrace/tests/faults/disturbed.h>
#include <retrace/tests/figures.h>

using namespace retrace::testing;

namespace {

const std::vector<std::string> kSaves = {"tensors", "run", "first run"};

}  // namespace

TEST_CASE("a save that is killed at any system call leaves the old or the new file") {
  int boundaries = 0, whole = 0, torn = 0;
  for (const std::string& what : kSaves) {
    DisturbedSave save(what);
    REQUIRE(save.calls().size() > 10);
    REQUIRE(save.output() == "saved\nsaved elsewhere\n");
    REQUIRE(save.files() == save.new_files());
    const auto kill = [&](std::size_t at, const char* how) {
      save.restore();
      save.run({at, how});
      INFO(what << " " << how << " at call " << at << ", " << save.calls()[at - 1].name << " "
                << save.calls()[at - 1].path);
      CHECK(save.code() == -SIGKILL);
      const bool good = save.is_whole() && save.ends_well();
      CHECK(good);
      ++boundaries;
      whole += good;
    };
    for (std::size_t at = 1; at <= save.calls().size(); ++at) {
      kill(at, "kill");
      if (save.calls()[at - 1].name != "write") continue;
      kill(at, "torn");
      ++torn;
    }
  }
  figure("R30", "kill at every system call of a save, and in the middle of every write",
         of(whole, boundaries) + " boundaries leave the old or the new file whole (" +
             std::to_string(torn) + " within a write)",
         whole == boundaries);
}

namespace {

// Calls that serve comfort only: a save goes on without.
const std::set<std::string> kBestEffort = {"fchmod", "flock"};
// Of closing, only that of the written file is asked; of listing, not that of what may be cleared.
const std::set<std::string> kEither = {"close", "opendir"};
// Those that a signal interrupts.
const std::set<std::string> kInterruptible = {"open", "write", "fsync", "close", "flock"};

// Checks what is left after call number `at` failed; true if that is as it should be.
bool check_failed(DisturbedSave& save, std::size_t at, const std::string& how) {
  const SystemCall& call = save.calls()[at - 1];
  save.restore();
  save.run({at, how});
  INFO(call.name << " " << call.path << " fails with " << how << ": " << save.output());
  const bool is_retried = how == "short" || how == std::to_string(EINTR);
  const bool goes_on = is_retried || kBestEffort.contains(call.name);
  const bool refused = says(save.output(), "refused ");
  bool good = save.code() == 0 && says(save.output(), "saved elsewhere\n") && save.is_whole();
  if (refused) {
    const std::string reason = std::generic_category().message(std::atoi(how.c_str()));
    good = good && !goes_on && says(save.output(), "refused " + save.folder() + "/") &&
           says(save.output(), ": cannot ") && says(save.output(), ": " + reason + "\n");
    // Nothing was left lying about, and what did not change says so.
    for (const auto& [path, contents] : save.files())
      good = good && (save.old_files().contains(path) || save.new_files().contains(path));
    const bool only_synced = says(save.output(), "the new file is in place");
    if (save.old_files().size() == 1)
      good = good && save.files() == (only_synced ? save.new_files() : save.old_files());
  } else {
    good = good && (goes_on || kEither.contains(call.name)) && save.files() == save.new_files();
  }
  good = good && save.ends_well();
  CHECK(good);
  return good;
}

}  // namespace

TEST_CASE("a save whose system calls fail says which, and leaves the old file") {
  int faults = 0, right = 0, refused_closes = 0;
  for (const std::string& what : kSaves) {
    DisturbedSave save(what);
    for (std::size_t at = 1; at <= save.calls().size(); ++at) {
      const std::string& name = save.calls()[at - 1].name;
      std::vector<std::string> ways;
      for (const int error : {EIO, ENOSPC, EDQUOT}) ways.push_back(std::to_string(error));
      if (kInterruptible.contains(name)) ways.push_back(std::to_string(EINTR));
      if (name == "write") ways.push_back("short");
      for (const std::string& how : ways) {
        right += check_failed(save, at, how);
        refused_closes += name == "close" && says(save.output(), "refused ");
        ++faults;
      }
    }
  }
  CHECK(refused_closes >= 3 * 3);  // one of the tensors, two of the run
  figure("R32", "EIO, ENOSPC, EDQUOT, EINTR and short writes at every system call of a save",
         of(right, faults) +
             " are retried or refused with path, step and reason, the old file as it was",
         right == faults);
}
