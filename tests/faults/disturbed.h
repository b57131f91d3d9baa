#pragma once

// Saves by another process, disturbed by the shim, and what they leave behind.

#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <retrace/tests/faults/saves.h>
#include <retrace/tests/files.h>
#include <retrace/tests/train/process.h>

namespace retrace::testing {

/// Another program of build/tests.
inline std::string beside(const std::string& name) {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / name).string();
}

/// Path in the folder -> contents, of all files.
using Files = std::map<std::string, std::string>;

inline Files files_in(const std::string& folder) {
  Files files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file())
      files[entry.path().lexically_relative(folder).string()] = contents_of(entry.path().string());
  }
  return files;
}

/// One call that the saving program makes.
struct SystemCall {
  std::string name, path;
};

struct Disturbance {
  std::size_t at = 0;  ///< from 1; 0 for none
  std::string how;
};

/// A folder with the files of version 1, over which a process saves version 2; or, for "first run",
/// an empty one.
class DisturbedSave {
 public:
  explicit DisturbedSave(std::string what) : what_(std::move(what)) {
    std::filesystem::create_directory(root_ / "saves");
    if (!what_.starts_with("first")) old_ = made(1);
    new_ = made(2);
    restore();
    run({});
    std::istringstream log(contents_of(root_ / "log"));
    for (SystemCall call; log >> call.name >> call.path;) calls_.push_back(call);
  }

  const std::vector<SystemCall>& calls() const { return calls_; }
  const Files& old_files() const { return old_; }
  const Files& new_files() const { return new_; }
  Files files() const { return files_in(folder()); }
  std::string folder() const { return root_ / "saves"; }

  /// What changed while version 2 was saved undisturbed, as the shim records it.
  std::string record() const { return contents_of(root_ / "record"); }

  void restore() const { put(old_); }
  /// Makes the folder hold these files and no others.
  void put(const Files& files) const {
    std::filesystem::remove_all(folder());
    std::filesystem::create_directory(folder());
    for (const auto& [path, contents] : files) {
      std::filesystem::create_directories(
          std::filesystem::path(folder() + "/" + path).parent_path());
      std::ofstream(folder() + "/" + path, std::ios::binary) << contents;
    }
  }

  /// Saves version 2 in another process; what that did is in output() and code().
  void run(const Disturbance& disturbance) {
    const std::string elsewhere = root_ / "elsewhere";
    std::filesystem::remove_all(elsewhere);
    std::filesystem::create_directory(elsewhere);
    std::map<std::string, std::string> environment = {
        {"LD_PRELOAD", beside("libfaults_shim.so")},
        {"RETRACE_FAULTS_FOLDER", folder()},
        // The sanitizer wants to be loaded before all others, for which the shim leaves no place.
        {"ASAN_OPTIONS", "verify_asan_link_order=0"}};
    if (disturbance.at == 0) {
      environment["RETRACE_FAULTS_LOG"] = root_ / "log";
      environment["RETRACE_FAULTS_RECORD"] = root_ / "record";
    } else {
      environment["RETRACE_FAULTS_AT"] = std::to_string(disturbance.at);
      environment["RETRACE_FAULTS_HOW"] = disturbance.how;
    }
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
    Process process(beside("faults_saver"), {what_, folder(), elsewhere}, root_ / "out",
                    root_ / "err");
    for (const auto& [name, value] : environment) ::unsetenv(name.c_str());
    code_ = process.wait();
    output_ = contents_of(root_ / "out");
  }
  int code() const { return code_; }
  const std::string& output() const { return output_; }

  /// Each file is one of the two versions, to the last byte, and none is missing that both have;
  /// and what is loaded is whole. Other files, as a process leaves behind that is killed, do not
  /// count.
  bool is_whole() const {
    const Files now = files();
    for (const auto& [path, contents] : now) {
      const bool known = old_.contains(path) || new_.contains(path);
      if (known && !holds(old_, path, contents) && !holds(new_, path, contents)) return false;
    }
    for (const auto& [path, contents] : old_) {
      if (new_.contains(path) && !now.contains(path)) return false;
    }
    return old_.empty() || loads();
  }

  /// The undisturbed save after it leaves the new version and nothing else.
  bool ends_well() const {
    save(what_, folder(), 2);
    return files() == new_;
  }

 private:
  static bool holds(const Files& files, const std::string& path, const std::string& contents) {
    const auto file = files.find(path);
    return file != files.end() && file->second == contents;
  }

  Files made(std::int64_t version) const {
    save(what_, folder(), version);
    return files();
  }

  bool loads() const {
    if (what_ == "tensors") {
      const StateDict state = load_safetensors(folder() + "/model.safetensors");
      return is_version(state, state.at("step").item<std::int64_t>());
    }
    const auto newest = train::CheckpointFolder(folder() + "/run", 1).newest();
    return newest && is_version(newest->state, newest->step);
  }

  static bool is_version(const StateDict& state, std::int64_t version) {
    const StateDict whole = state_of(version);
    if ((version != 1 && version != 2) || state.size() != whole.size()) return false;
    for (const auto& [name, value] : whole) {
      if (!state.contains(name) || !state.at(name).equal(value)) return false;
    }
    return true;
  }

  TemporaryFolder root_;
  std::string what_, output_;
  Files old_, new_;
  std::vector<SystemCall> calls_;
  int code_ = 0;
};

}  // namespace retrace::testing
