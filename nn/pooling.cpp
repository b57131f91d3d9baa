#include <retrace/nn/pooling.h>

#include <retrace/tensor/check.h>

namespace retrace::nn {
namespace {

std::string details_of(Size2d kernel, const std::optional<Size2d>& stride, Size2d padding) {
  return fmt::format("kernel_size={}, stride={}, padding={}", kernel.str(),
                     stride.value_or(kernel).str(), padding.str());
}

std::optional<Size2d> both(const std::optional<std::int64_t>& stride) {
  return stride ? std::optional<Size2d>(*stride) : std::nullopt;
}

}  // namespace

MaxPool1d::MaxPool1d(std::int64_t kernel_size, const MaxPool1dOptions& options)
    : kernel_size_(kernel_size), options_(options) {
  describe(details_of(kernel_size, both(options.stride), options.padding));
}
Tensor MaxPool1d::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return max_pool1d(x, kernel_size_, options_);
}

MaxPool2d::MaxPool2d(Size2d kernel_size, const MaxPool2dOptions& options)
    : kernel_size_(kernel_size), options_(options) {
  describe(details_of(kernel_size, options.stride, options.padding));
}
Tensor MaxPool2d::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return max_pool2d(x, kernel_size_, options_);
}

AvgPool1d::AvgPool1d(std::int64_t kernel_size, const AvgPool1dOptions& options)
    : kernel_size_(kernel_size), options_(options) {
  describe(details_of(kernel_size, both(options.stride), options.padding));
}
Tensor AvgPool1d::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return avg_pool1d(x, kernel_size_, options_);
}

AvgPool2d::AvgPool2d(Size2d kernel_size, const AvgPool2dOptions& options)
    : kernel_size_(kernel_size), options_(options) {
  describe(details_of(kernel_size, options.stride, options.padding));
}
Tensor AvgPool2d::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return avg_pool2d(x, kernel_size_, options_);
}

AdaptiveAvgPool2d::AdaptiveAvgPool2d(Size2d output_size) : output_size_(output_size) {
  describe("output_size=" + output_size.str());
}
Tensor AdaptiveAvgPool2d::forward(const Tensor& x) const {
  const PlaceScope scope(*this);
  return adaptive_avg_pool2d(x, output_size_);
}

}  // namespace retrace::nn
