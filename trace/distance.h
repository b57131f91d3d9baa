#pragma once

// For .cpp files: how far numbers of two traces lie apart.

#include <string>
#include <vector>

#include <retrace/trace/compare.h>

namespace retrace::trace {

/// A difference between two tensors: its size, and where it is largest.
struct Difference {
  Distance distance;  ///< of elements; one that is known of a summary alone has none
  std::string where;  ///< "element [1, 0]", "mean"
  std::string a, b;   ///< the two numbers there
  Distance there;     ///< of these two
  std::int64_t differing = 0, compared = 0;
};

/// Compares element by element; of what is not kept whole in one of them, the corners, the hashes
/// and the summaries. Shapes must be equal. The same: bit for bit (any NaN equals any other), or,
/// with a tolerance, |a - b| ≤ tolerance · the largest |a|, |b| of the two tensors; integers:
/// equal.
Difference difference(const Numbers& a, const Numbers& b, double tolerance);

/// Of all parameters, and of what backward began at. `partner`: of each node of `a`, the node of
/// `b` that plays its part; where there is none, one of the same name that has no partner does.
std::vector<Comparison::Row> parameter_distances(const Trace& a, const Trace& b,
                                                 const std::vector<Id>& partner, double tolerance);

/// Of after - before, as far as the elements were kept.
Distance update_distance(const Numbers& before_a, const Numbers& after_a, const Numbers& before_b,
                         const Numbers& after_b);

/// Of two plain numbers.
Distance distance(double a, double b, double tolerance);

}  // namespace retrace::trace
