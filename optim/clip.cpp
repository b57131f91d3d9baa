#include <retrace/optim/clip.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_set>

#include <retrace/tensor/check.h>
#include <retrace/tensor/kernels/reduce.h>
#include <retrace/tensor/observer.h>

namespace retrace::nn::utils {
namespace {

struct SumOfSquares {
  static double initial() { return 0; }
  static double step(double sum, auto x) {
    const auto wide = static_cast<double>(x);
    return sum + wide * wide;
  }
  static double combine(double a, double b) { return a + b; }
  static double finish(double sum) { return sum; }
};

struct SumOfPowers {
  double p, unit = 1;
  static double initial() { return 0; }
  double step(double sum, auto x) const {
    return sum + std::pow(std::abs(static_cast<double>(x)) / unit, p);
  }
  static double combine(double a, double b) { return a + b; }
  static double finish(double sum) { return sum; }
};

struct LargestMagnitude {
  static double initial() { return 0; }
  // NaN wins: no comparison with it holds.
  static double combine(double a, double b) { return a >= b || a != a ? a : b; }
  static double step(double largest, auto x) {
    return combine(largest, std::abs(static_cast<double>(x)));
  }
  static double finish(double largest) { return largest; }
};

// 0 for finite numbers, else NaN. In the elements' own type, for speed.
template <class T>
struct ZeroTimes {
  static T initial() { return 0; }
  static T step(T sum, T x) { return sum + x * T(0); }
  static T combine(T a, T b) { return a + b; }
  static double finish(T sum) { return static_cast<double>(sum); }
};

// Gradients of the parameters that have one, each parameter once.
std::vector<Tensor> gradients_of(std::string_view op, const std::vector<Tensor>& parameters) {
  std::vector<Tensor> gradients;
  std::unordered_set<const TensorData*> seen;
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    require<ValueError>(parameters[k].defined(),
                        "{}: parameter {} is undefined; give it a value first", op, k);
    if (!seen.insert(&parameters[k].get()).second) continue;
    if (Tensor gradient = parameters[k].grad(); gradient.defined())
      gradients.push_back(std::move(gradient));
  }
  return gradients;
}

template <class Reducer>
double reduce_all(const Reducer& reducer, const std::vector<Tensor>& gradients) {
  double total = reducer.initial();
  for (const Tensor& gradient : gradients) {
    const Tensor g = as_contiguous(gradient);
    double part = 0;
    visit(g.dtype(),
          [&]<class T>() { kernels::reduce_rows(reducer, elements<T>(g), 1, g.numel(), &part); });
    total = reducer.combine(total, part);
  }
  return total;
}

// Copies of the gradients, for an observer; undefined where there is none.
std::vector<Tensor> copies_of_gradients(const std::vector<Tensor>& parameters) {
  std::vector<Tensor> copies;
  for (const Tensor& parameter : parameters) {
    const Tensor gradient = parameter.grad();
    copies.push_back(gradient.defined() ? contiguous_copy(gradient) : Tensor());
  }
  return copies;
}

void require_norm_type(std::string_view op, double norm_type) {
  require<ValueError>(norm_type > 0, "{}: norm_type is {}; give a number above 0, or infinity", op,
                      norm_type);
}

double norm_of(const std::vector<Tensor>& gradients, double p) {
  if (std::isinf(p)) return reduce_all(LargestMagnitude(), gradients);
  const double sum =
      p == 2 ? reduce_all(SumOfSquares(), gradients) : reduce_all(SumOfPowers{p}, gradients);
  if (std::isnormal(sum) || std::isnan(sum)) return p == 2 ? std::sqrt(sum) : std::pow(sum, 1 / p);
  // The powers, not the norm, may be beyond the range of double: once more, in units of the
  // largest.
  const double largest = reduce_all(LargestMagnitude(), gradients);
  if (largest == 0 || std::isinf(largest)) return largest;
  return largest * std::pow(reduce_all(SumOfPowers{p, largest}, gradients), 1 / p);
}

template <class T>
void scale_dense(T* g, std::int64_t n, T factor) {
  for (std::int64_t i = 0; i < n; ++i) g[i] *= factor;
}

void scale(const Tensor& gradient, double factor) {
  visit_float(gradient.dtype(), "clip_grad_norm_", [&]<class T>() {
    T* g = elements<T>(gradient);
    parallel_for(gradient.numel(), kernels::kElementGrain,
                 [&](std::int64_t begin, std::int64_t end) {
                   scale_dense(g + begin, end - begin, static_cast<T>(factor));
                 });
  });
  gradient.get().storage->changed();
}

}  // namespace

double clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, double norm_type,
                       bool error_if_nonfinite) {
  require<ValueError>(max_norm >= 0, "clip_grad_norm_: max_norm is {}; give a number of at least 0",
                      max_norm);
  require_norm_type("clip_grad_norm_", norm_type);
  std::vector<Tensor> gradients = gradients_of("clip_grad_norm_", parameters);
  const double norm = norm_of(gradients, norm_type);
  require<ValueError>(
      !error_if_nonfinite || std::isfinite(norm),
      "clip_grad_norm_: the norm of order {} of the gradients is {}; find its cause "
      "with anomaly mode, or pass error_if_nonfinite = false to scale all the same",
      norm_type, norm);
  const double factor = max_norm / (norm + 1e-6);
  UpdateObserver* const observer = UpdateObserver::current();
  const std::vector<Tensor> before =
      observer != nullptr ? copies_of_gradients(parameters) : std::vector<Tensor>();
  const auto tell = [&](double scale) {
    if (observer != nullptr)
      observer->on_clip({norm, norm_type, max_norm, scale, parameters, before});
  };
  if (factor >= 1) {
    tell(1);
    return norm;
  }
  // In place only where every element is its own and nobody's twice: a gradient set on two
  // parameters, or one that repeats elements, would be scaled several times.
  std::vector<Tensor> copies(parameters.size());
  std::vector<const Storage*> seen;
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    const Tensor gradient = parameters[k].grad();
    if (!gradient.defined()) continue;
    const Storage* storage = gradient.get().storage.get();
    const bool again = std::find(seen.begin(), seen.end(), storage) != seen.end();
    if (again || !gradient.is_contiguous()) copies[k] = contiguous_copy(gradient);
    seen.push_back(storage);
  }
  for (std::size_t k = 0; k < parameters.size(); ++k) {
    if (copies[k].defined()) parameters[k].get().grad = copies[k].ref();
    if (const Tensor gradient = parameters[k].grad(); gradient.defined()) scale(gradient, factor);
  }
  tell(factor);
  return norm;
}

double grad_norm(const std::vector<Tensor>& parameters, double norm_type) {
  require_norm_type("grad_norm", norm_type);
  return norm_of(gradients_of("grad_norm", parameters), norm_type);
}

bool are_finite(const std::vector<Tensor>& tensors) {
  return std::all_of(tensors.begin(), tensors.end(), [](const Tensor& tensor) {
    if (!tensor.is_floating_point()) return true;
    const Tensor x = as_contiguous(tensor);
    double sum = 0;
    visit_float(x.dtype(), "are_finite", [&]<class T>() {
      kernels::reduce_rows(ZeroTimes<T>(), elements<T>(x), 1, x.numel(), &sum);
    });
    return sum == 0;
  });
}

bool grads_are_finite(const std::vector<Tensor>& parameters) {
  return are_finite(gradients_of("grads_are_finite", parameters));
}

void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value) {
  require<ValueError>(clip_value >= 0,
                      "clip_grad_value_: clip_value is {}; give a number of at least 0",
                      clip_value);
  for (const Tensor& gradient : gradients_of("clip_grad_value_", parameters)) {
    visit_float(gradient.dtype(), "clip_grad_value_", [&]<class T>() {
      const T limit = static_cast<T>(clip_value);
      kernels::map<T, T>([limit](T g) { return g > limit    ? limit
                                               : g < -limit ? -limit
                                                            : g; },
                         gradient, gradient);
    });
    gradient.get().storage->changed();
  }
}

}  // namespace retrace::nn::utils
