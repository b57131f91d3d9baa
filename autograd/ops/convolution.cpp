#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/first_order.h>
#include <retrace/autograd/ops/convolution.h>
#include <retrace/tensor/kernels/columns.h>
#include <retrace/tensor/kernels/gemm.h>
#include <retrace/tensor/kernels/softmax.h>

#include <cstring>

namespace retrace {
namespace {

using kernels::MatrixView;
using kernels::row_major;

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
  /// The columns are the image as it is.
  bool is_pointwise() const {
    return height.kernel == 1 && width.kernel == 1 && height.stride == 1 && width.stride == 1 &&
           height.padding == 0 && width.padding == 0;
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

/// The matrices of a convolution, for image n and group.
template <class T>
struct Images {
  const Convolution& c;
  const T *x, *weight;

  const T* image(std::int64_t n, std::int64_t group) const {
    return x + (n * c.groups + group) * c.image();
  }
  MatrixView<const T> filters(std::int64_t group) const {
    return row_major(weight + group * c.filters * c.taps(), c.filters, c.taps());
  }
  /// [taps, places]; in `memory` unless the image is that already.
  MatrixView<const T> columns(std::int64_t n, std::int64_t group, T* memory) const {
    if (c.is_pointwise()) return row_major(image(n, group), c.taps(), c.places());
    to_columns(c, image(n, group), memory);
    return row_major<const T>(memory, c.taps(), c.places());
  }
  /// [filters, places] of a batch like y.
  template <class U>
  MatrixView<U> places(U* y, std::int64_t n, std::int64_t group) const {
    return row_major(y + (n * c.groups + group) * c.filters * c.places(), c.filters, c.places());
  }
};

// A tensor, because the pool keeps its memory from step to step.
template <class T>
Tensor columns_memory(const Convolution& c) {
  return empty({c.is_pointwise() ? 0 : c.taps() * c.places()}, dtype_of<T>);
}

template <class T>
void forward(const Convolution& c, const Images<T>& images, const T* bias, T* y) {
  if (c.groups * c.filters * c.places() == 0) return;  // of however many images
  const std::int64_t work = c.groups * c.filters * c.taps() * c.places();
  parallel_for(
      c.batch, (std::int64_t{1} << 19) / (work + 1) + 1, [&](std::int64_t begin, std::int64_t end) {
        const Tensor memory = columns_memory<T>(c);
        for (std::int64_t n = begin; n < end; ++n) {
          for (std::int64_t g = 0; g < c.groups; ++g) {
            const MatrixView<T> out = images.places(y, n, g);
            for (std::int64_t o = 0; bias != nullptr && o < c.filters; ++o)
              std::fill_n(&out(o, 0), c.places(), bias[g * c.filters + o]);
            kernels::gemm<T>(T(1), images.filters(g), images.columns(n, g, elements<T>(memory)),
                             bias == nullptr ? T(0) : T(1), out);
          }
        }
      });
}

/// Images whose dweight is summed by the product itself; the blocks' sums are added up in double.
constexpr std::int64_t kBlockImages = 16;

template <class T>
struct Backward {
  const Convolution& c;
  const Images<T>& images;
  const T* g;
  T* dx;        // [batch, channels, height, width], or null
  T* dweights;  // [blocks, filters, taps], or null

  void block(std::int64_t index) const {
    const Tensor memory = columns_memory<T>(c);
    const std::int64_t begin = index * kBlockImages, end = std::min(begin + kBlockImages, c.batch);
    for (std::int64_t n = begin; n < end; ++n) {
      for (std::int64_t group = 0; group < c.groups; ++group) {
        const MatrixView<const T> dy = images.places(g, n, group);
        if (dweights != nullptr) {
          T* const sum = dweights + (index * c.groups + group) * c.filters * c.taps();
          kernels::gemm<T>(T(1), dy, images.columns(n, group, elements<T>(memory)).transposed(),
                           n == begin ? T(0) : T(1), row_major(sum, c.filters, c.taps()));
        }
        if (dx != nullptr) input_gradient(n, group, dy, elements<T>(memory));
      }
    }
  }

  void input_gradient(std::int64_t n, std::int64_t group, MatrixView<const T> dy, T* memory) const {
    T* const image = dx + (n * c.groups + group) * c.image();
    T* const columns = c.is_pointwise() ? image : memory;
    kernels::gemm<T>(T(1), images.filters(group).transposed(), dy, T(0),
                     row_major(columns, c.taps(), c.places()));
    if (c.is_pointwise()) return;
    std::fill_n(image, c.image(), T(0));
    add_columns(c, columns, image);
  }
};

/// dbias[o] = Σ over images and places of g, in double.
template <class T>
void bias_gradient(const Convolution& c, const T* g, T* db) {
  const std::int64_t filters = c.groups * c.filters, places = c.places();
  parallel_for(filters, kernels::kElementGrain / (c.batch * places + 1) + 1,
               [=](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t o = begin; o < end; ++o) {
                   double sum = 0;
                   for (std::int64_t n = 0; n < c.batch; ++n)
                     sum += kernels::reduce_run(kernels::RowSum<T>(),
                                                g + (n * filters + o) * places, places);
                   db[o] = static_cast<T>(sum);
                 }
               });
}

struct Conv1d {
  static constexpr int dims = 1;
  static constexpr std::string_view
      op = "conv1d",
      formula = "y(t) = b + Σ w(k) · x(t s + k d - p)",
      gradient = "dx = Σ g · w over what x went into, dw = Σ g · x, db = Σ g";
};
struct Conv2d {
  static constexpr int dims = 2;
  static constexpr std::string_view op = "conv2d", formula = "y = b + Σ w(k) · x(t s + k d - p)",
                                    gradient = Conv1d::gradient;
};

/// Inputs x, weight and bias, which may be absent.
template <class Kind>
struct ConvNode final : NodeOf<ConvNode<Kind>> {
  static constexpr std::string_view op = Kind::op, formula = Kind::formula,
                                    gradient = Kind::gradient;
  explicit ConvNode(const Convolution& sizes) : c(sizes) {}

