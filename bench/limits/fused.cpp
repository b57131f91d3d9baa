#include <retrace/bench/limits/fused.h>

// glibc's vector version is offered to the vectoriser only by this declaration, and only where no
// math header stands before it.
extern "C" {
#pragma omp declare simd notinbranch
float expf(float) __attribute__((const));
}

namespace retrace::bench {

void add_bias_relu(float* __restrict y, const float* __restrict bias, int rows, int columns) {
  for (int r = 0; r < rows; ++r) {
    float* __restrict row = y + r * columns;
    for (int c = 0; c < columns; ++c) {
      const float sum = row[c] + bias[c];
      row[c] = sum > 0 ? sum : 0;
    }
  }
}

void relu_backward(float* __restrict upstream, const float* __restrict y, int count) {
  for (int i = 0; i < count; ++i) upstream[i] = y[i] > 0 ? upstream[i] : 0;
}

void softmax_cross_entropy(const float* __restrict y, const float* __restrict bias,
                           const int* __restrict labels, float* __restrict gradient, int rows,
                           int columns, int batch) {
  for (int r = 0; r < rows; ++r) {
    float largest = y[r * columns] + bias[0];
    for (int c = 0; c < columns; ++c) {
      const float sum = y[r * columns + c] + bias[c];
      gradient[r * columns + c] = sum;
      largest = sum > largest ? sum : largest;
    }
    for (int c = 0; c < columns; ++c) gradient[r * columns + c] -= largest;
  }
  const int count = rows * columns;  // one loop over all: rows are short
  for (int i = 0; i < count; ++i) gradient[i] = expf(gradient[i]);
  for (int r = 0; r < rows; ++r) {
    float* __restrict row = gradient + r * columns;
    float sum = 0;
    for (int c = 0; c < columns; ++c) sum += row[c];
    const float scale = 1.F / (sum * static_cast<float>(batch));
    for (int c = 0; c < columns; ++c) row[c] *= scale;
    row[labels[r]] -= 1.F / static_cast<float>(batch);
  }
}

void sum_rows(const float* __restrict x, float* __restrict sum, int rows, int columns, int stride) {
  for (int c = 0; c < columns; ++c) sum[c] = 0;
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) sum[c] += x[r * stride + c];
  }
}

void adam(float* __restrict parameter, const float* __restrict gradient, float* __restrict m,
          float* __restrict v, int count, float lr, int step) {
  constexpr float kBeta1 = 0.9F, kBeta2 = 0.999F, kEps = 1e-8F;
  const float correction1 = 1.F - static_cast<float>(__builtin_pow(0.9, step));
  const float correction2 = 1.F - static_cast<float>(__builtin_pow(0.999, step));
  const float rate = lr / correction1;
  const float root = 1.F / __builtin_sqrtf(correction2);
  for (int i = 0; i < count; ++i) {
    const float g = gradient[i];
    m[i] = kBeta1 * m[i] + (1.F - kBeta1) * g;
    v[i] = kBeta2 * v[i] + (1.F - kBeta2) * g * g;
    parameter[i] -= rate * m[i] / (__builtin_sqrtf(v[i]) * root + kEps);
  }
}

}  // namespace retrace::bench
