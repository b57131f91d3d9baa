#include <algorithm>
#include <filesystem>

#include <fmt/format.h>

#include <retrace/tensor/check.h>
#include <retrace/tensor/file.h>
#include <retrace/tensor/version.h>
#include <retrace/tools/new.h>
#include <retrace/train/exit.h>

namespace retrace::tools {
namespace {

namespace fs = std::filesystem;

// What the template calls itself, and what it asks for.
constexpr std::string_view kName = "my_model", kPackage = "@PACKAGE@", kVersion = "@VERSION@";

// Targets that CMake makes itself, the last three where there are tests or packages.
constexpr std::string_view kReserved[] = {"all",     "clean",         "edit_cache",    "help",
                                          "install", "preinstall",    "rebuild_cache", "test",
                                          "package", "package_source"};

bool is_program_name(std::string_view name) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  if (std::find(std::begin(kReserved), std::end(kReserved), name) != std::end(kReserved))
    return false;
  return !name.empty() && letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '_';
  });
}

// Installed, the template lies in share/retrace beside bin/; in a build, where its sources do, and
// the package is that build.
struct Source {
  Source() {
    std::error_code ignored;
    const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
    const fs::path installed = program.parent_path().parent_path() / "share/retrace/template";
    if (fs::is_directory(installed, ignored)) {
      folder = installed;
    } else {
      folder = RETRACE_TEMPLATE;
      package = fmt::format(" HINTS \"{}\"", RETRACE_PACKAGE);
    }
  }
  fs::path folder;
  std::string package;
};

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
}

}  // namespace

std::string make_project(const std::string& name) {
  if (!is_program_name(name))
    throw train::UsageError(fmt::format(
        "new: {} cannot name a program; take small letters, digits and _, a letter first, and no "
        "target of CMake's own",
        name));
  const Source source;
  std::error_code error;
  if (!fs::create_directory(name, error))
    fail<train::WriteError>("{}: cannot make the folder: {}", name,
                            error ? error.message() : "there is one already");
  std::vector<std::string> files = names_in_folder(source.folder.string());
  std::sort(files.begin(), files.end());
  for (const std::string& file : files) {
    std::string text = read_file((source.folder / file).string());
    replace_all(text, kName, name);
    replace_all(text, kPackage, source.package);
    replace_all(text, kVersion, fmt::format("{}.{}", RETRACE_VERSION_MAJOR, RETRACE_VERSION_MINOR));
    train::writing([&] {
      write_file(fmt::format("{}/{}", name, file == "gitignore" ? ".gitignore" : file), text);
    });
  }
  return fmt::format(
      "{0}/main.cpp learns y = sin(x): put your model, your data and your loss in place of its "
      "own.\n\n"
      "  cmake -S {0} -B {0}/build && cmake --build {0}/build\n"
      "  {0}/build/{0} --help\n"
      "  {0}/build/{0} --save {0}/runs --report {0}/report.html\n",
      name);
}

}  // namespace retrace::tools
