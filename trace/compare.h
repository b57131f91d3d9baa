#pragma once

// Two traces side by side: where they part first, and how far apart they end.

#include <optional>
#include <string>
#include <vector>

#include <retrace/trace/trace.h>

namespace retrace::trace {

/// How far numbers lie apart.
struct Distance {
  bool same = true;     ///< within the tolerance
  double absolute = 0;  ///< max |a - b|; infinite where one is NaN or infinite and the other is not
  double relative = 0;  ///< that, divided by the largest |a|, |b| of the tensor
  void widen(const Distance& other);
};

/// What two traces have in common, and where they differ.
struct Comparison {
  /// Of a parameter, or of the loss: the largest distances over the whole traces. None where one of
  /// them has nothing to compare.
  struct Row {
    std::string name;
    std::optional<Distance> value, gradient, update;
  };
  /// The same events, ops and shapes, and the same numbers within the tolerance.
  bool same() const { return structure.empty() && differing == 0; }

  /// Differences of what was computed, in words and in order: another op, another shape.
  std::vector<std::string> structure;
  /// The first difference of numbers, in words; "" when there is none.
  std::string first;
  std::size_t compared = 0, differing = 0;  ///< tensors and plain numbers of aligned events
  std::vector<Row> rows;
  std::string note;  ///< what a tolerance allows, but should be known: other dtypes
};

/// Aligns the events of two traces in order and compares what they say. Two numbers count as the
/// same when they have the same bits, or with a tolerance when
/// |a - b| ≤ tolerance · the largest |a|, |b| of their tensors; dtypes may then differ. Integers,
/// booleans and counts are the same only when they are equal. ValueError when the tolerance is
/// negative or not finite.
Comparison compare(const Trace& a, const Trace& b, double tolerance = 0);

}  // namespace retrace::trace
