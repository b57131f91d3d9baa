#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/pooling.h>

#include <vector>

namespace retrace {
namespace {

/// What one element of the result looks at along one dim: [begin, end) of the input, and how many
/// elements count in a mean.
struct Window {
  std::int64_t begin, end, count;
};
using Windows = std::vector<Window>;

/// A plane [height, width] of the input and the windows of its rows and columns; of one dim: with
/// height 1.
struct Geometry {
  std::int64_t planes, height, width;
  Windows rows, columns;

  std::int64_t in() const { return height * width; }
  std::int64_t out() const {
    return static_cast<std::int64_t>(rows.size()) * static_cast<std::int64_t>(columns.size());
  }
  /// Calls f(place in the result, row window, column window).
  template <class F>
  void for_each_window(F&& f) const {
    std::int64_t at = 0;
    for (const Window& row : rows) {
      for (const Window& column : columns) f(at++, row, column);
    }
  }
  /// Calls f(plane) for each, on all threads.
  template <class F>
  void for_each_plane(F&& f) const {
    for_planes([&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t plane = begin; plane < end; ++plane) f(plane);
    });
  }
  /// Calls f(begin, end) for ranges of planes, on all threads.
  template <class F>
  void for_planes(F&& f) const {
    parallel_for(planes, kernels::grain_of(in()), f);
  }
};

/// The largest of each column in a window of rows, and the row that it is in. An index as wide as T
/// lets both be found by one vectorised loop.
template <class T>
struct ColumnMaxima {
  using Index = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  std::vector<T> largest;
  std::vector<Index> row;

  explicit ColumnMaxima(std::int64_t width)
      : largest(static_cast<std::size_t>(width)), row(static_cast<std::size_t>(width)) {}

  [[gnu::noinline]] void find(const T* x, std::int64_t width, const Window& rows) {
    T* const best = largest.data();
    Index* const at = row.data();
    std::copy_n(x + rows.begin * width, width, best);
    std::fill_n(at, width, static_cast<Index>(rows.begin));
    for (std::int64_t i = rows.begin + 1; i < rows.end; ++i) {
      const T* const line = x + i * width;
      const Index index = static_cast<Index>(i);
#pragma omp simd
      for (std::int64_t j = 0; j < width; ++j) {
        // Not "greater": NaN is the largest, and the first one stays.
        const bool larger = !(line[j] <= best[j]) && best[j] == best[j];
        best[j] = larger ? line[j] : best[j];
        at[j] = larger ? index : at[j];
      }
    }
  }

