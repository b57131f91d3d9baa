#pragma once

#include <string>

namespace retrace {

struct TensorData;

/// Something with a place in the program, such as a module: `block0.norm`.
class Place {
 public:
  virtual std::string path() const = 0;
  /// "block0.norm.weight" for one of its own tensors; empty for others.
  virtual std::string name_of(const TensorData& tensor) const {
    static_cast<void>(tensor);
    return {};
  }

 protected:
  ~Place() = default;
};

/// While a PlaceScope lives, errors and recorded ops of this thread name its place.
/// Scopes nest; the innermost one with a name counts.
class PlaceScope {
 public:
  explicit PlaceScope(const Place& place) : place_(&place), outer_(innermost_) {
    innermost_ = this;
  }
  ~PlaceScope() { innermost_ = outer_; }
  PlaceScope(const PlaceScope&) = delete;
  PlaceScope& operator=(const PlaceScope&) = delete;

  /// Path of the innermost named place on this thread; empty outside of all.
  static std::string current();
  /// What the innermost place that knows it calls a tensor; empty when none does.
  static std::string name_of(const TensorData& tensor);

 private:
  const Place* place_;
  PlaceScope* outer_;
  static thread_local PlaceScope* innermost_;
};

}  // namespace retrace
