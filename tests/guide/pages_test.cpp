// What the pages of the guide say beside their programs: excerpts of the engine, numbers in prose,
// names of files, links. What their programs print is compared by the tests guide_PAGE.
#include <doctest/doctest.h>

#include <filesystem>
#include <set>

#include <retrace/tests/files.h>
#include <retrace/tests/guide/difference.h>
#include <retrace/tests/guide/page.h>

using namespace retrace::guide;
using retrace::testing::says;
using retrace::testing::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

const fs::path kRoot = RETRACE_SOURCE_DIR;

std::vector<fs::path> guide_files() {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(kRoot / "docs/guide"))
    files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::string at(const Page& page, std::size_t line) {
  return fs::path(page.path).filename().string() + ":" + std::to_string(line) + ": ";
}

using Complaints = std::vector<std::string>;

void check_none(const Complaints& complaints) {
  for (const std::string& complaint : complaints) CHECK_MESSAGE(false, complaint);
}

// Lines without the indentation that they have in common.
std::vector<std::string> at_the_margin(std::vector<std::string> lines) {
  std::size_t margin = std::string::npos;
  for (const std::string& line : lines)
    if (!line.empty()) margin = std::min(margin, line.find_first_not_of(' '));
  for (std::string& line : lines)
    if (!line.empty()) line = line.substr(margin);
  return lines;
}

bool stands_in(const std::vector<std::string>& file, const std::vector<std::string>& excerpt) {
  const auto wanted = at_the_margin(excerpt);
  for (std::size_t i = 0; i + wanted.size() <= file.size(); ++i) {
    const auto first = file.begin() + static_cast<std::ptrdiff_t>(i);
    if (at_the_margin({first, first + static_cast<std::ptrdiff_t>(wanted.size())}) == wanted)
      return true;
  }
  return false;
}

Complaints stale_excerpts(const Page& page) {
  Complaints all;
  for (const Block& block : page.blocks) {
    if (block.kind != Block::Kind::excerpt) continue;
    if (!fs::exists(kRoot / block.source))
      all.push_back(at(page, block.line) + block.source + " does not exist");
    else if (block.lines.empty() ||
             !stands_in(lines_of_file((kRoot / block.source).string()), block.lines))
      all.push_back(at(page, block.line) + "these lines do not stand in " + block.source);
  }
  return all;
}

Complaints unknown_numbers(const Page& page) {
  std::set<std::string> known;
  for (const Block& block : page.blocks)
    for (const std::string& line : block.lines)
      for (const std::string& number : fractions_in(line)) known.insert(number);
  // Not what was computed: names of papers, arguments of commands.
  static const std::regex kNames(R"(arXiv:\d+\.\d+|`\./run [^`]*`)");
  Complaints all;
  for (const Prose& prose : page.prose)
    for (const std::string& number : fractions_in(std::regex_replace(prose.text, kNames, "")))
      if (!known.contains(number))
        all.push_back(at(page, prose.line) + number + " stands in no block of the page");
  return all;
}

// Every match of the expression's first group, in prose and in commands.
template <class F>
void for_each_match(const Page& page, const std::regex& expression, F f) {
  const auto look = [&](std::size_t line, const std::string& text) {
    for (std::sregex_iterator found(text.begin(), text.end(), expression), end; found != end;
         ++found)
      f(line, (*found)[1].str());
  };
  for (const Prose& prose : page.prose) look(prose.line, prose.text);
  for (const Block& block : page.blocks) {
    if (block.info != "sh" && block.kind != Block::Kind::console) continue;
    for (std::size_t i = 0; i < block.lines.size(); ++i) look(block.line + i, block.lines[i]);
  }
}

Complaints missing_files(const Page& page) {
  Complaints all;
  const auto expect = [&](std::size_t line, const fs::path& file, const std::string& name) {
    if (!fs::exists(file)) all.push_back(at(page, line) + name + " does not exist");
  };
  static const std::regex kLink(R"(\]\(([^)#:]+)(#[^)]*)?\))"), kRun(R"(\./run ([a-z_0-9/]+))"),
      kPath(R"(`([\w]+/[\w/]+(\.[\w.]+)?)`)");
  for_each_match(page, kLink, [&](std::size_t line, const std::string& name) {
    expect(line, fs::path(page.path).parent_path() / name, name);
  });
  for_each_match(page, kRun, [&](std::size_t line, const std::string& name) {
    expect(line, kRoot / "examples" / (name + ".cpp"), "examples/" + name + ".cpp");
  });
  for_each_match(page, kPath, [&](std::size_t line, const std::string& name) {
    // Others are quotients: `dloss/dw`.
    const bool is_path =
        name.find('.') != std::string::npos || fs::exists(kRoot / name.substr(0, name.find('/')));
    if (is_path && !name.starts_with("build/")) expect(line, kRoot / name, name);
  });
  return all;
}

// Fences that nothing looks into.
Complaints unknown_fences(const Page& page) {
  static const std::set<std::string> known = {"sh", "cmake"};
  Complaints all;
  for (const Block& block : page.blocks)
    if (block.kind == Block::Kind::other && !known.contains(block.info))
      all.push_back(at(page, block.line) + "nothing is known of a fence '" + block.info +
                    "' here; see tests/guide/page.h");
  return all;
}