  /// The column in [begin, end) that has the largest, in the first row of equals.
  std::int64_t column(const Window& columns) const {
    std::int64_t best = columns.begin;
    for (std::int64_t j = columns.begin + 1; j < columns.end; ++j) {
      const T a = largest.data()[j], b = largest.data()[best];
      const bool equal = (a == b) | ((a != a) & (b != b));
      const bool larger = (!(a <= b) & (b == b)) | (equal & (row.data()[j] < row.data()[best]));
      best +=
          (j - best) & -std::int64_t{larger};  // a branch would mispredict in every other window
    }
    return best;
  }
};

// y and the places in the plane that it came from.
template <class T>
void max_of_plane(const Geometry& geometry, const T* x, ColumnMaxima<T>& maxima, T* y,
                  std::int64_t* places) {
  for (const Window& rows : geometry.rows) {
    maxima.find(x, geometry.width, rows);
    for (const Window& columns : geometry.columns) {
      const std::int64_t column = maxima.column(columns);
      *y++ = maxima.largest.data()[column];
      *places++ = std::int64_t{maxima.row.data()[column]} * geometry.width + column;
    }
  }
}

/// What a mean is over. With the padding counted int64 may not hold it.
double count(const Window& row, const Window& column) {
  return static_cast<double>(row.count) * static_cast<double>(column.count);
}

template <class T>
[[gnu::noinline]] void mean_of_plane(const Geometry& geometry, const T* x, T* y) {
  const std::int64_t width = geometry.width;
  geometry.for_each_window([=](std::int64_t at, const Window& row, const Window& column) {
    double sum = 0;
    for (std::int64_t i = row.begin; i < row.end; ++i) {
      for (std::int64_t j = column.begin; j < column.end; ++j)
        sum += static_cast<double>(x[i * width + j]);
    }
    y[at] = static_cast<T>(sum / count(row, column));
  });
}

template <class T>
[[gnu::noinline]] void spread_in_plane(const Geometry& geometry, const T* g, T* dx) {
  const std::int64_t width = geometry.width;
  geometry.for_each_window([=](std::int64_t at, const Window& row, const Window& column) {
    const T share = g[at] / static_cast<T>(count(row, column));
    for (std::int64_t i = row.begin; i < row.end; ++i) {
      for (std::int64_t j = column.begin; j < column.end; ++j) dx[i * width + j] += share;
    }
  });
}

struct MaxPool1d {
  static constexpr bool has_places = true;
  static constexpr std::string_view op = "max_pool1d", formula = "y = max of the window",
                                    gradient = "dx = g at the places that y came from";
};
struct MaxPool2d {
  static constexpr bool has_places = true;
  static constexpr std::string_view op = "max_pool2d", formula = MaxPool1d::formula,
                                    gradient = MaxPool1d::gradient;
};
struct AvgPool1d {
  static constexpr bool has_places = false;
  static constexpr std::string_view op = "avg_pool1d", formula = "y = Σ window / n",
                                    gradient = "dx = Σ g / n over the windows of x";
};
struct AvgPool2d {
  static constexpr bool has_places = false;
  static constexpr std::string_view op = "avg_pool2d", formula = AvgPool1d::formula,
                                    gradient = AvgPool1d::gradient;
};
struct AdaptiveAvgPool2d {
  static constexpr bool has_places = false;
  static constexpr std::string_view op = "adaptive_avg_pool2d", formula = AvgPool1d::formula,
                                    gradient = AvgPool1d::gradient;
};

// A mean is linear in x, and so is a maximum once its places are known: then x is gathered, and
// going back g is spread. Each is the other's gradient.

template <class Kind>
struct PoolNode;
template <class Kind>
struct SpreadNode;

template <class NodeType>
Tensor record_linear(Tensor y, const Tensor& x, const Geometry& geometry, const Tensor& places) {
  return record<NodeType>(
      std::move(y), {&x},
      [&](NodeType& node) {
        if (places.defined()) node.save_extra(places);
      },
      x.sizes(), geometry);
}

/// y of `out` sizes. The places of a mean are undefined.
template <class Kind>
Tensor gathered(const Tensor& x, const Shape& out, const Geometry& geometry, const Tensor& places) {
  const Tensor dense = as_contiguous(x);
  Tensor y = empty(out, x.dtype());
  visit_float(x.dtype(), Kind::op, [&]<class T>() {
    geometry.for_each_plane([&](std::int64_t plane) {
      const T* const from = elements<T>(dense) + plane * geometry.in();
      T* const to = elements<T>(y) + plane * geometry.out();
      if (places.defined()) {
        const auto* const place = elements<std::int64_t>(places) + plane * geometry.out();
        for (std::int64_t i = 0; i < geometry.out(); ++i) to[i] = from[place[i]];
      } else {
        mean_of_plane(geometry, from, to);
      }
    });
  });
  return record_linear<PoolNode<Kind>>(std::move(y), x, geometry, places);
}

/// dx of `in` sizes.
template <class Kind>
Tensor spread(const Tensor& g, const Shape& in, const Geometry& geometry, const Tensor& places) {
  const Tensor dense = as_contiguous(g);
  Tensor dx = zeros(in, g.dtype());
  visit_float(g.dtype(), Kind::op, [&]<class T>() {
    geometry.for_each_plane([&](std::int64_t plane) {
      const T* const from = elements<T>(dense) + plane * geometry.out();
      T* const to = elements<T>(dx) + plane * geometry.in();
      if (places.defined()) {
        const auto* const place = elements<std::int64_t>(places) + plane * geometry.out();
        for (std::int64_t i = 0; i < geometry.out(); ++i) to[place[i]] += from[i];
      } else {
        spread_in_plane(geometry, from, to);
      }
    });
  });
  return record_linear<SpreadNode<Kind>>(std::move(dx), g, geometry, places);
}

/// What both nodes know.
template <class Self, class Kind>
struct LinearNode : NodeOf<Self> {
  static constexpr std::string_view op = Kind::op;
  LinearNode(const Shape& of_input, const Geometry& of_x) : sizes(of_input), geometry(of_x) {}
  Tensor places() const { return Kind::has_places ? this->saved_extra() : Tensor(); }

