#pragma once

#include <variant>
#include <vector>

#include <retrace/trace/trace.h>

namespace retrace::testing {

/// All events of one kind, in their order.
template <class E>
std::vector<E> events_of(const trace::Trace& trace) {
  std::vector<E> found;
  for (const trace::Event& event : trace.events) {
    if (const auto* e = std::get_if<E>(&event)) found.push_back(*e);
  }
  return found;
}

}  // namespace retrace::testing
