#pragma once

// Ops whose backward works on raw numbers.

#include <string_view>

namespace retrace {

/// AutogradError naming the op when its backward is to be recorded (create_graph), which it cannot
/// be: a second derivative would silently be missing.
void require_first_order(std::string_view op);
[[noreturn]] void refuse_second_order(std::string_view op);

}  // namespace retrace
