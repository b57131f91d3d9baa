// Rules of the house that a compiler does not check: who includes whom, and what files are called.
#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace fs = std::filesystem;

namespace {

const fs::path kRoot = RETRACE_SOURCE_DIR;

// Which rooms each room of the library may include, besides itself.
const std::map<std::string, std::set<std::string>> kMayInclude = {
    {"tensor", {}},
    {"autograd", {"tensor"}},
    {"nn", {"autograd", "tensor"}},
    {"losses", {"autograd", "tensor"}},
    {"optim", {"tensor"}},
    {"data", {"tensor"}},
    {"trace", {"optim", "autograd", "tensor"}},
    {"train", {"trace", "data", "optim", "losses", "nn", "autograd", "tensor"}},
    {"catalogue", {"trace", "data", "optim", "losses", "nn", "autograd", "tensor"}},
};

// Folders above the library: they may include everything.
const std::vector<std::string> kPrograms = {"examples", "tools", "bench", "tests"};

bool is_source(const fs::path& file) {
  return file.extension() == ".h" || file.extension() == ".cpp";
}

std::string in_tree(const fs::path& file) { return file.lexically_relative(kRoot).string(); }

std::vector<fs::path> files_below(const fs::path& folder) {
  std::vector<fs::path> files;
  if (!fs::exists(folder)) return files;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// Everything that belongs to the project: its folders, and the files at its root.
std::vector<fs::path> project_files() {
  std::vector<std::string> folders = kPrograms;
  for (const auto& [room, allowed] : kMayInclude) folders.push_back(room);
  for (const char* other : {"cmake", "docs", ".ci"}) folders.push_back(other);
  std::vector<fs::path> files;
  for (const auto& folder : folders) {
    for (auto& file : files_below(kRoot / folder)) files.push_back(std::move(file));
  }
  for (const auto& entry : fs::directory_iterator(kRoot)) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  return files;
}

std::vector<std::string> lines_of(const fs::path& file) {
  std::ifstream in(file);
  REQUIRE_MESSAGE(in.good(), "cannot read " << file.string());
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// What stands behind `#include` with its brackets or quotes, or nothing.
std::string_view included(std::string_view line) {
  const auto skip_spaces = [&line] {
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  };
  skip_spaces();
  if (!line.starts_with('#')) return {};
  line.remove_prefix(1);
  skip_spaces();
  if (!line.starts_with("include")) return {};
  line.remove_prefix(7);
  skip_spaces();
  return line.substr(0, line.find_first_of(">\"", 1) + 1);
}

constexpr std::string_view kPrefix = "<retrace/";

// `<retrace/tensor/tensor.h>` -> `tensor/tensor.h`
std::string in_house(std::string_view name) {
  return std::string(name.substr(kPrefix.size(), name.size() - kPrefix.size() - 1));
}

// Why a file of `room` may not include `name`; empty when it may.
std::string objection(const std::string& room, std::string_view name) {
  if (name.starts_with('"')) return "is not written <retrace/...>";
  if (!name.starts_with(kPrefix)) return "";
  const std::string path = in_house(name);
  if (!fs::exists(kRoot / path)) return "does not exist";
  const auto rule = kMayInclude.find(room);
  if (rule == kMayInclude.end()) return "";
  const std::string target = path.substr(0, path.find('/'));
  if (target == room || rule->second.contains(target)) return "";
  return "is an arrow that the house does not have";
}

}  // namespace

TEST_CASE("an include line is read whatever its spacing") {
  CHECK(included("#include <retrace/retrace.h>") == "<retrace/retrace.h>");
  CHECK(included("  #  include\t\"a.h\"  // why") == "\"a.h\"");
  CHECK(included("#include<vector>") == "<vector>");
  CHECK(included("// #include <vector>").empty());
  CHECK(included("#define include <vector>").empty());
  CHECK(included("").empty());
}

TEST_CASE("wrong arrows are told from right ones") {
  CHECK(objection("tensor", "<vector>").empty());
  CHECK(objection("tensor", "\"tensor.h\"") == "is not written <retrace/...>");
  CHECK(objection("tests", "<retrace/no/such_file.h>") == "does not exist");
  CHECK(objection("tests", "<retrace/tests/main.cpp>").empty());
  CHECK(objection("train", "<retrace/tests/main.cpp>") ==
        "is an arrow that the house does not have");
}

TEST_CASE("every folder includes only what it may") {
  std::vector<std::string> folders = kPrograms;
  for (const auto& [room, allowed] : kMayInclude) folders.push_back(room);
  int includes = 0;
  for (const auto& folder : folders) {
    for (const auto& file : files_below(kRoot / folder)) {
      if (!is_source(file)) continue;
      for (const auto& line : lines_of(file)) {
        const std::string_view name = included(line);
        if (name.empty()) continue;
        ++includes;
        const std::string reason = objection(folder, name);
        CHECK_MESSAGE(reason.empty(), in_tree(file) << ": " << name << " " << reason);
      }
    }
  }
  CHECK(includes > 0);
}

TEST_CASE("retrace.h brings in no third-party header") {
  const std::vector<std::string_view> foreign = {
      "<fmt/", "<spdlog/",    "<nlohmann/", "<CLI/",  "<cblas",
      "<zlib", "<Random123/", "<omp.h>",    "<pcre2",
  };
  std::set<std::string> seen;
  std::vector<std::string> waiting = {"retrace.h"};
  while (!waiting.empty()) {
    const std::string header = waiting.back();
    waiting.pop_back();
    if (!seen.insert(header).second) continue;
    for (const auto& line : lines_of(kRoot / header)) {
      const std::string_view name = included(line);
      if (name.starts_with(kPrefix)) waiting.push_back(in_house(name));
      const bool is_foreign = std::any_of(foreign.begin(), foreign.end(),
                                          [name](auto prefix) { return name.starts_with(prefix); });
      CHECK_MESSAGE(!is_foreign, header << " includes " << name);
    }
  }
}

TEST_CASE("files are named after what they hold") {
  for (const auto& file : project_files()) {
    if (!is_source(file)) continue;
    const std::string name = file.filename().string();
    for (const std::string word : {"util", "helper", "manager"}) {
      CHECK_MESSAGE(name.find(word) == std::string::npos, in_tree(file) << " says " << word);
    }
    const bool is_snake_case = std::all_of(name.begin(), name.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
    });
    CHECK_MESSAGE(is_snake_case, in_tree(file) << " is not snake_case");
  }
}

TEST_CASE("every test case belongs to a program") {
  int files = 0;
  for (const auto& file : files_below(kRoot / "tests")) {
    if (file.extension() != ".cpp") continue;
    const auto lines = lines_of(file);
    if (std::none_of(lines.begin(), lines.end(),
                     [](const auto& line) { return line.starts_with("TEST_CASE"); }))
      continue;
    ++files;
    const fs::path inside = file.lexically_relative(kRoot / "tests");
    const bool is_built =
        inside.has_parent_path() && inside.filename().string().ends_with("_test.cpp");
    CHECK_MESSAGE(is_built, in_tree(file) << " is in no program: tests/CMakeLists.txt builds those "
                                             "of tests/FOLDER/ that end in _test.cpp");
  }
  CHECK(files > 100);
}

TEST_CASE("the project stands alone") {
  const std::string outside = std::string("../") + "shared";
  for (const auto& file : project_files()) {
    for (const auto& line : lines_of(file)) {
      CHECK_MESSAGE(line.find(outside) == std::string::npos, in_tree(file) << ": " << line);
    }
  }
}
