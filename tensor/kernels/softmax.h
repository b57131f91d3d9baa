#pragma once

// Softmax of one dense row, for whatever is fused with it. Rows are short enough to stay in the
// cache, so each pass is a loop of its own.

#include <retrace/tensor/kernels/math.h>
#include <retrace/tensor/kernels/reduce.h>

namespace retrace::kernels {

/// Reducer: the largest element; -infinity of nothing. NaN is passed over: it comes back when the
/// largest is subtracted from it. One instruction a step, for this is a chain of them.
template <class T>
struct Largest {
  T initial() const { return -std::numeric_limits<T>::infinity(); }
  T step(T largest, T x) const { return x > largest ? x : largest; }
  T combine(T a, T b) const { return step(a, b); }
  T finish(T largest) const { return largest; }
};

/// Reducer: Σ x.
template <class T>
struct RowSum {
  double initial() const { return 0; }
  double step(double sum, T x) const { return sum + static_cast<double>(x); }
  double combine(double a, double b) const { return a + b; }
};

/// Reducer: Σ exp(x - shift), shift being the largest x.
template <class T>
struct RowSumExp : RowSum<T> {
  T shift;
  double step(double sum, T x) const {
    return sum + static_cast<double>(math::exp_term(x - shift));
  }
};

/// Reducer: Σ exp(x - shift) of the x that are smaller.
template <class T>
struct RowSumExpBelow : RowSum<T> {
  T shift;
  double step(double sum, T x) const {
    const T depth = x - shift, power = math::exp(depth);
    return sum + static_cast<double>(math::select(depth == T(0), T(0), power));
  }
};

/// Σ a b, in double, in the order of reduce_run.
template <class T>
double dot_run(const T* a, const T* b, std::int64_t n) {
  constexpr int kLanes = 16;
  double lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
    for (int l = 0; l < kLanes; ++l)
      lanes[l] += static_cast<double>(a[i + l]) * static_cast<double>(b[i + l]);
  }
  for (int l = 0; i < n; ++i, ++l)
    lanes[l] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  for (int width = kLanes / 2; width > 0; width /= 2)
    for (int l = 0; l < width; ++l) lanes[l] += lanes[l + width];
  return lanes[0];
}

/// y = exp(x) / Σ exp(x). y may be x.
template <class T>
void softmax_row(const T* x, std::int64_t n, T* y) {
  const T largest = reduce_run(Largest<T>(), x, n);
  dense_row([largest](T v) { return math::exp(v - largest); }, n, y, x);
  const T scale = static_cast<T>(1.0 / reduce_run(RowSum<T>(), y, n));
  dense_row([scale](T e) { return e * scale; }, n, y, y);
}

/// ln Σ exp(x) = largest + log_sum: apart, so that subtracting them one by one from an x of the
/// size of `largest` rounds only once. A small log_sum, of a row that is almost sure, has all its
/// digits, too.
template <class T>
struct LogSumExp {
  T largest, log_sum;
};
template <class T>
LogSumExp<T> log_sum_exp_row(const T* x, std::int64_t n) {
  const T largest = reduce_run(Largest<T>(), x, n);
  const double sum = reduce_run(RowSumExp<T>{{}, largest}, x, n);
  // Beside the 1 of the largest, which then is alone, the others would lose digits of T.
  constexpr double kSure = std::min(0.5, 0x1p-46 / double{std::numeric_limits<T>::epsilon()});
  if (sum - 1 < kSure && n > 0)
    return {largest, static_cast<T>(std::log1p(reduce_run(RowSumExpBelow<T>{{}, largest}, x, n)))};
  return {largest, static_cast<T>(std::log(sum))};
}

/// y = x - ln Σ exp(x). y may be x.
template <class T>
void log_softmax_row(const T* x, std::int64_t n, T* y) {
  const auto [largest, log_sum] = log_sum_exp_row(x, n);
  const T first = largest, second = log_sum;
  dense_row([first, second](T v) { return v - first - second; }, n, y, x);
}

}  // namespace retrace::kernels