  void backward(const Tensor& g, Gradients& gradients) override {
    require_first_order(op);
    const Tensor upstream = as_contiguous(g);
    visit_float(g.dtype(), op, [&]<class T>() {
      if (gradients.wants(0) || gradients.wants(1)) products<T>(upstream, gradients);
      if (!gradients.wants(2)) return;
      Tensor db = empty({c.groups * c.filters}, g.dtype());
      bias_gradient(c, elements<const T>(upstream), elements<T>(db));
      gradients.give(2, std::move(db));
    });
  }

 private:
  template <class T>
  void products(const Tensor& g, Gradients& gradients) {
    if (g.numel() == 0) {  // of however many images
      for (const std::size_t i : {std::size_t{0}, std::size_t{1}}) {
        if (gradients.wants(i)) gradients.give(i, zeros(this->input(i).sizes(), g.dtype()));
      }
      return;
    }
    const Tensor x = gradients.wants(1) ? this->saved_input(0) : Tensor();
    const Tensor weight = gradients.wants(0) ? this->saved_input(1) : Tensor();
    const std::int64_t blocks = (c.batch + kBlockImages - 1) / kBlockImages;
    Tensor dx = weight.defined() ? empty(this->input(0).sizes(), g.dtype()) : Tensor();
    const std::int64_t weights = c.groups * c.filters * c.taps();
    const Tensor sums = x.defined() ? empty({blocks, weights}, g.dtype()) : Tensor();
    const Images<T> images = {c, x.defined() ? elements<T>(x) : nullptr,
                              weight.defined() ? elements<T>(weight) : nullptr};
    const Backward<T> pass = {c, images, elements<T>(g), dx.defined() ? elements<T>(dx) : nullptr,
                              sums.defined() ? elements<T>(sums) : nullptr};
    parallel_chunks(blocks, [&](std::int64_t index) { pass.block(index); });
    if (dx.defined()) gradients.give(0, std::move(dx));
    if (!sums.defined()) return;
    const Tensor sum = gradients.accumulator(1);
    Tensor dw = sum.defined() ? sum : empty(this->input(1).sizes(), g.dtype());
    kernels::sum_columns(elements<const T>(sums), blocks, weights, weights, elements<T>(dw),
                         sum.defined());
    if (!sum.defined()) gradients.give(1, std::move(dw));
  }

