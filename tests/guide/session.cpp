#include <retrace/tests/guide/session.h>

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <map>

#include <retrace/tests/guide/difference.h>

namespace retrace::guide {
namespace {

namespace fs = std::filesystem;

struct Printed {
  std::map<int, std::string> of_blocks;
  int last = -1;  // block that was begun last
  std::string error;
};

// Records: "begin BLOCK", "printed BLOCK BYTES" and the bytes, "error BYTES" and the bytes.
void read_record(const std::string& path, Printed& printed) {
  std::ifstream in(path);
  const auto read_bytes = [&in] {
    std::size_t count = 0;
    in >> count;
    in.get();
    std::string bytes(count, ' ');
    in.read(bytes.data(), static_cast<std::streamsize>(count));
    return bytes;
  };
  for (std::string word; in >> word;) {
    if (word == "begin") {
      in >> printed.last;
    } else if (word == "printed") {
      int block = 0;
      in >> block;
      printed.of_blocks[block] += read_bytes();
    } else {
      printed.error = read_bytes();
    }
  }
}

Lines split(const std::string& text) {
  std::istringstream in(text);
  Lines lines = lines_of(in);
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  return lines;
}

// Which part of a page, one behind the other: -1, then the blocks that are programs.
std::vector<int> parts_of(const Page& page) {
  std::vector<int> parts = {-1};
  for (std::size_t k = 0; k < page.blocks.size(); ++k)
    if (page.blocks[k].kind == Block::Kind::program) parts.push_back(static_cast<int>(k));
  return parts;
}

std::string place(const Page& page, std::size_t line) {
  return page.path + ":" + std::to_string(line) + ": ";
}

int compare(const Page& page, const Printed& printed) {
  int failures = 0, compared = 0;
  const auto check = [&](const Block& says, const Lines& expected, int block, bool about) {
    const auto found = printed.of_blocks.find(block);
    const Lines actual = found == printed.of_blocks.end() ? Lines() : split(found->second);
    ++compared;
    if (const auto differs = difference(expected, actual, about)) {
      ++failures;
      std::cerr << place(page, says.line + differs->line) << "the page says\n  "
                << differs->expected << "\nand what runs says\n  " << differs->actual << "\n";
    }
  };
  for (std::size_t k = 0; k < page.blocks.size(); ++k) {
    const Block& block = page.blocks[k];
    const int number = static_cast<int>(k);
    if (block.kind == Block::Kind::output)
      check(block, block.lines, block.output_of, block.is_about());
    if (block.kind == Block::Kind::console) check(block, block.lines, number, block.is_about());
    const bool is_shown = k + 1 < page.blocks.size() && page.blocks[k + 1].output_of == number;
    if (block.kind != Block::Kind::statements || is_shown) continue;
    check(block, {}, number, false);
  }
  std::cout << page.path << ": " << compared << " outputs compared, " << failures << " differ\n";
  return failures;
}

void update(const Page& page, const Printed& printed) {
  Lines lines = lines_of_file(page.path);
  for (std::size_t k = page.blocks.size(); k-- > 0;) {
    const Block& block = page.blocks[k];
    const bool is_console = block.kind == Block::Kind::console;
    if (block.kind != Block::Kind::output && !is_console) continue;
    const auto found = printed.of_blocks.find(is_console ? static_cast<int>(k) : block.output_of);
    const Lines actual = found == printed.of_blocks.end() ? Lines() : split(found->second);
    if (!difference(block.lines, actual, block.is_about())) continue;
    const auto first = lines.begin() + static_cast<std::ptrdiff_t>(block.line - 1);
    const auto at = lines.erase(first, first + static_cast<std::ptrdiff_t>(block.lines.size()));
    lines.insert(at, actual.begin(), actual.end());
  }
  std::ofstream out(page.path);
  for (const std::string& line : lines) out << line << "\n";
}

std::string build_folder() {
  return fs::read_symlink("/proc/self/exe").parent_path().parent_path().string();
}

std::string output_of(const std::string& command) {
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  std::string text;
  std::array<char, 4096> piece;
  for (std::size_t n = 0; (n = std::fread(piece.data(), 1, piece.size(), pipe)) > 0;)
    text.append(piece.data(), n);
  ::pclose(pipe);
  return text;
}

}  // namespace

Session::Session(int argc, char** argv, const std::string& page) : page_(read_page(page)) {
  std::string folder = (fs::temp_directory_path() / "retrace-guide-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no temporary folder");
  const std::string work = folder + "/work";
  Printed printed;
  bool ended = false;
  for (const int part : parts_of(page_)) {
    part_ = part;
    record_ = folder + "/printed" + std::to_string(part);
    fs::create_directory(work);
    const pid_t child = ::fork();
    if (child == 0) {
      fs::current_path(work);
      before_ = std::cout.rdbuf(printed_.rdbuf());
      return;
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {
    }
    read_record(record_, printed);
    fs::remove_all(work);
    if (status == 0) continue;
    ended = true;
    std::size_t line = 1;
    if (printed.last >= 0) line = page_.blocks[static_cast<std::size_t>(printed.last)].line;
    std::cerr << place(page_, line) << "this block ended the program"
              << (printed.error.empty() ? "" : ": " + printed.error) << "\n";
  }
  fs::remove_all(folder);
  if (ended) std::exit(1);
  if (argc > 1 && std::string(argv[1]) == "--update") {
    update(page_, printed);
    std::exit(0);
  }
  std::exit(compare(page_, printed) == 0 ? 0 : 1);
}

void Session::flush() {
  std::ofstream out(record_, std::ios::app);
  if (block_ >= 0) {
    const std::string text = printed_.str();
    out << "printed " << block_ << " " << text.size() << "\n" << text << "\n";
  }
  printed_.str("");
}

void Session::at(int block) {
  flush();
  block_ = block;
  std::ofstream(record_, std::ios::app) << "begin " << block << "\n";
  // One block's way of printing numbers is not the next one's.
  std::cout.copyfmt(std::ios(nullptr));
}

void Session::execute(int block) {
  at(block);
  const std::string build = build_folder();
  for (const std::string& line : page_.blocks[static_cast<std::size_t>(block)].lines) {
    if (!line.starts_with("$ ")) continue;
    std::string command = line.substr(2);
    if (command.starts_with("./run ")) command.replace(0, 6, build + "/examples/");
    if (command.starts_with("build/")) command.replace(0, 5, build);
    std::cout << line << "\n" << output_of(command);
  }
}

int Session::finish() {
  flush();
  std::cout.rdbuf(before_);
  return 0;
}

int Session::fail(const std::string& message) {
  finish();
  std::ofstream(record_, std::ios::app) << "error " << message.size() << "\n" << message << "\n";
  return 1;
}

}  // namespace retrace::guide
