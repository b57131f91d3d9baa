#pragma once

// What the page of a trace is made of, as JSON.

#include <string>
#include <vector>

#include <retrace/tensor/json.h>
#include <retrace/trace/trace.h>

namespace retrace::trace::page {

/// A position in a trace, null for none.
nlohmann::json id_or_null(Id id);

/// An event as a list: its kind, then its members in the order in which trace.h has them.
nlohmann::json event_data(const Event& event);

/// The kind of work that a step does: "forward", "backward", "update", "training", "change".
std::string phase_of(const Event& event);

/// A tensor that a step shows: "upstream", "g", the numbers. Of a step that is a product of two
/// matrices, three have dims (product.h): its factors, then its result.
struct Field {
  std::string role, label;
  Id numbers;
  std::string letter = {}, dims = {};
};
/// Of the event that a step is about, and of the sum that may follow it. `state`: after the step.
std::vector<Field> fields(const Trace& trace, const Event& event, const Event* next,
                          const State& state);

/// The rule that the step follows, in symbols; "" where there is none.
std::string formula(const Trace& trace, const Event& event);

}  // namespace retrace::trace::page
