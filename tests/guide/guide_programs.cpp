// Writes the program of a page of the guide: guide_programs PAGE.md PROGRAM.cpp. What a page holds
// is said in page.h. Line numbers, in messages and call sites, are those of the page.

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

// Includes are left blank: they stand at the head of the program.
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

std::string program(const Page& page) {
  std::ostringstream head, outside, session, parts;
  head << "// Made by guide_programs from " << page.path << ", which is what to change.\n"
       << "#include <iostream>\n#include <retrace/retrace.h>\n"
       << "#include <retrace/tests/guide/session.h>\n";
  for (std::size_t k = 0; k < page.blocks.size(); ++k) {
    const Block& block = page.blocks[k];
    if (block.is_code()) {
      for (const std::string& line : block.lines)
        if (is_include(line)) head << line << "\n";
    }
    const std::string number = std::to_string(k);
    switch (block.kind) {
      case Block::Kind::statements:
        session << "guide_session.at(" << number << ");\n" << code(page, block);
        break;
      case Block::Kind::console:
        session << "guide_session.execute(" << number << ");\n";
        break;
      case Block::Kind::declarations:
        outside << code(page, block);
        break;
      case Block::Kind::program:
        outside << "namespace program_" << number << " {\n" << code(page, block) << "}\n";
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
         ")\");\ntry {\n" + parts.str() + session.str() +
         "return guide_session.finish();\n} catch (const std::exception& guide_error) {\n"
         "return guide_session.fail(guide_error.what());\n}\n}\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: guide_programs PAGE.md PROGRAM.cpp\n";
    return 2;
  }
  try {
    const std::string text = program(read_page(argv[1]));
    std::ofstream out(argv[2]);
    out << text;
    out.close();
    if (out) return 0;
    std::cerr << "cannot write " << argv[2] << "\n";
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
  }
  return 1;
}
