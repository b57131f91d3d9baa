#pragma once

// The heap of a test program, all of malloc, which counts what is in use, and of which any request
// can be made to fail. For builds without sanitizers, which have a heap of their own. The pool of
// such a program passes on every request (RETRACE_NO_POOL).

#include <cstddef>

namespace heap {

long blocks_in_use();
std::size_t bytes();

/// The most bytes that were in use since reset_peak().
std::size_t peak();
void reset_peak();

/// The request for memory number `request` from now on fails, counted from 1; with `lasting`, so do
/// all after it.
void fail_at(long request, bool lasting);
/// No more failures. Whether there was one since fail_at().
bool stop_failing();

}  // namespace heap
