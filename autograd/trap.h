#pragma once

// For the engine: stopping in a debugger at a node of the tape.

#include <cstdint>

namespace retrace {

struct Step;

/// The node number in the environment variable RETRACE_TRAP_NODE, read once; 0: there is none.
/// ValueError when it is no number of a node.
std::uint64_t trap_node();

/// Stops here, where a debugger sees `step`: it says so on standard error and raises SIGTRAP, which
/// ends a program without a debugger.
void trap(const Step& step);

}  // namespace retrace
