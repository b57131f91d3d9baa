// Places that cannot be saved to or loaded from: refused at once, in words.
#include <doctest/doctest.h>

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <functional>

#include <retrace/data/data.h>
#include <retrace/retrace.h>
#include <retrace/tests/faults/saves.h>
#include <retrace/tests/figures.h>
#include <retrace/tests/files.h>
#include <retrace/train/saved_model.h>

using namespace retrace;
using namespace retrace::testing;
namespace fs = std::filesystem;

namespace {

struct Access {
  const char* name;
  std::function<void(const std::string& path)> call;
};

const std::vector<Access> kLoads = {
    {"load_safetensors", [](const std::string& path) { load_safetensors(path); }},
    {"load_npy", [](const std::string& path) { load_npy(path); }},
    {"read_idx", [](const std::string& path) { data::read_idx(path); }},
    {"read_csv", [](const std::string& path) { data::read_csv(path); }},
    {"read_text", [](const std::string& path) { data::read_text(path); }},
    {"read_conversations", [](const std::string& path) { data::read_conversations(path); }},
    {"Tokenizer::load", [](const std::string& path) { data::Tokenizer::load(path); }},
    {"SavedModel", [](const std::string& path) { train::SavedModel{path}; }},
};

const std::vector<Access> kSaves = {
    {"save_safetensors", [](const std::string& path) { save_safetensors(path, state_of(2)); }},
    {"save_npy", [](const std::string& path) { save_npy(path, ones({3})); }},
    {"write_idx", [](const std::string& path) { data::write_idx(path, ones({3})); }},
    {"write_gzip", [](const std::string& path) { data::write_gzip(path, "text"); }},
    {"CheckpointFolder",
     [](const std::string& path) { train::CheckpointFolder(path).save(2, state_of(2), {}); }},
};

struct Count {
  int refused = 0, all = 0;
};

/// The call is refused within a second, in one line that begins with the path.
void check_refused_at_once(const Access& access, const std::string& path, Count& count) {
  const auto begin = std::chrono::steady_clock::now();
  std::string message;
  try {
    access.call(path);
  } catch (const Error& error) {
    message = error.what();
  }
  const auto taken = std::chrono::steady_clock::now() - begin;
  INFO(access.name << " " << path << ": " << message);
  const bool good = message.starts_with(path) && message.find('\n') == std::string::npos &&
                    taken < std::chrono::seconds(1);
  CHECK(good);
  ++count.all;
  count.refused += good;
}

/// What f() counts in a process that is not root, which may read and write everywhere.
Count as_somebody(const std::function<Count()>& f) {
  int results[2];
  REQUIRE(::pipe(results) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    Count count;
    if (::geteuid() != 0 || (::setgid(65534) == 0 && ::setuid(65534) == 0)) count = f();
    ::_exit(::write(results[1], &count, sizeof count) == sizeof count ? 0 : 1);
  }
  Count count;
  CHECK(::read(results[0], &count, sizeof count) == sizeof count);
  ::waitpid(child, nullptr, 0);
  ::close(results[0]);
  ::close(results[1]);
  return count;
}

/// A file system of a MiB in the folder, if this process may mount one.
class SmallDisk {
 public:
  explicit SmallDisk(std::string folder) : folder_(std::move(folder)) {
    fs::create_directory(folder_);
    mounted_ = ::mount("tmpfs", folder_.c_str(), "tmpfs", 0, "size=1m") == 0;
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.c_str(), MNT_DETACH);
  }
  bool is_mounted() const { return mounted_; }

 private:
  std::string folder_;
  bool mounted_ = false;
};

}  // namespace

TEST_CASE("a full disk, and places that are no files, are refused at once") {
  const TemporaryFolder folder;
  Count count;
  REQUIRE(::mkfifo((folder / "fifo").c_str(), 0600) == 0);
  fs::create_symlink("loop", folder / "loop");
  const std::string file = folder.put("file", "x");
  for (const std::string& path :
       {folder / "missing/file", folder / "fifo", folder / "loop", file + "/below",
        std::string("/dev/zero"), std::string("/dev/full")}) {
    for (const Access& load : kLoads) check_refused_at_once(load, path, count);
    for (const Access& save : kSaves) check_refused_at_once(save, path, count);
  }
  // A folder is where a run and a tokenizer belong, and nothing else.
  for (const Access& load : kLoads) {
    check_refused_at_once(load, folder.path(), count);
    check_refused_at_once(load, folder / "missing", count);
  }
  for (std::size_t i = 0; i + 1 < kSaves.size(); ++i)
    check_refused_at_once(kSaves[i], folder.path(), count);

  fs::create_directory(folder / "locked");
  std::ofstream(folder / "locked/file") << "x";
  fs::permissions(folder / "locked/file", fs::perms::none);
  fs::permissions(folder / "locked", fs::perms::owner_read | fs::perms::owner_exec |
                                         fs::perms::others_read | fs::perms::others_exec);
  fs::permissions(folder.path(), fs::perms::all);
  const Count locked = as_somebody([&] {
    Count result;
    for (const Access& load : kLoads) check_refused_at_once(load, folder / "locked/file", result);
    for (const Access& save : kSaves) check_refused_at_once(save, folder / "locked/new", result);
    return result;
  });
  CHECK(locked.all == static_cast<int>(kLoads.size() + kSaves.size()));
  CHECK(locked.refused == locked.all);
  CHECK(contents_of(file) == "x");
  figure("R33", "places that cannot be read or written",
         of(count.refused + locked.refused, count.all + locked.all) +
             " calls refused in one line with the path, within a second",
         count.refused + locked.refused == count.all + locked.all);
}

TEST_CASE("a disk of a MiB that becomes full keeps the old files") {
  const TemporaryFolder folder;
  const std::string disk = folder / "disk";
  const SmallDisk small(disk);
  if (!small.is_mounted()) {
    // tests/tensor/file_test.cpp does it with a limit on the size of files.
    MESSAGE("a tmpfs of 1 MiB is skipped: this user may not mount one");
    return;
  }
  const std::string model = disk + "/model.safetensors";
  const StateDict large = {{"w", zeros({500'000})}};  // 2 MB
  save_safetensors(model, state_of(1));
  const train::CheckpointFolder run(disk + "/run");
  run.save(1, state_of(1), {});
  const std::string before = contents_of(model);

  const std::string message = message_of<IoError>([&] { save_safetensors(model, large); });
  CHECK(message == model + ": cannot write: No space left on device");
  CHECK(says(message_of<train::WriteError>([&] { run.save(2, large, {}); }),
             run.checkpoint_path(2) + ": cannot write: No space left on device"));
  const bool kept = contents_of(model) == before && run.newest()->step == 1;
  CHECK(kept);
  for (const Access& save : {kSaves[1], kSaves[2]}) {
    INFO(save.name);
    const std::string path = disk + "/other";
    std::ofstream(disk + "/filling") << std::string(2 << 20, 'x');
    Count count;
    check_refused_at_once(save, path, count);
    CHECK_FALSE(fs::exists(path));
    fs::remove(disk + "/filling");
  }
  // Nothing but what was there, and there is room again.
  CHECK(std::distance(fs::directory_iterator(disk), {}) == 2);
  CHECK(std::distance(fs::directory_iterator(run.path()), {}) == 1);
  save_safetensors(model, state_of(2));
  run.save(2, state_of(2), {});
  CHECK(run.newest()->step == 2);
  figure("R33", "saving into a tmpfs of 1 MiB",
         "no space left on device, said in one line; old file and checkpoint whole", kept);
}
