#pragma once

// Pooling as modules, for Sequential. Formulas, gradients and errors: see the functions in
// autograd/ops/pooling.h, whose options these are.

#include <retrace/autograd/ops/pooling.h>
#include <retrace/nn/module.h>

namespace retrace::nn {

/// max_pool1d() as a module.
class MaxPool1d : public Module {
 public:
  explicit MaxPool1d(std::int64_t kernel_size, const MaxPool1dOptions& options = {});
  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

 private:
  std::int64_t kernel_size_;
  MaxPool1dOptions options_;
};

/// max_pool2d() as a module.
class MaxPool2d : public Module {
 public:
  explicit MaxPool2d(Size2d kernel_size, const MaxPool2dOptions& options = {});
  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

 private:
  Size2d kernel_size_;
  MaxPool2dOptions options_;
};

/// avg_pool1d() as a module.
class AvgPool1d : public Module {
 public:
  explicit AvgPool1d(std::int64_t kernel_size, const AvgPool1dOptions& options = {});
  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

 private:
  std::int64_t kernel_size_;
  AvgPool1dOptions options_;
};

/// avg_pool2d() as a module.
class AvgPool2d : public Module {
 public:
  explicit AvgPool2d(Size2d kernel_size, const AvgPool2dOptions& options = {});
  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

 private:
  Size2d kernel_size_;
  AvgPool2dOptions options_;
};

/// adaptive_avg_pool2d() as a module.
class AdaptiveAvgPool2d : public Module {
 public:
  explicit AdaptiveAvgPool2d(Size2d output_size);
  Tensor forward(const Tensor& x) const;
  Tensor operator()(const Tensor& x) const { return forward(x); }

 private:
  Size2d output_size_;
};

}  // namespace retrace::nn
