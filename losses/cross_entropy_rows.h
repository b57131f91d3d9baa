#pragma once

// For .cpp files: the loops of cross_entropy. Exponentials are the work, so rows are taken in
// groups that stay in the first cache, and what is summed is summed in lanes.

#include <retrace/tensor/kernels/loop.h>
#include <retrace/tensor/kernels/math.h>
#include <retrace/tensor/kernels/reduce.h>

#include <algorithm>
#include <utility>

namespace retrace::losses {

inline constexpr std::int64_t kLanes = 32;
inline constexpr std::int64_t kPiece =
    1024;  // elements that are worked on at a time, in the first cache

template <class T>
T largest(const T* z, std::int64_t n) {
  if (n < 2 * kLanes) {
    T best = z[0];
    for (std::int64_t i = 1; i < n; ++i) best = z[i] > best ? z[i] : best;
    return best;
  }
  T lanes[kLanes];
  std::copy_n(z, kLanes, lanes);
  std::int64_t i = kLanes;
  for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
    for (std::int64_t l = 0; l < kLanes; ++l) lanes[l] = z[i + l] > lanes[l] ? z[i + l] : lanes[l];
  }
  for (; i < n; ++i) lanes[0] = z[i] > lanes[0] ? z[i] : lanes[0];
  for (std::int64_t l = 1; l < kLanes; ++l) lanes[0] = lanes[l] > lanes[0] ? lanes[l] : lanes[0];
  return lanes[0];
}

/// Σ x of at most kPiece elements.
template <class T>
T sum_of_piece(const T* x, std::int64_t n) {
  T sum = 0;
  std::int64_t i = 0;
  if (n >= 2 * kLanes) {
    T lanes[kLanes] = {};
    for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
      for (std::int64_t l = 0; l < kLanes; ++l) lanes[l] += x[i + l];
    }
    sum = kernels::sum_lanes<kLanes>(lanes);
  }
  for (; i < n; ++i) sum += x[i];
  return sum;
}

/// Σ f(k), in double.
template <class F>
double sum_of(std::int64_t n, F f) {
  double sum = 0;
  std::int64_t k = 0;
  if (n >= kLanes) {
    double lanes[kLanes] = {};
    for (; k + kLanes <= n; k += kLanes) {
#pragma omp simd
      for (std::int64_t l = 0; l < kLanes; ++l) lanes[l] += static_cast<double>(f(k + l));
    }
    sum = kernels::sum_lanes<kLanes>(lanes);
  }
  for (; k < n; ++k) sum += static_cast<double>(f(k));
  return sum;
}

template <class T>
void exp_of_row(const T* z, std::int64_t columns, T max, T* out) {
  kernels::dense_row([max](T v) { return math::exp(v - max); }, columns, out, z);
}

/// Place of the first x that is `value`, or 0.
template <class T>
std::int64_t place_of(T value, const T* x, std::int64_t n) {
  std::int64_t first = 0, place = 0;
  for (int found = 0; first + kLanes <= n; first += kLanes) {
#pragma omp simd reduction(| : found)
    for (std::int64_t l = 0; l < kLanes; ++l) found |= static_cast<int>(x[first + l] == value);
    if (found != 0) break;
  }
  for (std::int64_t i = std::min(n, first + kLanes) - 1; i >= first; --i)
    place = x[i] == value ? i : place;
  return place;
}

/// What forward keeps of a row: softmax · Σ w q = exp(z - max) · factor, and dz / g of the pivot.
template <class T>
struct RowFacts {
  T max, factor, slope;
};

/// Of each row of a group: exp(z - max) of the pivot and summed over the others, 1 / Σ exp(z -
/// max), and ln of that sum.
template <class T>
struct GroupSums {
  T own[kPiece], others[kPiece], inverse[kPiece], log_sum[kPiece];

  void finish(std::int64_t rows) {  // from the first two
#pragma omp simd
    for (std::int64_t r = 0; r < rows; ++r) {
      log_sum[r] = math::log1p(others[r] + (own[r] - T(1)));
      inverse[r] = T(1) / (own[r] + others[r]);
    }
  }
};

/// out = exp(z - max) for several rows. Those of few classes are too short to be vectorised one by
/// one.
template <class T>
void exp_of_rows(const T* z, std::int64_t rows, std::int64_t columns, const RowFacts<T>* facts,
                 T* out) {
  if (columns >= kLanes) {
    for (std::int64_t r = 0; r < rows; ++r)
      exp_of_row(z + r * columns, columns, facts[r].max, out + r * columns);
    return;
  }
  for (std::int64_t r = 0; r < rows; ++r) {
    const T max = facts[r].max;
    for (std::int64_t c = 0; c < columns; ++c) out[r * columns + c] = z[r * columns + c] - max;
  }
  kernels::dense_row([](T v) { return math::exp(v); }, rows * columns, out, out);
}

