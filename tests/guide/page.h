#pragma once

// A page of Markdown whose code is compiled and run, as prose and fenced blocks:
//
//   ```cpp                      statements of the page's main function, which all such blocks of a
//                               page form together, in order, sharing variables
//   ```cpp global               declarations, to stand outside of it; known without the word when
//                               the block begins with struct, class, enum, template, namespace
//                               or using namespace. An #include may stand in any block
//   ```cpp with `int main(`     a program of its own, which includes what it needs
//   ```cpp autograd/node.h      an excerpt: lines that stand in that file, one behind the other,
//                               but for their indentation
//   ```text                     right behind one of the first three: what that block prints, but
//                               for blanks at line ends; a line `...` stands for any lines
//   ```text about               the same, numbers being within 2 %: of what is trained
//   ```console                  lines "$ COMMAND", which are run in the page's folder, each with
//                               what it prints behind it; `./run NAME` is the example, build/ the
//                               build tree; with `about`, as above
//   ```sh                       commands to read
//
// In code, a line that begins with `...` stands for what the page leaves out. Everything outside of
// fences is prose, indented code included.

#include <algorithm>
#include <cctype>
#include <fstream>
#include <regex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace retrace::guide {

struct Block {
  enum class Kind { statements, declarations, program, excerpt, output, console, other };

  Kind kind = Kind::other;
  std::string info;                ///< what stands behind the fence: "cpp autograd/node.h"
  std::string source = "";         ///< of an excerpt
  std::size_t line = 0;            ///< of the first line in it, from 1
  std::vector<std::string> lines;  ///< without blanks at their ends
  int output_of = -1;              ///< number of the block that prints it

  bool is_code() const { return kind <= Kind::program; }
  bool is_about() const { return info.ends_with(" about"); }
};

struct Prose {
  std::size_t line;
  std::string text;
};

struct Page {
  std::string path;
  std::vector<Block> blocks;
  std::vector<Prose> prose;
};

inline std::string without_blanks_behind(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) text.pop_back();
  return text;
}

inline std::vector<std::string> lines_of(std::istream& in) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(without_blanks_behind(line));
  return lines;
}

inline std::vector<std::string> lines_of_file(const std::string& path) {
  std::ifstream in(path);
  if (!in) throw std::runtime_error("cannot read " + path);
  return lines_of(in);
}

inline bool begins_with_declaration(const std::vector<std::string>& lines) {
  static const std::regex kDeclaration(
      R"((struct|class|enum|template|namespace|using namespace)\b.*)");
  for (const std::string& line : lines) {
    if (line.empty() || line.starts_with("//") || line.starts_with("#include")) continue;
    return std::regex_match(line, kDeclaration);
  }
  return true;
}

inline Block::Kind kind_of(const Block& block) {
  if (block.info == "console" || block.info == "console about") return Block::Kind::console;
  if (block.info == "cpp global") return Block::Kind::declarations;
  if (block.info != "cpp") return Block::Kind::other;
  for (const std::string& line : block.lines) {
    if (line.starts_with("int main(")) return Block::Kind::program;
  }
  return begins_with_declaration(block.lines) ? Block::Kind::declarations : Block::Kind::statements;
}

/// std::runtime_error when it cannot be read or a fence is left open.
inline Page read_page(const std::string& path) {
  Page page{path, {}, {}};
  const std::vector<std::string> lines = lines_of_file(path);
  bool inside = false, behind_code = false;
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string& line = lines[i];
    if (!inside && line.starts_with("```")) {
      page.blocks.push_back({Block::Kind::other, line.substr(3), "", i + 2, {}, -1});
      inside = true;
    } else if (!inside) {
      page.prose.push_back({i + 1, line});
      behind_code = behind_code && line.empty();
    } else if (line != "```") {
      page.blocks.back().lines.push_back(line);
    } else {
      inside = false;
      Block& block = page.blocks.back();
      block.kind = kind_of(block);
      const std::size_t slash = block.info.find('/'), space = block.info.find(' ');
      if (space != std::string::npos && slash != std::string::npos) {
        block.kind = Block::Kind::excerpt;
        block.source = block.info.substr(space + 1);
      }
      const bool may_be_output = block.info.empty() || block.info.starts_with("text");
      if (behind_code && may_be_output) {
        block.kind = Block::Kind::output;
        block.output_of = static_cast<int>(page.blocks.size()) - 2;
      }
      behind_code = block.is_code();
    }
  }
  if (inside) throw std::runtime_error(path + ": a fence is left open at its end");
  return page;
}

/// Numbers with a decimal point, as they are written: "-0.0145", "4.53e+01".
inline std::vector<std::string> fractions_in(const std::string& text) {
  static const std::regex kFraction(R"(-?\d+\.\d+(e[+-]?\d+)?)");
  std::vector<std::string> all;
  for (std::sregex_iterator found(text.begin(), text.end(), kFraction), end; found != end; ++found)
    all.push_back(found->str());
  return all;
}

}  // namespace retrace::guide
