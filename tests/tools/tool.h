#pragma once

// The program `retrace`, and what stands in the pages that it writes.

#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <retrace/tests/train/process.h>

namespace retrace::testing {

/// build/, seen from the test program in build/tests.
inline std::string build_folder() {
  const auto self = std::filesystem::read_symlink("/proc/self/exe");
  return self.parent_path().parent_path().string();
}

/// Run in the folder `in`, if it is given.
inline Outcome run_tool(std::vector<std::string> arguments, const std::string& in = ".") {
  const TemporaryFolder folder;
  arguments.insert(arguments.begin(),
                   {"-c", "cd \"$0\" && exec \"$@\"", in, build_folder() + "/tools/retrace"});
  Process process("/bin/sh", std::move(arguments), folder / "out", folder / "err");
  const int code = process.wait();
  return {code, contents_of(folder / "out"), contents_of(folder / "err")};
}

/// What a page gives to its script.
inline nlohmann::json data_of(const std::string& html) {
  const std::string begin = "<script type=\"application/json\" id=\"data\">";
  const std::size_t at = html.find(begin) + begin.size();
  return nlohmann::json::parse(html.substr(at, html.find("</script>", at) - at));
}

}  // namespace retrace::testing
