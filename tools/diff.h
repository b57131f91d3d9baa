#pragma once

#include <string>

namespace retrace::tools {

/// `retrace diff A B`: prints where two traces part first, and how far apart they are. True when
/// they are the same, as trace::compare has it. IoError when there is no sound trace; UsageError
/// for a tolerance that is none.
bool diff(const std::string& path_a, const std::string& path_b, double tolerance);

}  // namespace retrace::tools
