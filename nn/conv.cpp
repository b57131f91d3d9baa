#include <retrace/nn/conv.h>

#include <cmath>

#include <retrace/autograd/ops/convolution.h>
#include <retrace/nn/init.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>

namespace retrace::nn {
namespace {

struct Filters {
  Tensor weight, bias;
};

Filters new_filters(std::string_view type, std::int64_t in, std::int64_t out, const Shape& kernel,
                    std::int64_t groups, bool with_bias, DType dtype) {
  require<ValueError>(in > 0 && out > 0 && groups > 0 && in % groups == 0 && out % groups == 0,
                      "{}: in_channels is {}, out_channels {}, groups {}; give at least 1, and "
                      "groups that divide both",
                      type, in, out, groups);
  Shape sizes = {out, in / groups};
  for (const std::int64_t size : kernel) {
    require<ValueError>(size > 0, "{}: kernel_size is {}; give at least 1", type, kernel);
    sizes.push_back(size);
  }
  require<DTypeError>(is_floating(dtype), "{}: cannot be {}; use float32 or float64", type, dtype);
  const Filters filters = {empty(sizes, dtype), with_bias ? empty({out}, dtype) : Tensor()};
  const double bound = 1 / std::sqrt(init::fans_of(sizes).in);
  init::uniform_(filters.weight, -bound, bound);
  if (with_bias) init::uniform_(filters.bias, -bound, bound);
  return filters;
}

// What differs from the usual is said.
std::string details_of(std::int64_t in, std::int64_t out, Size2d kernel,
                       const Conv2dOptions& options) {
  std::string text = fmt::format("{}, {}, kernel_size={}", in, out, kernel.str());
  if (options.stride != 1) text += ", stride=" + options.stride.str();
  if (options.padding != 0) text += ", padding=" + options.padding.str();
  if (options.dilation != 1) text += ", dilation=" + options.dilation.str();
  if (options.groups != 1) text += fmt::format(", groups={}", options.groups);
  return options.bias ? text : text + ", bias=false";
}

}  // namespace

Conv1d::Conv1d(std::int64_t in_channels, std::int64_t out_channels, std::int64_t kernel_size,
               const Conv1dOptions& options)
    : options_(options) {
  const Filters filters = new_filters("Conv1d", in_channels, out_channels, {kernel_size},
                                      options.groups, options.bias, options.dtype);
  weight = register_parameter("weight", filters.weight);
  if (options.bias) bias = register_parameter("bias", filters.bias);
  describe(details_of(in_channels, out_channels, kernel_size,
                      {.stride = options.stride,
                       .padding = options.padding,
                       .dilation = options.dilation,
                       .groups = options.groups,
                       .bias = options.bias}));
}

Tensor Conv1d::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return conv1d(x, weight, bias,
                {.stride = options_.stride,
                 .padding = options_.padding,
                 .dilation = options_.dilation,
                 .groups = options_.groups});
}

Conv2d::Conv2d(std::int64_t in_channels, std::int64_t out_channels, Size2d kernel_size,
               const Conv2dOptions& options)
    : options_(options) {
  const Filters filters =
      new_filters("Conv2d", in_channels, out_channels, {kernel_size.height, kernel_size.width},
                  options.groups, options.bias, options.dtype);
  weight = register_parameter("weight", filters.weight);
  if (options.bias) bias = register_parameter("bias", filters.bias);
  describe(details_of(in_channels, out_channels, kernel_size, options));
}

Tensor Conv2d::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return conv2d(x, weight, bias,
                {.stride = options_.stride,
                 .padding = options_.padding,
                 .dilation = options_.dilation,
                 .groups = options_.groups});
}

}  // namespace retrace::nn
