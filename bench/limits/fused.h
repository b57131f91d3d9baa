// The passes between the products. Plain functions over restrict pointers: that is what compilers
// vectorise. Matrices are row-major.
#pragma once

namespace retrace::bench {

// y = max(0, y + bias)
void add_bias_relu(float* y, const float* bias, int rows, int columns);

// upstream = 0 where y = 0
void relu_backward(float* upstream, const float* y, int count);

// gradient = (softmax(y + bias) - one_hot(label)) / batch
void softmax_cross_entropy(const float* y, const float* bias, const int* labels, float* gradient,
                           int rows, int columns, int batch);

// sum[c] = sum over r of x[r * stride + c]
void sum_rows(const float* x, float* sum, int rows, int columns, int stride);

// Adam (Kingma and Ba 2014, arXiv 1412.6980) with betas 0.9, 0.999 and eps 1e-8.
void adam(float* parameter, const float* gradient, float* m, float* v, int count, float lr,
          int step);

}  // namespace retrace::bench