// Cross-entropy of rows --------------------------------------------------------------------------

/// Rows of logits and their targets, classes or probabilities.
template <class T>
struct Rows {
  std::int64_t count, classes;
  const T* logits;
  const std::int64_t* target;  // or null,
  const T* probabilities;      // or null
  const T* weight;             // null: all 1
  std::int64_t ignore_index;
  T kept, spread;  // 1 - ε and ε / C
  double weights;  // Σ w

  T weight_of(std::int64_t k) const { return weight == nullptr ? T(1) : weight[k]; }
  bool ignored(std::int64_t row) const { return target && target[row] == ignore_index; }

  /// The class whose p and q may both be almost 1, of a row that is not ignored. So that the digits
  /// of small losses and slopes are right, 1 - p is found as the share of the other classes.
  std::int64_t pivot(std::int64_t row, T max) const {
    return target != nullptr ? target[row] : place_of(max, logits + row * classes, classes);
  }

  /// Rows that are worked on together: several whole ones, or one that is long.
  std::int64_t group() const { return std::max<std::int64_t>(1, kPiece / classes); }
  template <class F>
  void for_groups(F f) const {
    const std::int64_t size = group(), groups = (count + size - 1) / size;
    parallel_for(groups, kernels::grain_of(size, classes),
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i)
                     f(i * size, std::min(size, count - i * size));
                 });
  }

  /// Finds the largest logits of a group, and its sums.
  void largest_and_sums(std::int64_t first, std::int64_t rows, RowFacts<T>* facts,
                        GroupSums<T>& sums) const {
    const T* z = logits + first * classes;
    T e[kPiece];
    for (std::int64_t r = 0; r < rows; ++r) facts[r].max = largest(z + r * classes, classes);
    if (classes <= kPiece) {
      exp_of_rows(z, rows, classes, facts, e);
      for (std::int64_t r = 0; r < rows; ++r)
        sums.own[r] = ignored(first + r)
                          ? T(0)
                          : std::exchange(e[r * classes + pivot(first + r, facts[r].max)], T(0));
      for (std::int64_t r = 0; r < rows; ++r)
        sums.others[r] = sum_of_piece(e + r * classes, classes);
    } else {
      const std::int64_t p = pivot(first, facts->max);
      double total = 0;
      for (std::int64_t c = 0; c < classes; c += kPiece) {
        const std::int64_t n = std::min(kPiece, classes - c);
        exp_of_row(z + c, n, facts->max, e);
        if (p >= c && p < c + n) sums.own[0] = std::exchange(e[p - c], T(0));
        total += static_cast<double>(sum_of_piece(e, n));
      }
      sums.others[0] = static_cast<T>(total);
    }
    sums.finish(rows);
  }

  /// Loss of a row, the r-th of its group.
  T loss_of_class(std::int64_t row, const GroupSums<T>& sums, std::int64_t r,
                  RowFacts<T>& f) const {
    if (ignored(row)) return f.factor = f.slope = T(0);
    const T* z = logits + row * classes;
    const T own = weight_of(target[row]), w = kept * own, max = f.max;
    T loss = w * ((max - z[target[row]]) + sums.log_sum[r]), total = w;
    f.slope = -w * (sums.others[r] * sums.inverse[r]);
    if (spread != T(0)) {
      const double gaps = weight == nullptr
                              ? sum_of(classes, [=](std::int64_t k) { return max - z[k]; })
                              : sum_of(classes, [=, w_of = weight](std::int64_t k) {
                                  return w_of[k] * (max - z[k]);
                                });
      loss += static_cast<T>(static_cast<double>(spread) *
                             (gaps + weights * static_cast<double>(sums.log_sum[r])));
      total += static_cast<T>(static_cast<double>(spread) * weights);
      f.slope += spread * (static_cast<T>(weights) * (sums.own[r] * sums.inverse[r]) - own);
    }
    f.factor = total * sums.inverse[r];
    return loss;
  }

  /// f(w q of class k, as a function of k) of a row of probabilities.
  template <class F>
  auto with_shares(std::int64_t row, F f) const {
    const T *q = probabilities + row * classes, *w = weight, a = kept, b = spread;
    if (w == nullptr) return f([=](std::int64_t k) { return math::mul_add(a, q[k], b); });
    return f([=](std::int64_t k) { return w[k] * math::mul_add(a, q[k], b); });
  }

  /// w q of all rows and classes.
  void shares(T* out) const {
    for (std::int64_t r = 0; r < count; ++r, out += classes) {
      if (probabilities != nullptr) {
        with_shares(r, [&](auto share) {
          for (std::int64_t k = 0; k < classes; ++k) out[k] = share(k);
        });
        continue;
      }
      for (std::int64_t k = 0; k < classes; ++k) {
        const T q = math::mul_add(kept, T(target[r] == k), spread);
        out[k] = ignored(r) ? T(0) : weight_of(k) * q;
      }
    }
  }

  T loss_of_probabilities(std::int64_t row, const GroupSums<T>& sums, std::int64_t r,
                          RowFacts<T>& f) const {
    const T *z = logits + row * classes, max = f.max;
    const std::int64_t p = pivot(row, max);
    return with_shares(row, [&](auto share) {
      const double others = sum_of(classes, [=](std::int64_t k) {
        const T q = share(k);
        return math::select(k == p, T(0), q);
      });
      const double gaps = sum_of(classes, [=](std::int64_t k) {
        const T q = share(k);
        return math::select(q == T(0), T(0), q * (max - z[k]));  // not 0 · inf
      });
      const auto own = static_cast<double>(share(p));
      const double total = own + others, inverse = static_cast<double>(sums.inverse[r]);
      const double missing = static_cast<double>(sums.others[r]) * inverse;
      f.factor = static_cast<T>(total * inverse);
      f.slope =
          static_cast<T>(missing < 0.5 ? others - total * missing
                                       : total * static_cast<double>(sums.own[r]) * inverse - own);
      return static_cast<T>(gaps + total * static_cast<double>(sums.log_sum[r]));
    });
  }

  void forward(T* losses, RowFacts<T>* all_facts) const {
    for_groups([&](std::int64_t first, std::int64_t rows) {
      RowFacts<T>* facts = all_facts + first;
      if (rows == 1 && ignored(first)) {  // nothing else of the group needs its exponentials
        losses[first] = T(0);
        *facts = {};
        return;
      }
      GroupSums<T> sums;
      largest_and_sums(first, rows, facts, sums);
      for (std::int64_t r = 0; r < rows; ++r) {
        losses[first + r] = target != nullptr ? loss_of_class(first + r, sums, r, facts[r])
                                              : loss_of_probabilities(first + r, sums, r, facts[r]);
      }
    });
  }

  /// dz holds exp(z - max) of columns [begin, begin + n) of a row, p being its pivot, and becomes
  /// its gradient.
  void finish(std::int64_t row, std::int64_t begin, std::int64_t n, T g, const RowFacts<T>& f,
              std::int64_t p, T* dz) const {
    if (ignored(row)) {
      std::fill_n(dz, n, T(0));
      return;
    }
    const T a = g * f.factor, b = -g * spread;
    if (probabilities != nullptr) {
      with_shares(row, [=](auto share) {
#pragma omp simd
        for (std::int64_t k = 0; k < n; ++k) dz[k] = math::mul_add(a, dz[k], -g * share(begin + k));
      });
    } else if (weight == nullptr || spread == T(0)) {
#pragma omp simd
      for (std::int64_t k = 0; k < n; ++k) dz[k] = math::mul_add(a, dz[k], b);
    } else {
#pragma omp simd
      for (std::int64_t k = 0; k < n; ++k) dz[k] = math::mul_add(a, dz[k], b * weight[begin + k]);
    }
    if (p >= begin && p < begin + n) dz[p - begin] = g * f.slope;
  }

  /// upstream(row) is the gradient of the row's loss.
  template <class F>
  void backward(F upstream, const RowFacts<T>* facts, T* dlogits) const {
    for_groups([&](std::int64_t first, std::int64_t rows) {
      const T* z = logits + first * classes;
      T* dz = dlogits + first * classes;
      if (rows == 1 && ignored(first)) {
        std::fill_n(dz, classes, T(0));
        return;
      }
      if (classes <= kPiece) {
        exp_of_rows(z, rows, classes, facts + first, dz);
        for (std::int64_t r = first; r < first + rows; ++r, dz += classes)
          finish(r, 0, classes, upstream(r), facts[r], pivot(r, facts[r].max), dz);
        return;
      }
      const RowFacts<T>& f = facts[first];
      const std::int64_t p = pivot(first, f.max);
      for (std::int64_t c = 0; c < classes; c += kPiece) {
        const std::int64_t n = std::min(kPiece, classes - c);
        exp_of_row(z + c, n, f.max, dz + c);
        finish(first, c, n, upstream(first), f, p, dz + c);
      }
    });
  }
};

}  // namespace retrace::losses
