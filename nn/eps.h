#pragma once

// For .cpp files: what all norms ask of eps.

#include <cmath>
#include <string_view>

#include <retrace/tensor/check.h>

namespace retrace::nn {

inline void require_eps(std::string_view type, double eps) {
  require<ValueError>(std::isfinite(eps) && eps >= 0,
                      "{}: eps is {}; give a finite number of at least 0", type, eps);
}

}  // namespace retrace::nn
