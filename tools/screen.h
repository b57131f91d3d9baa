#pragma once

#include <string>

#include <retrace/tools/stepper.h>

namespace retrace::tools {

/// Shows the stepper on the whole terminal until q; false, with nothing shown, when that cannot be
/// done here: built without ncurses, or an unknown terminal.
bool show_screen(Stepper& stepper, const std::string& title);

}  // namespace retrace::tools
