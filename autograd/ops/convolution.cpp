#include <retrace/autograd/composite.h>
#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/convolution.h>
#include <retrace/autograd/ops/convolution_columns.h>
#include <retrace/autograd/ops/rearranging.h>
#include <retrace/tensor/kernels/columns.h>
#include <retrace/tensor/kernels/gemm.h>
#include <retrace/tensor/kernels/softmax.h>

#include <array>

namespace retrace {
namespace {

using namespace convolution;
using kernels::MatrixView;
using kernels::row_major;

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
  constexpr std::int64_t kWork = 1 << 19;              // multiplications worth a thread
  parallel_for(c.batch, kernels::items_in(kWork, c.groups, c.filters, c.taps(), c.places()),
               [&](std::int64_t begin, std::int64_t end) {
                 const Tensor memory = columns_memory<T>(c);
                 for (std::int64_t n = begin; n < end; ++n) {
                   for (std::int64_t g = 0; g < c.groups; ++g) {
                     const MatrixView<T> out = images.places(y, n, g);
                     for (std::int64_t o = 0; bias != nullptr && o < c.filters; ++o)
                       std::fill_n(&out(o, 0), c.places(), bias[g * c.filters + o]);
                     kernels::gemm<T>(T(1), images.filters(g),
                                      images.columns(n, g, elements<T>(memory)),
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
  parallel_for(
      filters, kernels::grain_of(c.batch, places), [=](std::int64_t begin, std::int64_t end) {
        for (std::int64_t o = begin; o < end; ++o) {
          double sum = 0;
          for (std::int64_t n = 0; n < c.batch; ++n)
            sum +=
                kernels::reduce_run(kernels::RowSum<T>(), g + (n * filters + o) * places, places);
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
    if (GradMode::is_enabled() && g.numel() > 0) return backward_by_ops(g, gradients);
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
  void backward_by_ops(const Tensor& g, Gradients& gradients) {
    const Shape of_x = {c.batch, c.groups * c.channels, c.height.in, c.width.in};
    const Shape of_weight = {c.groups * c.filters, c.channels, c.height.kernel, c.width.kernel};
    // What was not saved is an input that y is linear in.
    const auto input = [&](std::size_t i, const Shape& sizes) {
      if (this->wants(1 - i)) return bounded_input(*this, i);
      return this->wants(i) ? linear_input(*this, i) : zeros(sizes, g.dtype());
    };
    const Tensor x = input(0, of_x), weight = input(1, of_weight);
    const Tensor bias = linear_input(*this, 2);
    recorded_backward(std::array{x, weight, bias}, {g}, gradients, [&] {
      const Tensor y = by_ops(x.reshape(of_x), weight.reshape(of_weight));
      return (bias.defined() ? y + bias.view({y.size(1), 1, 1}) : y).reshape(g.sizes());
    });
  }

  // [N, groups · filters, out, out], a product of filters and windows.
  Tensor by_ops(const Tensor& x, const Tensor& weight) const {
    const auto windows = [](const Tensor& images, int dim, const Axis& axis) {
      const std::int64_t span = axis.dilation * (axis.kernel - 1) + 1;
      return images.unfold(dim, span, axis.stride)
          .narrow(dim, 0, axis.out)
          .slice(-1, 0, span, axis.dilation);
    };
    const std::int64_t h = c.height.padding, w = c.width.padding;
    const Tensor taps = windows(windows(pad(x, {w, w, h, h}), 2, c.height), 3, c.width);
    // [N, C, out, out, KH, KW] to [groups, C · KH · KW, N · out · out]
    const Tensor columns = taps.view({c.batch, c.groups, c.channels, c.height.out, c.width.out,
                                      c.height.kernel, c.width.kernel})
                               .permute({1, 2, 5, 6, 0, 3, 4})
                               .reshape({c.groups, c.taps(), c.batch * c.places()});
    return weight.reshape({c.groups, c.filters, c.taps()})
        .matmul(columns)
        .view({c.groups * c.filters, c.batch, c.height.out, c.width.out})
        .transpose(0, 1);
  }

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
  std::int64_t padded = 0;
  require<ShapeError>(
      !__builtin_add_overflow(axis.in, 2 * axis.padding, &padded),
      "{}: x is {}, padding {}; together they do not fit 63 bits; use smaller sizes", op, x.sizes(),
      axis.padding);
  std::int64_t span = 0;  // from the first element that the filter touches to the last
  require<ShapeError>(axis.kernel > 0 &&
                          !__builtin_mul_overflow(axis.dilation, axis.kernel - 1, &span) &&
                          padded > span,
                      "{}: x is {}, weight {} with padding {} and dilation {}; give a filter that "
                      "has elements and fits into the padded input",
                      op, x.sizes(), weight.sizes(), axis.padding, axis.dilation);
  axis.out = (padded - span - 1) / axis.stride + 1;
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