  Shape sizes;  // of the input
  Geometry geometry;
};

template <class Kind>
struct PoolNode final : LinearNode<PoolNode<Kind>, Kind> {
  static constexpr std::string_view formula = Kind::formula, gradient = Kind::gradient;
  using LinearNode<PoolNode, Kind>::LinearNode;
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, spread<Kind>(g, this->sizes, this->geometry, this->places()));
  }
};

template <class Kind>
struct SpreadNode final : LinearNode<SpreadNode<Kind>, Kind> {
  static constexpr std::string_view formula = Kind::gradient,
                                    gradient = "dg = the upstream gradient, pooled alike";
  using LinearNode<SpreadNode, Kind>::LinearNode;
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, gathered<Kind>(g, this->sizes, this->geometry, this->places()));
  }
};

Windows sliding(std::string_view op, const Tensor& x, int dim, std::int64_t kernel,
                std::optional<std::int64_t> step, std::int64_t padding, bool count_padding) {
  constexpr std::int64_t kMost = 1 << 24;  // windows over nothing, each of which is listed
  const std::int64_t in = x.size(dim), stride = step.value_or(kernel);
  require<ValueError>(kernel > 0 && stride > 0 && padding >= 0 && padding <= kernel / 2,
                      "{}: kernel_size is {}, stride {}, padding {}; give at least 1, 1 and 0, "
                      "and at most half a window of padding",
                      op, kernel, stride, padding);
  const std::int64_t room = in - (kernel - 2 * padding);  // for the last window to move in
  require<ShapeError>(in > 0 && room >= 0,
                      "{}: a dim of {} elements with padding {} is smaller than kernel_size {}; "
                      "give a smaller window",
                      op, in, padding, kernel);
  require<ShapeError>(x.numel() > 0 || room / stride < kMost,
                      "{}: x is {}, without any plane for its {} windows along a dim; give an x "
                      "with elements, or a larger stride",
                      op, x.sizes(), room / stride + 1);
  Windows windows;
  for (std::int64_t i = 0; i <= room / stride; ++i) {
    const std::int64_t first = i * stride - padding;
    const std::int64_t begin = std::max<std::int64_t>(first, 0);
    const std::int64_t end = first < in - kernel ? first + kernel : in;
    windows.push_back({begin, end, count_padding ? kernel : end - begin});
  }
  return windows;
}

Windows adaptive(std::string_view op, std::int64_t in, std::int64_t out) {
  constexpr std::int64_t kMost = 1 << 24;  // windows, each of which is listed
  require<ValueError>(out > 0 && out <= kMost, "{}: output_size is {}; give 1 to {}", op, out,
                      kMost);
  require<ShapeError>(in > 0, "{}: a dim of x is empty; there is nothing to average", op);
  Windows windows;
  const std::int64_t each = in / out, rest = in % out;
  for (std::int64_t i = 0; i < out; ++i) {
    // i in / out and (i + 1) in / out, rounded down and up.
    const std::int64_t begin = i * each + i * rest / out;
    const std::int64_t end = (i + 1) * each + ((i + 1) * rest + out - 1) / out;
    windows.push_back({begin, end, end - begin});
  }
  return windows;
}

void check(std::string_view op, const Tensor& x, int dims) {
  require_defined(op, {&x});
  if (!x.is_floating_point()) refuse_dtype(op, x.dtype(), "float32 or float64");
  require<ShapeError>(x.dim() == dims + 1 || x.dim() == dims + 2,
                      "{}: x is {}; give [N, C, {}] or without N", op, x.sizes(),
                      dims == 1 ? "L" : "H, W");
}