Page page_of(const std::string& text) {
  const TemporaryFolder folder;
  return read_page(folder.put("broken.md", text));
}

}  // namespace

TEST_CASE("excerpts stand in the engine, numbers and names in prose are right") {
  int pages = 0, excerpts = 0, numbers = 0;
  for (const fs::path& file : guide_files()) {
    const Page page = read_page(file.string());
    ++pages;
    for (const Block& block : page.blocks) excerpts += block.kind == Block::Kind::excerpt;
    for (const Prose& prose : page.prose)
      numbers += static_cast<int>(fractions_in(prose.text).size());
    check_none(stale_excerpts(page));
    check_none(unknown_numbers(page));
    check_none(missing_files(page));
    check_none(unknown_fences(page));
  }
  CHECK(pages >= 2);
  MESSAGE(pages << " pages, " << excerpts << " excerpts, " << numbers << " numbers in prose");
}

TEST_CASE("the index names every page, and has no code itself") {
  const Page index = read_page((kRoot / "docs/guide/README.md").string());
  for (const Block& block : index.blocks) CHECK(!block.is_code());
  std::string text;
  for (const Prose& prose : index.prose) text += prose.text + "\n";
  for (const fs::path& file : guide_files()) {
    const std::string name = file.filename().string();
    CHECK_MESSAGE((name == "README.md" || says(text, "(" + name + ")")), name << " is not named");
  }
}

TEST_CASE("what is wrong on a page is found") {
  const std::string excerpt =
      "```cpp autograd/backprop.h\nbool done() const { return next_ == tape_.size(); }\n";
  CHECK(stale_excerpts(page_of(excerpt + "```\n")).empty());
  CHECK(stale_excerpts(page_of(excerpt + "int next;\n```\n")).size() == 1);
  CHECK(stale_excerpts(page_of("```cpp autograd/no.h\n\n```\n")).size() == 1);
  const std::string number = "Half is 0.5.\n```cpp\nx = 0.5;\n```\n";
  CHECK(unknown_numbers(page_of(number)).empty());
  CHECK(unknown_numbers(page_of(number + "A third is 0.33.\n")).size() == 1);
  CHECK(unknown_numbers(page_of(number + "Below it: -0.5.\n")).size() == 1);
  CHECK(unknown_numbers(page_of(number + "arXiv:1412.6980\n")).empty());
  CHECK(
      missing_files(page_of("`tensor/tensor.h`, `examples/lessons`, `dy/dx`, ./run xor")).empty());
  CHECK(missing_files(page_of("`tensor/no.h`, ./run no_such, [a](b.md), `nn/no`")).size() == 4);
  CHECK(unknown_fences(page_of("```sh\nls\n```\n")).empty());
  CHECK(unknown_fences(page_of("```text\n1\n```\n")).size() == 1);
  CHECK_THROWS(page_of("```cpp\n"));
}

TEST_CASE("blocks are told apart") {
  const Page page = page_of(
      "```cpp\nf(x);\n```\n\n```text\n1\n```\nprose\n```cpp\nstruct A {};\n```\n```\n2\n```\n"
      "```cpp\n// A program.\n#include <cmath>\nint main() {}\n```\n```cpp global\nint f();\n```\n"
      "```cpp tensor/tensor.h\nint\n```\n```console\n$ ls\n```\n");
  using Kind = Block::Kind;
  const std::vector<Kind> kinds = {Kind::statements, Kind::output,  Kind::declarations,
                                   Kind::output,     Kind::program, Kind::declarations,
                                   Kind::excerpt,    Kind::console};
  REQUIRE(page.blocks.size() == kinds.size());
  for (std::size_t k = 0; k < kinds.size(); ++k) CHECK(page.blocks[k].kind == kinds[k]);
  CHECK(page.blocks[1].output_of == 0);
  CHECK(page.blocks[1].line == 6);
}

TEST_CASE("what was printed is held against the page") {
  CHECK(!difference({"a", "b"}, {"a", "b"}, false));
  CHECK(difference({"a", "b"}, {"a", "c"}, false)->line == 1);
  CHECK(difference({"a"}, {"a", "b"}, false)->actual == "b");
  CHECK(difference({"a", "b"}, {"a"}, false)->expected == "b");
  CHECK(difference({}, {"a"}, false).has_value());
  CHECK(!difference({"a", "...", "c", "d"}, {"a", "b", "c", "b", "c", "d"}, false));
  CHECK(!difference({"a", "...", "c", "..."}, {"a", "b", "c", "d"}, false));
  CHECK(difference({"a", "...", "x", "..."}, {"a", "b", "c"}, false)->line == 2);
  CHECK(difference({"...", "c"}, {"a", "b"}, false).has_value());
  CHECK(!difference({"loss 1.00 at 5"}, {"loss 1.01 at 5"}, true));
  CHECK(difference({"loss 1.00"}, {"loss 1.01"}, false).has_value());
  CHECK(difference({"loss 1.00"}, {"loss 1.05"}, true).has_value());
  CHECK(difference({"loss 1.00"}, {"cost 1.00"}, true).has_value());
}
