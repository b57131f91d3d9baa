#pragma once

#include <optional>
#include <string>

namespace retrace::tools {

/// `retrace step TRACE`: full screen on a terminal, else or if `plain` all steps, a paragraph each.
/// With `script`, keys with spaces between them ("n n p g 17 q"), what each of them shows. IoError
/// when there is no sound trace; UsageError for a key that needs something and has nothing, and, at
/// the end of the script, for the first that could not do what it says.
void step(const std::string& path, bool plain, const std::optional<std::string>& script);

}  // namespace retrace::tools