Geometry geometry_of(const Tensor& x, int dims, Windows rows, Windows columns) {
  const std::int64_t height = dims == 1 ? 1 : x.size(-2), width = x.size(-1);
  return {x.numel() / (height * width), height, width, std::move(rows), std::move(columns)};
}

Geometry geometry_in_one_dim(const Tensor& x, Windows columns) {
  return geometry_of(x, 1, {{0, 1, 1}}, std::move(columns));
}

template <class Kind>
Tensor pool(const Tensor& x, int dims, const Geometry& geometry) {
  Shape sizes = x.sizes();
  sizes[x.dim() - 1] = static_cast<std::int64_t>(geometry.columns.size());
  if (dims == 2) sizes[x.dim() - 2] = static_cast<std::int64_t>(geometry.rows.size());
  if constexpr (!Kind::has_places) return gathered<Kind>(x, sizes, geometry, {});
  Tensor y = empty(sizes, x.dtype());
  const Tensor places = empty(sizes, kInt64), dense = as_contiguous(x);
  visit_float(x.dtype(), Kind::op, [&]<class T>() {
    geometry.for_planes([&](std::int64_t begin, std::int64_t end) {
      ColumnMaxima<T> maxima(geometry.width);
      for (std::int64_t plane = begin; plane < end; ++plane)
        max_of_plane(geometry, elements<T>(dense) + plane * geometry.in(), maxima,
                     elements<T>(y) + plane * geometry.out(),
                     elements<std::int64_t>(places) + plane * geometry.out());
    });
  });
  return record_linear<PoolNode<Kind>>(std::move(y), x, geometry, places);
}

// One of a Size2d that may not be given.
std::optional<std::int64_t> part(const std::optional<Size2d>& size, std::int64_t Size2d::*which) {
  return size ? std::optional((*size).*which) : std::nullopt;
}

Geometry sliding_geometry(std::string_view op, const Tensor& x, Size2d kernel,
                          const std::optional<Size2d>& stride, Size2d padding, bool count_padding) {
  check(op, x, 2);
  return geometry_of(
      x, 2,
      sliding(op, x, -2, kernel.height, part(stride, &Size2d::height), padding.height,
              count_padding),
      sliding(op, x, -1, kernel.width, part(stride, &Size2d::width), padding.width, count_padding));
}

}  // namespace

Tensor max_pool1d(const Tensor& x, std::int64_t kernel_size, const MaxPool1dOptions& options) {
  check(MaxPool1d::op, x, 1);
  return pool<MaxPool1d>(x, 1,
                         geometry_in_one_dim(x, sliding(MaxPool1d::op, x, -1, kernel_size,
                                                        options.stride, options.padding, false)));
}

Tensor max_pool2d(const Tensor& x, Size2d kernel_size, const MaxPool2dOptions& options) {
  return pool<MaxPool2d>(
      x, 2,
      sliding_geometry(MaxPool2d::op, x, kernel_size, options.stride, options.padding, false));
}

Tensor avg_pool1d(const Tensor& x, std::int64_t kernel_size, const AvgPool1dOptions& options) {
  check(AvgPool1d::op, x, 1);
  return pool<AvgPool1d>(
      x, 1,
      geometry_in_one_dim(x, sliding(AvgPool1d::op, x, -1, kernel_size, options.stride,
                                     options.padding, options.count_include_pad)));
}

Tensor avg_pool2d(const Tensor& x, Size2d kernel_size, const AvgPool2dOptions& options) {
  return pool<AvgPool2d>(x, 2,
                         sliding_geometry(AvgPool2d::op, x, kernel_size, options.stride,
                                          options.padding, options.count_include_pad));
}

Tensor adaptive_avg_pool2d(const Tensor& x, Size2d output_size) {
  constexpr std::string_view op = AdaptiveAvgPool2d::op;
  check(op, x, 2);
  return pool<AdaptiveAvgPool2d>(x, 2,
                                 geometry_of(x, 2, adaptive(op, x.size(-2), output_size.height),
                                             adaptive(op, x.size(-1), output_size.width)));
}

}  // namespace retrace
