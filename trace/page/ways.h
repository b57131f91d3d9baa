#pragma once

// The ways on which a tensor has an effect on what a backward pass began at: each goes through one
// contribution after the other, and what all of them bring is the tensor's gradient.

#include <string>
#include <vector>

#include <retrace/trace/trace.h>

namespace retrace::trace::page {

inline constexpr std::size_t kListedWays = 20;  ///< of a tensor

/// From a tensor to where the pass began.
struct Ways {
  Id node;
  std::string count;  ///< "3", "more than 9007199254740992"
  /// Of each way, the product of the local derivatives along it, and their sum, rounded as the
  /// engine does: when each of them is a single number, and all ways are listed. They are listed by
  /// the contribution that came first to the tensor, then likewise to what it came from.
  std::vector<std::string> products = {};
  std::string sum = {};
  Id gradient = kNone;  ///< that the pass brought; none: the tensor had another before
};

struct Pass {
  std::size_t event;  ///< the Seed; its contributions come before the next one
  std::vector<Ways> tensors;
};
std::vector<Pass> passes(const Trace& trace, std::size_t events);

/// The results of an op from which a contribution of its rule comes.
std::vector<Id> sources(const Trace& trace, const Contribution& contribution);

}  // namespace retrace::trace::page
