#pragma once

// For .cpp files: what every normalisation computes for a slice of numbers that share a mean.

#include <cmath>

#include <retrace/autograd/node.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/tensor/kernels/math.h>
#include <retrace/tensor/kernels/reduce.h>

namespace retrace {

/// Mean and 1 / sqrt(var + eps) of one slice; 0 instead of 1 / 0, so that n is 0 where nothing
/// deviates from the mean. mean + low is the mean beyond the digits of a double.
struct Statistics {
  Statistics(double m, double var, double eps, double l = 0)
      : mean(m), rstd(var + eps == 0 ? 0.0 : 1.0 / std::sqrt(var + eps)), low(l) {}
  double mean, rstd, low;
};
/// Of so many slices, a row each.
inline Tensor empty_statistics(std::int64_t slices) { return empty({slices, 3}, kFloat64); }

/// n by ops that record themselves, for second derivatives: `x` in double, whose squares neither
/// overflow nor vanish, `dims` a slice's, its mean 0 unless `centered`.
inline Tensor normalized_by_ops(const Tensor& x, const Shape& dims, bool centered, double eps,
                                const Tensor& statistics) {
  const auto less_mean = [&](const Tensor& of) { return of - of.mean(dims, /*keepdim=*/true); };
  // Twice: rounding leaves a part of a mean that is far from 0.
  const Tensor offsets = centered ? less_mean(less_mean(x)) : x;
  const Tensor var = offsets.square().mean(dims, /*keepdim=*/true);
  const Tensor none =
      without_recording([&] { return eq(statistics.select(1, 1), 0.0).reshape(var.sizes()); });
  return offsets / sqrt(masked_fill(var + eps, none, std::numeric_limits<double>::infinity()));
}

inline constexpr std::int64_t kLanes = 16;

/// Mean and (biased) variance of runs of numbers. One pass, shifted by an element: its distance
/// from the mean is at most sqrt(n) deviations, so that what cancels in double is nothing that
/// float32 could show.
class Moments {
 public:
  explicit Moments(double shift) : shift_(shift) {}

  template <class T>
  void add(const T* x, std::int64_t n) {
    // In local arrays: as members they might be what x points to.
    double sum[kLanes], square[kLanes];
    std::copy_n(sum_, kLanes, sum);
    std::copy_n(square_, kLanes, square);
    std::int64_t i = 0;
    const auto lane = [&](std::int64_t at, std::int64_t l) {
      const double d = static_cast<double>(x[at]) - shift_;
      sum[l] += d;
      square[l] = math::mul_add(d, d, square[l]);
    };
    for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
      for (std::int64_t l = 0; l < kLanes; ++l) lane(i + l, l);
    }
    for (std::int64_t l = 0; i < n; ++i, ++l) lane(i, l);
    std::copy_n(sum, kLanes, sum_);
    std::copy_n(square, kLanes, square_);
    count_ += n;
  }

  double var() const { return var_about(distance()); }
  Statistics statistics(double eps) const {
    const double d = distance(), mean = shift_ + d;
    return {mean, var_about(d), eps, shift_ - mean + d};
  }
  /// Mean of the squares of x - shift.
  double mean_square() const {
    return kernels::sum_lanes<kLanes>(square_) / static_cast<double>(count_);
  }

 private:
  double var_about(double d) const {
    // Rounding may leave it a trifle below 0; a NaN stays one.
    return math::max(mean_square() - d * d, 0.0);
  }
  double distance() const { return kernels::sum_lanes<kLanes>(sum_) / static_cast<double>(count_); }

  double shift_, sum_[kLanes] = {}, square_[kLanes] = {};
  std::int64_t count_ = 0;
};

/// n = (x - mean) · rstd for numbers of type T. The mean is taken away in two parts, or its
/// rounding to T would shift a slice that lies far from 0.
template <class T>
struct Normalize {
  explicit Normalize(const Statistics& s)
      : center(static_cast<T>(s.mean)),
        rstd(static_cast<T>(s.rstd)),
        rest(static_cast<T>((static_cast<double>(center) - s.mean - s.low) * s.rstd)) {}
  T operator()(T x) const { return math::mul_add(x - center, rstd, rest); }
  T center, rstd, rest;
};

/// Elements that are summed in T; sums of such blocks are added up in double.
inline constexpr std::int64_t kSumBlock = 1024;

}  // namespace retrace
