#pragma once

// For .cpp files: a rule for losses/elementwise.h that depends on the error alone.

namespace retrace::losses {

/// A rule of input and target made of one of their difference d: value(d) and its derivative
/// slope(d). The gradient of the target is minus that of the input.
template <class Rule>
struct OfError : Rule {
  template <class T>
  T y(T x, T t) const {
    return this->value(x - t);
  }
  template <class T>
  T dy_da(T x, T t) const {
    return this->slope(x - t);
  }
  template <class T>
  T dy_db(T x, T t) const {
    return -this->slope(x - t);
  }
};

}  // namespace retrace::losses
