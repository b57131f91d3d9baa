// Writes the sources of a page of the guide: guide_programs PAGE.md SESSION.cpp PROGRAM.cpp..., one
// PROGRAM for each block with a main of its own. What a page holds is said in page.h. Line numbers,
// in messages and call sites, are those of the page.

#include <retrace/tests/guide/page.h>

#include <exception>
#include <filesystem>
#include <iostream>
#include <sstream>

using namespace retrace::guide;

namespace {

bool is_include(const std::string& line) { return line.starts_with("#include"); }

std::string place(const Page& page, std::size_t line) {
  const std::string name = std::filesystem::path(page.path).filename().string();
  return "#line " + std::to_string(line) + " \"" + name + "\"\n";
}

// Includes are left blank: they stand at the head of the source.
std::string code(const Page& page, const Block& block) {
  std::string text = place(page, block.line);
  for (std::string line : block.lines) {
    if (is_include(line) || line.starts_with("...")) line = "";
    if (block.kind == Block::Kind::program && line.starts_with("int main("))
      line.replace(0, 8, "void run_program");
    text += line + "\n";
  }
  return text;
}

std::string head_of(const Page& page) {
  return "// Made by guide_programs from " + page.path + ", which is what to change.\n";
}

std::string includes(const Block& block) {
  std::string text;
  for (const std::string& line : block.lines)
    if (is_include(line)) text += line + "\n";
  return text;
}

std::string in_namespace(std::size_t number, const std::string& text) {
  return "namespace program_" + std::to_string(number) + " {\n" + text + "}\n";
}

// Reads no header but what the block shows: a reader who copies it has no other.
std::string program(const Page& page, std::size_t number) {
  const Block& block = page.blocks[number];
  return head_of(page) + includes(block) + in_namespace(number, code(page, block));
}

std::string session(const Page& page) {
  std::ostringstream head, outside, statements, parts;
  head << head_of(page) << "#include <iostream>\n#include <retrace/retrace.h>\n"
       << "#include <retrace/tests/guide/session.h>\n";
  for (std::size_t k = 0; k < page.blocks.size(); ++k) {
    const Block& block = page.blocks[k];
    const std::string number = std::to_string(k);
    switch (block.kind) {
      case Block::Kind::statements:
        head << includes(block);
        statements << "guide_session.at(" << number << ");\n" << code(page, block);
        break;
      case Block::Kind::console:
        statements << "guide_session.execute(" << number << ");\n";
        break;
      case Block::Kind::declarations:
        head << includes(block);
        outside << code(page, block);
        break;
      case Block::Kind::program:
        outside << in_namespace(k, "void run_program();\n");
        parts << "if (guide_session.part() == " << number << ") {\nguide_session.at(" << number
              << ");\nprogram_" << number
              << "::run_program();\nreturn guide_session.finish();\n}\n";
        break;
      default:
        break;
    }
  }
  return head.str() + "using namespace retrace;\n" + outside.str() +
         "int main(int guide_argc, char** guide_argv) {\n" +
         "guide::Session guide_session(guide_argc, guide_argv, R\"(" + page.path +
         ")\");\ntry {\n" + parts.str() + statements.str() +
         "return guide_session.finish();\n} catch (const std::exception& guide_error) {\n"
         "return guide_session.fail(guide_error.what());\n}\n}\n";
}

std::vector<std::string> sources(const Page& page) {
  std::vector<std::string> all = {session(page)};
  for (std::size_t k = 0; k < page.blocks.size(); ++k)
    if (page.blocks[k].kind == Block::Kind::program) all.push_back(program(page, k));
  return all;
}

void write(const std::string& path, const std::string& text) {
  std::ofstream out(path);
  out << text;
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: guide_programs PAGE.md SESSION.cpp PROGRAM.cpp...\n";
    return 2;
  }
  try {
    const std::vector<std::string> texts = sources(read_page(argv[1])),
                                   paths(argv + 2, argv + argc);
    if (texts.size() != paths.size())
      throw std::runtime_error(std::string(argv[1]) + ": " + std::to_string(texts.size() - 1) +
                               " blocks have a main, and CMake counted " +
                               std::to_string(paths.size() - 1));
    for (std::size_t i = 0; i < texts.size(); ++i) write(paths[i], texts[i]);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
  }
  return 1;
}
