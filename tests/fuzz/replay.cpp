// Every seed, and every input that ever broke something, through its target: what was mended stays
// so, in any kind of build.

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

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

bool runs(const retrace::fuzz::Target& target, const fs::path& file) {
  // What ends the process is known by the last line.
  std::fprintf(stderr, "%s\n", file.c_str());
  const std::string contents = retrace::testing::contents_of(file);
  // Of just this size on the heap: a sanitizer sees what is read beyond.
  const std::vector<char> input(contents.begin(), contents.end());
  try {
    target.run(reinterpret_cast<const std::uint8_t*>(input.data()), input.size());
    return true;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "  broken: %s\n", error.what());
    return false;
  }
}

}  // namespace

int main() {
  const fs::path root = fs::path(RETRACE_SOURCE_DIR) / "tests" / "fuzz";
  std::set<std::string> known;
  int inputs = 0, broken = 0;
  for (const retrace::fuzz::Target& target : retrace::fuzz::targets()) {
    known.insert(target.name);
    for (const char* kind : {"seeds", "crashes"}) {
      const std::vector<fs::path> files = files_of(root / kind / target.name);
      for (const fs::path& file : files) {
        ++inputs;
        if (!runs(target, file)) ++broken;
      }
      if (files.empty() && kind == std::string("seeds")) {
        std::fprintf(stderr, "%s has no seeds\n", target.name);
        ++broken;
      }
    }
  }
  for (const char* kind : {"seeds", "crashes"}) {
    for (const fs::path& folder : files_of(root / kind)) {
      if (known.contains(folder.filename().string())) continue;
      std::fprintf(stderr, "%s belongs to no target\n", folder.c_str());
      ++broken;
    }
  }
  std::printf("%d inputs of %zu targets, %d broken\n", inputs, known.size(), broken);
  return broken == 0 ? 0 : 1;
}
