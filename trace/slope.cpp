#include <retrace/trace/slope.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace retrace::trace {

Slope slope_at_zero(const std::function<double(double)>& f, double h, double rounding) {
  constexpr std::size_t kSteps = 8;
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  Slope best{std::numeric_limits<double>::quiet_NaN(), kInfinity};
  std::array<double, kSteps> older{}, before{}, now{};  // rows of Neville's triangle
  for (std::size_t i = 0; i < kSteps; ++i, h /= 2) {
    now[0] = (f(h) - f(-h)) / (2 * h);
    const double unsure = rounding / h;
    if (i == 0) best = {now[0], kInfinity};
    double power = 1, apart = kInfinity;
    for (std::size_t k = 1; k <= i; ++k) {
      power *= 4;  // the error of a central difference goes with the square of its step
      now[k] = (power * now[k - 1] - before[k - 1]) / (power - 1);
      if (k == i) continue;
      // Three that agree: at a kink two may do so by chance.
      apart = std::max({std::abs(now[k] - now[k - 1]), std::abs(now[k] - before[k - 1]),
                        std::abs(before[k - 1] - older[k - 1])});
      if (apart + unsure < best.error) best = {now[k], apart + unsure};
    }
    // Smaller steps only add rounding from here on.
    if (i > 1 && (unsure > best.error || apart > 4 * best.error)) break;
    older = before;
    before = now;
  }
  return best;
}

}  // namespace retrace::trace
