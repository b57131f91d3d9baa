#pragma once

// The ways on which a tensor has an effect on what a backward pass began at: each goes through one
// contribution after the other, and what all of them bring is the tensor's gradient.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include <retrace/trace/trace.h>

namespace retrace::trace::page {

inline constexpr std::size_t kListedWays = 20;  ///< of a tensor

/// From a tensor to a root of the pass: where it began.
struct Ways {
  Id node;
  std::string count;  ///< "3", "more than 9007199254740992"
  /// Of each way, the product of the local derivatives along it, and their sum, rounded as the
  /// engine does: when each of them is a single number, and all ways are listed. They are listed by
  /// the contribution that came first to the tensor, then likewise to what it came from; of what is
  /// itself a root, the way that ends there comes first.
  std::vector<std::string> products = {};
  std::string sum = {};
  Id gradient = kNone;  ///< that the pass brought; none: the tensor had another before
};

struct Pass {
  std::uint32_t number;       ///< of its events
  std::size_t event;          ///< its first Seed
  std::vector<Id> roots;      ///< where it began, seed by seed
  std::vector<Ways> tensors;  ///< but for the roots
};
std::vector<Pass> passes(const Trace& trace, std::size_t events);

/// Finds the results of an op from which a contribution of its rule comes.
class Sources {
 public:
  /// `trace` must outlive it.
  explicit Sources(const Trace& trace);
  std::vector<Id> of(const Contribution& contribution) const;

 private:
  const Trace& trace_;
  std::map<std::pair<std::uint64_t, std::uint32_t>, Id> further_;  // by op on the tape and output
};

}  // namespace retrace::trace::page
