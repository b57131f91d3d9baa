#pragma once

// For .cpp files: the windows of a convolution as columns of a matrix, of which the filters are the
// rows of another.

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace retrace::convolution {

/// How a filter moves along one dim.
struct Axis {
  std::int64_t in, kernel, stride, padding, dilation;
  std::int64_t out = 0;  ///< places of the filter

  /// Places [begin, end) of the output for which element k of the filter lies inside the input.
  std::int64_t begin(std::int64_t k) const {
    const std::int64_t missing = padding - k * dilation;
    return missing <= 0 ? 0 : std::min((missing - 1) / stride + 1, out);
  }
  std::int64_t end(std::int64_t k) const {
    const std::int64_t last = in - 1 + padding - k * dilation;
    return last < 0 ? begin(k) : std::max(begin(k), std::min(last / stride + 1, out));
  }
  /// Where in the input element k lies at place `at`.
  std::int64_t source(std::int64_t at, std::int64_t k) const {
    return at * stride - padding + k * dilation;
  }
};

/// Sizes of a convolution; of one dim: with height 1.
struct Convolution {
  std::int64_t batch, channels, filters, groups;  // channels and filters: of one group
  Axis height, width;

  std::int64_t image() const { return channels * height.in * width.in; }         // of one group
  std::int64_t places() const { return height.out * width.out; }                 // of the output
  std::int64_t taps() const { return channels * height.kernel * width.kernel; }  // of a filter
  /// The columns are the image as it is: each of its elements has a place.
  bool is_pointwise() const {
    const auto is_kept = [](const Axis& a) {
      return a.kernel == 1 && a.padding == 0 && a.out == a.in;
    };
    return is_kept(height) && is_kept(width);
  }
};

/// Calls f(start in the columns, start in the image, first, end) for each tap and row of places:
/// places [first, end) of the row lie inside the image, the first of them at the second start.
template <class F>
void for_each_run(const Convolution& c, F f) {
  const Axis height = c.height, width = c.width;
  std::int64_t at = 0;
  for (std::int64_t channel = 0; channel < c.channels; ++channel) {
    for (std::int64_t kh = 0; kh < height.kernel; ++kh) {
      const std::int64_t top = height.begin(kh), bottom = height.end(kh);
      for (std::int64_t kw = 0; kw < width.kernel; ++kw) {
        const std::int64_t first = width.begin(kw), end = width.end(kw);
        std::int64_t from =
            (channel * height.in + height.source(0, kh)) * width.in + width.source(first, kw);
        for (std::int64_t row = 0; row < height.out; ++row) {
          const bool inside = row >= top && row < bottom;
          f(at, from, inside ? first : width.out, inside ? end : width.out);
          at += width.out;
          from += height.stride * width.in;
        }
      }
    }
  }
}

// A run is short, a row of a small image. In whole chunks, of which the last may overlap the one
// before: what a general loop does besides its vectors would take most of the time.
template <class T>
void copy_run(const T* from, std::int64_t n, T* to) {
  constexpr std::int64_t kChunk = 8;
  if (n < kChunk) {
    for (std::int64_t i = 0; i < n; ++i) to[i] = from[i];
    return;
  }
  for (std::int64_t i = 0; i + kChunk <= n; i += kChunk)
    std::memcpy(to + i, from + i, kChunk * sizeof(T));
  std::memcpy(to + n - kChunk, from + n - kChunk, kChunk * sizeof(T));
}

// columns [taps, places] of an image [channels, height, width].
template <class T>
[[gnu::noinline]] void to_columns(const Convolution& c, const T* image, T* columns) {
  const std::int64_t width = c.width.out, stride = c.width.stride;
  for_each_run(c, [=](std::int64_t to, std::int64_t from, std::int64_t first, std::int64_t end) {
    T* const out = columns + to;
    if (end - first < width) std::fill_n(out, width, T(0));
    if (stride == 1) return copy_run(image + from, end - first, out + first);
    for (std::int64_t i = first; i < end; ++i) out[i] = image[from + (i - first) * stride];
  });
}

// image += what columns hold of it.
template <class T>
[[gnu::noinline]] void add_columns(const Convolution& c, const T* columns, T* image) {
  const std::int64_t stride = c.width.stride;
  for_each_run(c, [=](std::int64_t from, std::int64_t to, std::int64_t first, std::int64_t end) {
    const T* const in = columns + from + first;
    T* const out = image + to;
    const std::int64_t n = end - first;
    if (stride != 1) {
      for (std::int64_t i = 0; i < n; ++i) out[i * stride] += in[i];
      return;
    }
#pragma omp simd
    for (std::int64_t i = 0; i < n; ++i) out[i] += in[i];
  });
}

}  // namespace retrace::convolution
