// docs/pytorch.md: its code is that of tests/pytorch, which compiles and runs it; what its tables
// say is here, is; and no module, loss, optimizer or op is forgotten. PyTorch's side:
// tests/pytorch.
#include <doctest/doctest.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace fs = std::filesystem;

namespace {

const fs::path kRoot = RETRACE_SOURCE_DIR;

using Lines = std::vector<std::string>;

Lines lines_of(const fs::path& file) {
  std::ifstream in(file);
  REQUIRE_MESSAGE(in.good(), "cannot read " << file.string());
  Lines lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

const Lines& page() {
  static const Lines lines = lines_of(kRoot / "docs/pytorch.md");
  return lines;
}

std::string joined(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

bool is_word(char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; }

bool has_word(std::string_view text, std::string_view word) {
  for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
    const std::size_t end = at + word.size();
    if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end])))
      return true;
  }
  return false;
}

// Code -------------------------------------------------------------------------------------------

struct Block {
  std::string language;
  Lines lines;
};

std::vector<Block> blocks_of(const Lines& lines) {
  std::vector<Block> blocks;
  bool inside = false;
  for (const std::string& line : lines) {
    if (line.starts_with("```")) {
      inside = !inside;
      if (inside) blocks.push_back({line.substr(3), {}});
    } else if (inside) {
      blocks.back().lines.push_back(line);
    }
  }
  return blocks;
}

std::size_t indentation(const std::string& line) {
  return std::min(line.find_first_not_of(' '), line.size());
}

// The lines stand one after the other in the file, perhaps further to the right as a whole.
bool is_part(const Lines& block, const Lines& file) {
  for (std::size_t first = 0; first + block.size() <= file.size(); ++first) {
    if (indentation(file[first]) < indentation(block[0])) continue;
    const std::string shift(indentation(file[first]) - indentation(block[0]), ' ');
    std::size_t same = 0;
    while (same < block.size() &&
           file[first + same] == (block[same].empty() ? "" : shift + block[same]))
      ++same;
    if (same == block.size()) return true;
  }
  return false;
}

// Names ------------------------------------------------------------------------------------------

// Headers of a room without their comments.
std::string code_of(const std::string& room) {
  std::string code;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / room)) {
    if (entry.path().extension() != ".h") continue;
    for (const std::string& line : lines_of(entry.path()))
      code += line.substr(0, line.find("//")) + "\n";
  }
  return code;
}

// Where a name with this first part is declared; "": in tensor or autograd.
std::string room_of(const std::string& name) {
  if (name.starts_with("nn::utils::")) return "optim";
  for (const char* room : {"losses", "optim", "nn", "data", "train"})
    if (name.starts_with(std::string(room) + "::")) return room;
  return "";
}

bool is_declared(const std::string& name) {
  static std::map<std::string, std::string> code;
  if (code.empty()) {
    for (const char* room : {"losses", "optim", "nn", "data", "train"}) code[room] = code_of(room);
    code[""] = code_of("tensor") + code_of("autograd");
  }
  const std::size_t last = name.rfind("::");
  return has_word(code[room_of(name)], last == name.npos ? name : name.substr(last + 2));
}

Lines in_backticks(std::string_view text) {
  Lines found;
  for (std::size_t at = text.find('`'); at != text.npos; at = text.find('`', at)) {
    const std::size_t end = text.find('`', at + 1);
    if (end == text.npos) break;
    found.emplace_back(text.substr(at + 1, end - at - 1));
    at = end + 1;
  }
  return found;
}

Lines cells_of(const std::string& row) {
  Lines cells;
  std::istringstream in(row.substr(1));
  for (std::string cell; std::getline(in, cell, '|');) cells.push_back(cell);
  return cells;
}

std::string without_asides(std::string text) {
  for (std::size_t at = text.find(" ("); at != text.npos; at = text.find(" ("))
    text.erase(at, text.find(')', at) - at + 1);
  return text;
}

// All that the section about names says is here.
Lines names_here() {
  Lines names;
  bool inside = false;
  for (const std::string& line : page()) {
    if (line.starts_with("## ")) inside = line == "## Names";
    if (inside && line.starts_with("| `")) {
      const Lines cells = cells_of(line);
      const bool is_list = in_backticks(cells[0])[0].ends_with('.');
      const std::string prefix = is_list ? in_backticks(cells[1])[0] : "";
      for (const std::string& name : in_backticks(cells[is_list ? 2 : 1]))
        names.push_back(prefix == "retrace::" ? name : prefix + name);
    }
    if (inside && line.starts_with("- ")) {
      for (const std::string& name : in_backticks(without_asides(line))) names.push_back(name);
    }
  }
  return names;
}

// What stands between `before`, which begins a line, and `after`, and has no space.
Lines declared_in(const std::string& code, std::string_view before, std::string_view after) {
  Lines names;
  std::istringstream in(code);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(before)) continue;
    const std::string rest = line.substr(before.size());
    const std::string name = rest.substr(0, rest.find(after));
    if (rest.find(after) != rest.npos && name.find(' ') == name.npos) names.push_back(name);
  }
  return names;
}

}  // namespace

TEST_CASE("a block of lines is found in a file at any depth, whole and in order") {
  const Lines file = {"a {", "  b;", "", "    c;", "}"};
  CHECK(is_part({"b;", "", "  c;"}, file));
  CHECK(is_part({"a {", "  b;"}, file));
  CHECK_FALSE(is_part({"b;", "", "c;"}, file));
  CHECK_FALSE(is_part({"b;", "  c;"}, file));
  CHECK_FALSE(is_part({"    b;"}, file));
  CHECK_FALSE(is_part({"c;", "}", "d"}, file));
}

TEST_CASE("code in docs/pytorch.md is part of tests/pytorch") {
  std::map<std::string, std::vector<Lines>> files;
  for (const auto& entry : fs::directory_iterator(kRoot / "tests/pytorch")) {
    if (!entry.is_regular_file()) continue;
    files[entry.path().extension() == ".py" ? "python" : "cpp"].push_back(lines_of(entry.path()));
  }
  std::map<std::string, int> seen;
  for (const Block& block : blocks_of(page())) {
    if (block.language.empty()) continue;  // commands
    REQUIRE(!block.lines.empty());
    ++seen[block.language];
    const std::vector<Lines>& in = files[block.language];
    CHECK_MESSAGE(std::any_of(in.begin(), in.end(),
                              [&](const Lines& file) { return is_part(block.lines, file); }),
                  "not in tests/pytorch:\n"
                      << joined(block.lines));
  }
  CHECK(seen["cpp"] >= 7);
  CHECK(seen["python"] >= 7);
}

TEST_CASE("names that docs/pytorch.md says are here, are") {
  const Lines names = names_here();
  for (const std::string& name : names) CHECK_MESSAGE(is_declared(name), name << " is not here");
  CHECK(names.size() > 400);
  CHECK_FALSE(is_declared("losses::gelu"));
  CHECK_FALSE(is_declared("nn::Linearly"));
}

TEST_CASE("docs/pytorch.md names every module, optimizer and schedule") {
  const std::string text = joined(page());
  int names = 0;
  const auto check = [&](const char* room, std::string_view before, std::string_view after) {
    for (const std::string& name : declared_in(code_of(room), before, after)) {
      CHECK_MESSAGE(has_word(text, name), name << " is not told");
      ++names;
    }
  };
  check("nn", "class ", " : ");
  check("nn", "struct ", " : ");
  check("optim", "class ", " : public OptimizerFor");
  check("optim", "class ", " final : public Schedule");
  CHECK(names > 90);
}
