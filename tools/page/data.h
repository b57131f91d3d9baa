#pragma once

// What the page of a trace is made of, as JSON.

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include <retrace/trace/trace.h>

namespace retrace::page {

/// A position in a trace, null for none.
nlohmann::json id_or_null(trace::Id id);

/// An event as a list: its kind, then its members in the order in which trace.h has them.
nlohmann::json event_data(const trace::Event& event);

/// The kind of work that a step does: "forward", "backward", "update", "training", "change".
std::string phase_of(const trace::Event& event);

/// A tensor that a step shows: "upstream", "g", the numbers.
struct Field {
  std::string role, label;
  trace::Id numbers;
};
/// Of the event that a step is about, and of the sum that may follow it. `state`: after the step.
std::vector<Field> fields(const trace::Trace& trace, const trace::Event& event,
                          const trace::Event* next, const trace::State& state);

/// The rule that the step follows, in symbols; "" where there is none.
std::string formula(const trace::Trace& trace, const trace::Event& event);

}  // namespace retrace::page
