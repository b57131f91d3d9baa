#pragma once

// A page as a browser shows it: Debian's chromium, without a window.

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>

#include <doctest/doctest.h>

#include <retrace/tests/train/process.h>

namespace retrace::testing {

inline std::string browser() {
  const char* path = std::getenv("PATH");
  std::istringstream folders(path == nullptr ? "" : path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    for (const char* name : {"chromium", "chromium-browser", "google-chrome"}) {
      if (const auto file = std::filesystem::path(folder) / name; std::filesystem::exists(file))
        return file.string();
    }
  }
  return "";
}

/// Says so when there is none; rules.cpp knows the message.
inline bool has_browser() {
  const bool found = !browser().empty();
  if (!found) MESSAGE("skipped: no chromium was found; install Debian's package of that name");
  return found;
}

struct Visit {
  std::string dom;      ///< the page after its scripts have run
  std::string console;  ///< what they wrote there, errors included

  /// Of the <html> element.
  std::string attribute(const std::string& name) const {
    const std::size_t at = dom.find(" " + name + "=\"");
    if (at == std::string::npos) return "";
    const std::size_t begin = at + name.size() + 3;
    return dom.substr(begin, dom.find('"', begin) - begin);
  }
  /// Of a <pre> with this id.
  std::string text_of(const std::string& id) const {
    const std::string begin = "<pre id=\"" + id + "\">";
    const std::size_t at = dom.find(begin);
    if (at == std::string::npos) return "";
    return dom.substr(at + begin.size(), dom.find("</pre>", at) - at - begin.size());
  }
};

inline Visit open_in_browser(const std::string& address, int width, int height) {
  const TemporaryFolder folder;
  Process process(browser(),
                  {"--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
                   "--virtual-time-budget=3000", "--user-data-dir=" + folder / "profile",
                   "--window-size=" + std::to_string(width) + "," + std::to_string(height),
                   "--dump-dom", address},
                  folder / "dom", folder / "log");
  CHECK(process.wait() == 0);
  Visit visit{.dom = contents_of(folder / "dom"), .console = ""};
  std::istringstream log(contents_of(folder / "log"));
  for (std::string line; std::getline(log, line);)
    if (says(line, "CONSOLE")) visit.console += line + "\n";
  return visit;
}

}  // namespace retrace::testing
