#include <retrace/tools/output.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include <retrace/train/exit.h>

namespace retrace::tools {

bool print(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return true;
  if (errno == EPIPE) return false;
  throw train::WriteError(fmt::format("standard output: cannot write: {}", std::strerror(errno)));
}

}  // namespace retrace::tools
