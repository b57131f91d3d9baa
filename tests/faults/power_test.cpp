// A power failure in the middle of a save: what was not synced may have reached the disk or not.
#include <doctest/doctest.h>

#include <filesystem>
#include <functional>
#include <set>

#include <fmt/format.h>

#include <retrace/tests/faults/disturbed.h>
#include <retrace/tests/figures.h>

using namespace retrace::testing;

namespace {

struct Operation {
  std::string call, path, to, bytes;
};

// Paths are relative to `folder`; the folder itself is ".".
std::vector<Operation> operations_of(const std::string& record, const std::string& folder) {
  std::vector<Operation> all;
  std::istringstream in(record);
  std::size_t count = 0;
  for (Operation op; in >> op.call >> count >> op.path >> op.to;) {
    in.ignore();
    op.bytes.resize(count);
    in.read(op.bytes.data(), static_cast<std::streamsize>(count));
    for (std::string* path : {&op.path, &op.to})
      *path = std::filesystem::path(*path).lexically_relative(folder).string();
    all.push_back(op);
  }
  return all;
}

enum class Fate { lost, half, zeros, whole };

// A disk to which everything is appended. What was synced is there after a power failure; of each
// write since then nothing, half, a hole of its length, or all; of each change of a name since its
// folder was synced, nothing or all.
class Disk {
 public:
  explicit Disk(const Files& files) {
    for (const auto& [path, contents] : files) {
      names_[path] = synced_names_[path] = synced_.size();
      synced_.push_back(contents);
    }
  }

  void run(const Operation& op) {
    if (op.call == "create") {
      names_[op.path] = synced_.size();
      changes_.push_back({op.path, "", synced_.size()});
      synced_.emplace_back();
    } else if (op.call == "mkdir") {
      made_.insert(op.path);
      changes_.push_back({op.path, "", kFolder});
    } else if (op.call == "write") {
      writes_.push_back({names_.at(op.path), op.bytes});
    } else if (op.call == "rename") {
      names_[op.to] = names_.at(op.path);
      names_.erase(op.path);
      changes_.push_back({op.to, op.path, names_.at(op.to)});
    } else if (op.call == "remove") {
      names_.erase(op.path);
      changes_.push_back({"", op.path, 0});
    } else if (op.call == "sync" && names_.contains(op.path)) {
      const std::size_t file = names_.at(op.path);
      std::erase_if(writes_, [&](const Write& write) {
        if (write.file == file) synced_[file] += write.bytes;
        return write.file == file;
      });
    } else if (op.call == "sync") {
      std::erase_if(changes_, [&](const Change& change) {
        const bool here = folder_of(change.to.empty() ? change.from : change.to) == op.path;
        if (here) change.make(synced_names_);
        return here;
      });
    } else {
      FAIL("the disk knows no " << op.call);
    }
  }

  /// Calls f(files) for each state that a power failure may leave.
  void each_state(const std::function<void(const Files&)>& f) const {
    REQUIRE(writes_.size() <= 6);
    REQUIRE(changes_.size() <= 6);
    for (std::size_t fates = 0; fates < std::size_t{1} << 2 * writes_.size(); ++fates) {
      std::vector<std::string> contents = synced_;
      std::vector<std::string> holes(contents.size());  // lost, unless something comes behind
      for (std::size_t i = 0; i < writes_.size(); ++i) {
        const auto& [file, bytes] = writes_[i];
        const auto fate = static_cast<Fate>(fates >> 2 * i & 3);
        if (fate == Fate::lost) {
          holes[file].append(bytes.size(), '\0');
          continue;
        }
        contents[file] += std::exchange(holes[file], "");
        if (fate == Fate::whole) contents[file] += bytes;
        if (fate == Fate::zeros) contents[file].append(bytes.size(), '\0');
        if (fate == Fate::half) {
          contents[file] += bytes.substr(0, bytes.size() / 2);
          holes[file].append(bytes.size() - bytes.size() / 2, '\0');
        }
      }
      for (std::size_t done = 0; done < std::size_t{1} << changes_.size(); ++done) {
        std::map<std::string, std::size_t> names = synced_names_;
        for (std::size_t i = 0; i < changes_.size(); ++i) {
          if ((done >> i & 1) != 0) changes_[i].make(names);
        }
        Files files;
        for (const auto& [path, file] : names) {
          const std::string folder = folder_of(path);
          if (file != kFolder && (!made_.contains(folder) || names.contains(folder)))
            files[path] = contents[file];
        }
        f(files);
      }
    }
  }

 private:
  // In place of the number of a file.
  static constexpr auto kFolder = static_cast<std::size_t>(-1);
  struct Write {
    std::size_t file;
    std::string bytes;
  };
  struct Change {
    std::string to, from;  // either may be empty
    std::size_t file;
    void make(std::map<std::string, std::size_t>& names) const {
      if (!from.empty()) names.erase(from);
      if (!to.empty()) names[to] = file;
    }
  };
  static std::string folder_of(const std::string& path) {
    const std::string folder = std::filesystem::path(path).parent_path().string();
    return folder.empty() ? "." : folder;
  }

  std::vector<std::string> synced_;                          // contents, by number of file
  std::map<std::string, std::size_t> names_, synced_names_;  // path -> number of file
  std::vector<Write> writes_;                                // not synced, in order
  std::vector<Change> changes_;                              // not synced, in order
  std::set<std::string> made_;                               // folders
};

bool holds_all(const Files& files, const Files& wanted) {
  return std::includes(files.begin(), files.end(), wanted.begin(), wanted.end());
}

}  // namespace

TEST_CASE("a power failure in a save leaves the old or the new file, and after it the new one") {
  std::int64_t states = 0, whole = 0, after = 0, prefixes = 0, broken = 0;
  for (const char* what : {"tensors", "run", "first run"}) {
    const DisturbedSave save(what);
    const std::vector<Operation> operations = operations_of(save.record(), save.folder());
    Disk disk(save.old_files());
    for (std::size_t done = 0;; ++done) {
      ++prefixes;
      INFO(what << " after " << done << " of " << operations.size() << " operations");
      disk.each_state([&](const Files& files) {
        save.put(files);
        bool good = save.is_whole();
        // What the save returned from is there to stay.
        if (done == operations.size()) {
          good = good && holds_all(files, save.new_files());
          ++after;
        }
        CHECK(good);
        ++states;
        whole += good;
      });
      // The next save does not stumble over what is left.
      CHECK(save.ends_well());
      if (done == operations.size()) break;
      disk.run(operations[done]);
    }
  }
  // The same save, had it not synced its file.
  {
    const DisturbedSave save("tensors");
    Disk disk(save.old_files());
    for (const Operation& op : operations_of(save.record(), save.folder())) {
      if (op.call != "sync" || op.path == ".") disk.run(op);
    }
    disk.each_state([&](const Files& files) {
      save.put(files);
      broken += !save.is_whole();
    });
  }
  CHECK(broken > 0);
  CHECK(states > 1000);
  figure("R31", "a power failure after each write, sync and renaming of a save",
         fmt::format("{} states of the disk at {} moments hold the old or the new file whole, the "
                     "{} after the save the new one ({} of a save without sync are found broken)",
                     of(whole, states), prefixes, after, broken),
         whole == states && broken > 0);
}
