#pragma once

#include <string>

namespace retrace::tools {

/// Writes the text to standard output, to the end. False when nobody reads any more, as behind
/// `| head`; WriteError when it cannot be written for another reason.
bool print(const std::string& text);

}  // namespace retrace::tools
