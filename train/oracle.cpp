#include <retrace/autograd/grad_mode.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/tensor/check.h>
#include <retrace/train/oracle.h>

#include <cmath>

namespace retrace::train {

Tensor smallest(const std::function<Tensor(const Tensor& x)>& f, const Tensor& low,
                const Tensor& high) {
  require<ShapeError>(low.sizes() == high.sizes(),
                      "smallest: low is {}, high is {}; give both one shape", low.sizes(),
                      high.sizes());
  const NoGradGuard unrecorded;
  const double ratio = (std::sqrt(5.0) - 1) / 2;
  Tensor left = low, right = high;
  // Two points inside; the next interval keeps one of them and its value.
  Tensor a = right - ratio * (right - left), b = left + ratio * (right - left);
  Tensor at_a = f(a), at_b = f(b);
  constexpr int kSections = 40;  // 0.618^40 < 1e-8
  for (int i = 0; i < kSections; ++i) {
    const Tensor go_left = le(at_a, at_b);
    left = where(go_left, left, a);
    right = where(go_left, b, right);
    const Tensor kept = where(go_left, a, b), at_kept = where(go_left, at_a, at_b);
    const Tensor fresh =
        where(go_left, right - ratio * (right - left), left + ratio * (right - left));
    const Tensor at_fresh = f(fresh);
    a = where(go_left, fresh, kept);
    at_a = where(go_left, at_fresh, at_kept);
    b = where(go_left, kept, fresh);
    at_b = where(go_left, at_kept, at_fresh);
  }
  return 0.5 * (left + right);
}

}  // namespace retrace::train