  Convolution c;
};

Axis axis_of(std::string_view op, Axis axis, const Tensor& x, const Tensor& weight) {
  constexpr std::int64_t kMost = std::int64_t{1} << 60;  // far beyond any memory
  require<ValueError>(
      axis.stride > 0 && axis.dilation > 0 && axis.padding >= 0 && axis.padding <= kMost,
      "{}: stride is {}, padding {}, dilation {}; give at least 1, 0 and 1, and a padding that "
      "memory holds",
      op, axis.stride, axis.padding, axis.dilation);
  std::int64_t span = 0;  // from the first element that the filter touches to the last
  require<ShapeError>(axis.kernel > 0 &&
                          !__builtin_mul_overflow(axis.dilation, axis.kernel - 1, &span) &&
                          axis.in + 2 * axis.padding > span,
                      "{}: x is {}, weight {} with padding {} and dilation {}; give a filter that "
                      "has elements and fits into the padded input",
                      op, x.sizes(), weight.sizes(), axis.padding, axis.dilation);
  axis.out = (axis.in + 2 * axis.padding - span - 1) / axis.stride + 1;
  if (axis.out == 1) axis.stride = 1;  // it makes no step, and a step may be of any size
  return axis;
}

template <class Kind>
Tensor convolve(const Tensor& x, const Tensor& weight, const Tensor& bias,
                const Conv2dFuncOptions& options) {
  constexpr std::string_view op = Kind::op;
  require_defined(op, {&x, &weight});
  require<DTypeError>(x.dtype() == weight.dtype() && is_floating(x.dtype()),
                      "{}: x is {} {}, weight {} {}; both must be float32 or both float64", op,
                      x.dtype(), x.sizes(), weight.dtype(), weight.sizes());
  require<ShapeError>(x.dim() == Kind::dims + 2 && weight.dim() == Kind::dims + 2,
                      "{}: x is {}, weight {}; they must be [N, C, {}] and [O, C / groups, {}]", op,
                      x.sizes(), weight.sizes(), Kind::dims == 1 ? "L" : "H, W",
                      Kind::dims == 1 ? "K" : "KH, KW");
  const Shape &in = x.sizes(), &filter = weight.sizes();
  const std::int64_t groups = options.groups;
  require<ValueError>(groups > 0, "{}: groups is {}; give at least 1", op, groups);
  std::int64_t channels = 0;
  require<ShapeError>(
      !__builtin_mul_overflow(filter[1], groups, &channels) && in[1] == channels &&
          filter[0] % groups == 0,
      "{}: x is {} with {} channels, weight {} with {} in each of {} groups; give filters that "
      "have all channels of their group, and groups that divide the filters",
      op, in, in[1], filter, filter[1], groups);
  if (bias.defined()) {
    require<DTypeError>(bias.dtype() == x.dtype(), "{}: bias is {} {}, x {} {}; convert one", op,
                        bias.dtype(), bias.sizes(), x.dtype(), in);
    require<ShapeError>(bias.sizes() == Shape{filter[0]},
                        "{}: bias is {}, weight {}; it must be [{}]", op, bias.sizes(), filter,
                        filter[0]);
  }
  const auto axis = [&](int d, std::int64_t stride, std::int64_t padding, std::int64_t dilation) {
    return axis_of(op, {in[d], filter[d], stride, padding, dilation}, x, weight);
  };
  const Axis width =
      axis(Kind::dims + 1, options.stride.width, options.padding.width, options.dilation.width);
  const Axis height = Kind::dims == 1 ? Axis{1, 1, 1, 0, 1, 1}
                                      : axis(2, options.stride.height, options.padding.height,
                                             options.dilation.height);
  const Convolution c = {in[0], filter[1], filter[0] / groups, groups, height, width};

  Shape sizes = {in[0], filter[0]};
  if (Kind::dims == 2) sizes.push_back(height.out);
  sizes.push_back(width.out);
  Tensor y = empty(sizes, x.dtype());
  const Tensor images = as_contiguous(x), filters = as_contiguous(weight);
  visit_float(x.dtype(), op, [&]<class T>() {
    const Tensor shift = bias.defined() ? as_contiguous(bias) : bias;
    forward<T>(c, {c, elements<T>(images), elements<T>(filters)},
               shift.defined() ? elements<T>(shift) : nullptr, elements<T>(y));
  });
  return record<ConvNode<Kind>>(
      std::move(y), {&x, &weight, &bias},
      [&](auto& node) {
        if (node.wants(1)) node.save_input(0, images);
        if (node.wants(0)) node.save_input(1, filters);
      },
      c);
}

}  // namespace

Tensor conv1d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Conv1dFuncOptions& options) {
  return convolve<Conv1d>(x, weight, bias,
                          {.stride = options.stride,
                           .padding = options.padding,
                           .dilation = options.dilation,
                           .groups = options.groups});
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias,
              const Conv2dFuncOptions& options) {
  return convolve<Conv2d>(x, weight, bias, options);
}

}  // namespace retrace
