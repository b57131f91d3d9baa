#pragma once

// For .cpp files: the rule of every triplet loss.

#include <retrace/tensor/kernels/math.h>

#include <string_view>

namespace retrace::losses {

/// max(0, m + D(a, p) - D(a, n)).
template <class Texts>
struct TripletHinge : Texts {
  static constexpr std::string_view inputs[] = {"D(anchor, positive)", "D(anchor, negative)"};
  double margin;

  template <class T>
  T y(T ap, T an) const {
    return math::max(T(margin) + ap - an, T(0));
  }
  template <class T>
  T dy_da(T ap, T an) const {
    return math::select(T(margin) + ap - an > T(0), T(1), T(0));
  }
  template <class T>
  T dy_db(T ap, T an) const {
    return -dy_da(ap, an);
  }
};

}  // namespace retrace::losses
