#include <retrace/losses/elementwise.h>
#include <retrace/losses/regression.h>

namespace retrace::losses {
namespace {

struct Mse {
  static constexpr std::string_view op = "mse_loss", formula = "y = (x - t)², reduced",
                                    gradient = "dx = 2 g · (x - t) / n, dt = -dx";
  template <class T>
  T y(T x, T t) const {
    return (x - t) * (x - t);
  }
  template <class T>
  T dy_da(T x, T t) const {
    return T(2) * (x - t);
  }
  template <class T>
  T dy_db(T x, T t) const {
    return T(2) * (t - x);
  }
};

struct L1 {
  static constexpr std::string_view op = "l1_loss", formula = "y = |x - t|, reduced",
                                    gradient = "dx = g · sign(x - t) / n, dt = -dx";
  template <class T>
  T y(T x, T t) const {
    return math::abs(x - t);
  }
  template <class T>
  T dy_da(T x, T t) const {
    return math::sign(x - t);
  }
  template <class T>
  T dy_db(T x, T t) const {
    return math::sign(t - x);
  }
};

}  // namespace

Tensor mse_loss(const Tensor& input, const Tensor& target, const ReductionOptions& options) {
  return reduced(Mse(), options.reduction, input, target);
}

Tensor l1_loss(const Tensor& input, const Tensor& target, const ReductionOptions& options) {
  return reduced(L1(), options.reduction, input, target);
}

}  // namespace retrace::losses
