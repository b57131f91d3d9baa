// Every seed, with changes by chance, and every input that ever broke something, through its
// target: what was mended stays so, in any kind of build.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <retrace/tests/figures.h>
#include <retrace/tests/files.h>
#include <retrace/tests/fuzz/replay.h>

namespace fs = std::filesystem;

namespace {

std::vector<fs::path> files_of(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

bool runs(const retrace::fuzz::Target& target, std::string_view contents) {
  // Of just this size on the heap: a sanitizer sees what is read beyond.
  const std::vector<char> input(contents.begin(), contents.end());
  try {
    target.run(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
    return true;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "  broken: %s, by the bytes ", error.what());
    for (const char c : input) std::fprintf(stderr, "%02x", static_cast<unsigned char>(c));
    std::fprintf(stderr, "\n");
    return false;
  }
}

// One to four changes of bytes, by chance: what ./fuzz does, without learning from it.
std::string changed(std::string text, std::mt19937& random) {
  const auto below = [&](std::size_t n) { return random() % n; };
  for (std::size_t changes = 1 + below(4); changes > 0 && !text.empty(); --changes) {
    const std::size_t at = below(text.size()),
                      size = 1 + below(std::min<std::size_t>(8, text.size()));
    switch (below(5)) {
      case 0:
        text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        break;
      case 1:
        text[at] = static_cast<char>(below(256));
        break;
      case 2:
        text.erase(at, size);
        break;
      case 3:
        text.insert(at, text.substr(below(text.size()), size));
        break;
      default:
        text.resize(at);
    }
  }
  return text;
}

// The promise that a target belongs to.
std::string row_of(std::string_view target) {
  if (target == "safetensors") return "R40";
  if (target == "jsonl") return "R41";
  return target == "tensors" ? "R43" : "R42";
}

struct Count {
  int inputs = 0, broken = 0;
};

// Each file as it is, and changed so often.
Count count_of(const retrace::fuzz::Target& target, const std::vector<fs::path>& files,
               int changes) {
  Count count;
  for (const fs::path& file : files) {
    // What ends the process is known by the last line.
    std::fprintf(stderr, "%s\n", file.c_str());
    const std::string contents = retrace::testing::contents_of(file);
    std::mt19937 random(1);
    count.broken += !runs(target, contents);
    for (int i = 0; i < changes; ++i) count.broken += !runs(target, changed(contents, random));
    count.inputs += 1 + changes;
  }
  return count;
}

// By target, how many inputs broke it while it was fuzzed: each is kept. Nothing where a line is
// not as ./fuzz writes it.
std::map<std::string, int> recorded_crashes(const fs::path& record) {
  std::map<std::string, int> crashes;
  std::ifstream lines(record);
  std::string date, commit, target;
  for (std::int64_t inputs, seconds, broke;
       lines >> date >> commit >> target >> inputs >> seconds >> broke;)
    crashes[target] += static_cast<int>(broke);
  if (!lines.eof()) crashes.clear();
  return crashes;
}

}  // namespace

// fuzz_replay [FOLDER]: also the files of FOLDER/TARGET, of each target.
int main(int argc, char** argv) {
  using retrace::testing::figure;
  using retrace::testing::of;
  const fs::path root = fs::path(RETRACE_SOURCE_DIR) / "tests" / "fuzz";
  std::set<std::string> known;
  std::map<std::string, int> recorded = recorded_crashes(root / "record.tsv");
  int replayed = 0, once_broke = 0, broken = 0;
  if (recorded.empty()) {
    std::fprintf(stderr, "record.tsv cannot be read\n");
    ++broken;
  }
  for (const retrace::fuzz::Target& target : retrace::fuzz::targets()) {
    known.insert(target.name);
    const std::vector<fs::path> seeds = files_of(root / "seeds" / target.name);
    if (seeds.empty()) {
      std::fprintf(stderr, "%s has no seeds\n", target.name);
      ++broken;
    }
    const int changes = 1000 / static_cast<int>(1 + seeds.size());
    const Count of_seeds = count_of(target, seeds, changes);
    const Count of_crashes = count_of(target, files_of(root / "crashes" / target.name), 0);
    Count more;
    if (argc > 1) more = count_of(target, files_of(fs::path(argv[1]) / target.name), 0);
    figure(row_of(target.name), std::string(target.name) + ", its seeds with bytes changed",
           of(of_seeds.inputs - of_seeds.broken, of_seeds.inputs) + " inputs break nothing",
           of_seeds.broken == 0);
    if (of_crashes.inputs < recorded[target.name]) {
      std::fprintf(stderr, "%s: %d inputs broke it, %d are kept\n", target.name,
                   recorded[target.name], of_crashes.inputs);
      ++broken;
    }
    replayed += static_cast<int>(seeds.size()) + of_crashes.inputs;
    once_broke += of_crashes.inputs;
    broken += of_seeds.broken + of_crashes.broken + more.broken;
  }
  for (const char* kind : {"seeds", "crashes"}) {
    for (const fs::path& folder : files_of(root / kind)) {
      if (known.contains(folder.filename().string())) continue;
      std::fprintf(stderr, "%s belongs to no target\n", folder.c_str());
      ++broken;
    }
  }
  figure(
      "R44",
      "seeds, and all that ever broke something, of " + std::to_string(known.size()) + " targets",
      std::to_string(replayed) + " inputs replayed, " + std::to_string(once_broke) +
          " of which once broke something; " + std::to_string(broken) + " broken",
      broken == 0 && once_broke > 0);
  return broken == 0 ? 0 : 1;
}
