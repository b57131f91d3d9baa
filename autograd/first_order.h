#pragma once

// Ops of one's own whose backward works on raw numbers. (Those of the library all have second
// derivatives; recorded_backward() in autograd/composite.h is the way to them.)

#include <string_view>

namespace retrace {

/// AutogradError naming the op when its backward is to be recorded (create_graph), which it cannot
/// be: a second derivative would silently be missing.
void require_first_order(std::string_view op);

}  // namespace retrace
