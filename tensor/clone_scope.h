#pragma once

#include <utility>
#include <vector>

#include <retrace/tensor/tensor.h>

namespace retrace {

/// While it lives, copying a handle to one of its tensors on this thread gives a handle to the
/// tensor's stand-in. That is how a module of any type is cloned: copying the C++ object copies
/// its handles, and each then points to the copy.
class CloneScope {
 public:
  CloneScope();
  ~CloneScope();
  CloneScope(const CloneScope&) = delete;
  CloneScope& operator=(const CloneScope&) = delete;

  void add(const Tensor& original, Tensor stand_in);
  /// The stand-in of `original`, or undefined when this scope has none for it.
  Tensor stand_in(const Tensor& original) const;

  static CloneScope* current();

 private:
  std::vector<std::pair<Tensor, Tensor>> pairs_;
  CloneScope* outer_;
};

}  // namespace retrace
