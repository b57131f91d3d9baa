#include <retrace/tensor/kernels/columns.h>

#include <algorithm>

#include <retrace/tensor/kernels/loop.h>

namespace retrace::kernels {
namespace {

constexpr std::int64_t kStripe = 256;  // columns of one task

// totals[c] += the sum of eight rows, as a tree: three roundings in T instead of eight conversions.
template <class T>
void add_eight_rows(const T* x, std::int64_t stride, std::int64_t columns, double* totals) {
#pragma omp simd
  for (std::int64_t c = 0; c < columns; ++c) {
    const T* at = x + c;
    const T low = (at[0] + at[stride]) + (at[2 * stride] + at[3 * stride]);
    const T high = (at[4 * stride] + at[5 * stride]) + (at[6 * stride] + at[7 * stride]);
    totals[c] += static_cast<double>(low + high);
  }
}

template <class T>
void sum_stripe(const T* x, std::int64_t rows, std::int64_t stride, std::int64_t columns, T* out,
                bool add) {
  double totals[kStripe];
  for (std::int64_t c = 0; c < columns; ++c) totals[c] = add ? static_cast<double>(out[c]) : 0.0;
  std::int64_t r = 0;
  for (; r + 8 <= rows; r += 8) add_eight_rows(x + r * stride, stride, columns, totals);
  for (; r < rows; ++r) {
#pragma omp simd
    for (std::int64_t c = 0; c < columns; ++c) totals[c] += static_cast<double>(x[r * stride + c]);
  }
#pragma omp simd
  for (std::int64_t c = 0; c < columns; ++c) out[c] = static_cast<T>(totals[c]);
}

}  // namespace

template <class T>
void sum_columns(const T* x, std::int64_t rows, std::int64_t columns, std::int64_t stride, T* out,
                 bool add) {
  const std::int64_t stripes = (columns + kStripe - 1) / kStripe;
  const auto stripe = [=](std::int64_t s) {
    const std::int64_t first = s * kStripe;
    sum_stripe(x + first, rows, stride, std::min(kStripe, columns - first), out + first, add);
  };
  if (rows * columns <= kElementGrain) {
    for (std::int64_t s = 0; s < stripes; ++s) stripe(s);
  } else {
    parallel_chunks(stripes, stripe);
  }
}

template void sum_columns<float>(const float*, std::int64_t, std::int64_t, std::int64_t, float*,
                                 bool);
template void sum_columns<double>(const double*, std::int64_t, std::int64_t, std::int64_t, double*,
                                  bool);

}  // namespace retrace::kernels
