#pragma once

// For .cpp files: ops whose backward works on raw numbers.

#include <string_view>

#include <retrace/autograd/grad_mode.h>
#include <retrace/tensor/check.h>

namespace retrace {

/// AutogradError naming the op when its backward is to be recorded (create_graph), which it cannot
/// be: a second derivative would silently be missing.
inline void require_first_order(std::string_view op) {
  require<AutogradError>(!GradMode::is_enabled(),
                         "{}: second derivatives are not available; go back without create_graph "
                         "here",
                         op);
}

}  // namespace retrace
