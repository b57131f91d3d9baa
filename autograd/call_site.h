#pragma once

#include <string>
#include <vector>

namespace retrace {

/// Return addresses of the calls that led here, innermost first.
std::vector<void*> capture_call_stack();

/// "train.cpp:42 (train_step)": the innermost call of the stack that is outside the library; empty
/// where it cannot be found. With line tables (-g1) and libdw the file and line, else the function.
/// A function that ends in the call (`return a + b;`) may be gone from an optimised stack, and its
/// caller is named; -fno-optimize-sibling-calls keeps it.
std::string describe_call_site(const std::vector<void*>& stack);

}  // namespace retrace
