#pragma once

// For .cpp files: the loops of cross_entropy. Exponentials are the work, so rows are taken in
// groups that stay in the first cache, and what is summed is summed in lanes.

#include <retrace/tensor/kernels/loop.h>
#include <retrace/tensor/kernels/math.h>
#include <retrace/tensor/kernels/reduce.h>

#include <algorithm>

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
  double lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
#pragma omp simd
    for (std::int64_t l = 0; l < kLanes; ++l) lanes[l] += static_cast<double>(f(i + l));
  }
  double sum = kernels::sum_lanes<kLanes>(lanes);
  for (; i < n; ++i) sum += static_cast<double>(f(i));
  return sum;
}

template <class T>
void exp_of_row(const T* z, std::int64_t columns, T max, T* out) {
  kernels::dense_row([max](T v) { return math::exp(v - max); }, columns, out, z);
}

/// What forward keeps of a row: softmax · Σ w q = exp(z - max) · factor.
template <class T>
struct RowFacts {
  T max, factor;
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
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t c = 0; c < columns; ++c)
      out[r * columns + c] = z[r * columns + c] - facts[r].max;
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

  /// The largest logit of each row of a group, and (as factor) the sum of its exponentials.
  void largest_and_sums(const T* z, std::int64_t rows, RowFacts<T>* facts) const {
    T e[kPiece];
    for (std::int64_t r = 0; r < rows; ++r) facts[r].max = largest(z + r * classes, classes);
    if (classes <= kPiece) {
      exp_of_rows(z, rows, classes, facts, e);
      for (std::int64_t r = 0; r < rows; ++r)
        facts[r].factor = sum_of_piece(e + r * classes, classes);
      return;
    }
    double total = 0;
    for (std::int64_t c = 0; c < classes; c += kPiece) {
      const std::int64_t n = std::min(kPiece, classes - c);
      exp_of_row(z + c, n, facts->max, e);
      total += static_cast<double>(sum_of_piece(e, n));
    }
    facts->factor = static_cast<T>(total);
  }

  /// Loss of one row; Σ w q goes into `total`.
  T loss_of_class(std::int64_t row, T max, T log_sum, T& total) const {
    if (ignored(row)) return total = T(0);
    const T* z = logits + row * classes;
    const T w = kept * weight_of(target[row]);
    T loss = w * ((max - z[target[row]]) + log_sum);
    total = w;
    if (spread != T(0)) {
      const double gaps = weight == nullptr
                              ? sum_of(classes, [=](std::int64_t k) { return max - z[k]; })
                              : sum_of(classes, [=, w_of = weight](std::int64_t k) {
                                  return w_of[k] * (max - z[k]);
                                });
      loss += static_cast<T>(static_cast<double>(spread) *
                             (gaps + weights * static_cast<double>(log_sum)));
      total += static_cast<T>(static_cast<double>(spread) * weights);
    }
    return loss;
  }

  /// w q of class k, for probabilities.
  T share(std::int64_t row, std::int64_t k) const {
    return weight_of(k) * math::mul_add(kept, probabilities[row * classes + k], spread);
  }

  /// w q of all rows and classes.
  void shares(T* out) const {
    for (std::int64_t r = 0; r < count; ++r, out += classes) {
      for (std::int64_t k = 0; k < classes; ++k) {
        if (probabilities != nullptr) {
          out[k] = share(r, k);
        } else {
          const T q = math::mul_add(kept, T(target[r] == k), spread);
          out[k] = ignored(r) ? T(0) : weight_of(k) * q;
        }
      }
    }
  }

  T loss_of_probabilities(std::int64_t row, T max, T log_sum, T& total) const {
    const T* z = logits + row * classes;
    const double sum = sum_of(classes, [&](std::int64_t k) { return share(row, k); });
    const double gaps = sum_of(classes, [&](std::int64_t k) {
      const T q = share(row, k);
      return math::select(q == T(0), T(0), q * (max - z[k]));  // not 0 · inf
    });
    total = static_cast<T>(sum);
    return static_cast<T>(gaps + sum * static_cast<double>(log_sum));
  }

  void forward(T* losses, RowFacts<T>* all_facts) const {
    for_groups([&](std::int64_t first, std::int64_t rows) {
      RowFacts<T>* facts = all_facts + first;
      if (rows == 1 && ignored(first)) {  // nothing else of the group needs its exponentials
        losses[first] = T(0);
        *facts = {};
        return;
      }
      largest_and_sums(logits + first * classes, rows, facts);
      T* loss = losses + first;
#pragma omp simd
      for (std::int64_t r = 0; r < rows; ++r) loss[r] = math::log(facts[r].factor);
      for (std::int64_t r = 0; r < rows; ++r) {
        T total = 0;
        loss[r] = target != nullptr
                      ? loss_of_class(first + r, facts[r].max, loss[r], total)
                      : loss_of_probabilities(first + r, facts[r].max, loss[r], total);
        facts[r].factor = total / facts[r].factor;
      }
    });
  }

  /// dz holds exp(z - max) of columns [begin, begin + n) of a row, and becomes its gradient.
  void finish(std::int64_t row, std::int64_t begin, std::int64_t n, T g, T factor, T* dz) const {
    if (ignored(row)) {
      std::fill_n(dz, n, T(0));
      return;
    }
    const T a = g * factor;
    if (probabilities != nullptr) {
      for (std::int64_t k = 0; k < n; ++k)
        dz[k] = math::mul_add(a, dz[k], -g * share(row, begin + k));
      return;
    }
    const T b = -g * spread;
    if (weight == nullptr || spread == T(0)) {
#pragma omp simd
      for (std::int64_t k = 0; k < n; ++k) dz[k] = math::mul_add(a, dz[k], b);
    } else {
#pragma omp simd
      for (std::int64_t k = 0; k < n; ++k) dz[k] = math::mul_add(a, dz[k], b * weight[begin + k]);
    }
    const std::int64_t t = target[row];
    if (t >= begin && t < begin + n) dz[t - begin] -= g * kept * weight_of(t);
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
          finish(r, 0, classes, upstream(r), facts[r].factor, dz);
        return;
      }
      for (std::int64_t c = 0; c < classes; c += kPiece) {
        const std::int64_t n = std::min(kPiece, classes - c);
        exp_of_row(z + c, n, facts[first].max, dz + c);
        finish(first, c, n, upstream(first), facts[first].factor, dz + c);
      }
    });
  }
};

}  // namespace retrace::losses
