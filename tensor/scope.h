#pragma once

#include <string>

namespace retrace {

/// Something with a place in the program, such as a module: `block0.norm`.
class Place {
 public:
  virtual std::string path() const = 0;

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

 private:
  const Place* place_;
  PlaceScope* outer_;
  static thread_local PlaceScope* innermost_;
};

}  // namespace retrace
