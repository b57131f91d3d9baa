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
  /// All elements were compared, or their hashes are equal. Else these are the distances of those
  /// that both traces kept, and others may lie further apart.
  bool whole = true;
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
  /// The same events, ops and shapes, and the same numbers within the tolerance, as far as both
  /// traces tell: see in_part.
  bool same() const { return structure.empty() && differing == 0; }

  /// Differences of what was computed, in words and in order: another op, another shape.
  std::vector<std::string> structure;
  /// The first difference of numbers, in words; "" when there is none.
  std::string first;
  std::size_t compared = 0, differing = 0;  ///< tensors and plain numbers of aligned events
  /// Tensors that do not differ, as far as their corners and summaries tell: elements that were not
  /// kept may.
  std::size_t in_part = 0;
  std::vector<Row> rows;
  std::string note;  ///< what a tolerance allows, but should be known: other dtypes
};

/// Aligns the events of two traces in order and compares what they say. Two numbers count as the
/// same when they have the same bits, or with a tolerance when
/// |a - b| ≤ tolerance · the largest |a|, |b| of their tensors; dtypes may then differ. Integers,
/// booleans and counts are the same only when they are equal. ValueError when the tolerance is
/// negative or not finite.
///
/// Tensors that are not kept whole are the same when their hashes are equal. When these are not,
/// they differ; but a tolerance may allow it, which is then held against corners and summaries, as
/// it is where a hash is missing or the dtypes differ: Comparison::in_part.
Comparison compare(const Trace& a, const Trace& b, double tolerance = 0);

}  // namespace retrace::trace
