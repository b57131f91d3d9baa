#include <retrace/autograd/composite.h>
#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/autograd/ops/normalization.h>
#include <retrace/autograd/ops/normalize.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/tensor/kernels/columns.h>

#include <array>

namespace retrace {
namespace {

// Mean 0 and the mean square when nothing is centered.
template <class T>
Statistics statistics(const T* x, std::int64_t n, double eps, bool centered) {
  Moments moments(centered ? static_cast<double>(x[0]) : 0.0);
  moments.add(x, n);
  return centered ? moments.statistics(eps) : Statistics(0.0, moments.mean_square(), eps);
}

template <class T>
void normalize_row(const T* x, const T* weight, const T* bias, T* y, std::int64_t n,
                   const Normalize<T>& normal) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i) y[i] = math::mul_add(normal(x[i]), weight[i], bias[i]);
}

/// Sums that a slice's gradient needs.
template <class T>
struct RowSums {
  T h = 0, h_n = 0;  // Σ h, Σ h · n
};

// Up to kBlock elements of a row; dweight and dbias get their share on the way.
template <class T>
RowSums<T> sums_of_block(const T* g, const T* x, const T* weight, std::int64_t count,
                         const Normalize<T>& normal, T* dweight, T* dbias) {
  T sum_h[kLanes] = {}, sum_hn[kLanes] = {};
  const auto lane = [&](std::int64_t i, std::int64_t l) {
    const T n = normal(x[i]), h = g[i] * weight[i];
    sum_h[l] += h;
    sum_hn[l] = math::mul_add(h, n, sum_hn[l]);
    dweight[i] = math::mul_add(g[i], n, dweight[i]);
    dbias[i] += g[i];
  };
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
#pragma omp simd
    for (std::int64_t l = 0; l < kLanes; ++l) lane(i + l, l);
  }
  for (std::int64_t l = 0; i < count; ++i, ++l) lane(i, l);
  return {kernels::sum_lanes<kLanes>(sum_h), kernels::sum_lanes<kLanes>(sum_hn)};
}

template <class T>
void backward_row(const T* g, const T* x, const T* weight, std::int64_t n,
                  const Normalize<T>& normal, bool centered, T* dweight, T* dbias, T* dx) {
  double h = 0, h_n = 0;
  for (std::int64_t i = 0; i < n; i += kSumBlock) {
    const RowSums<T> sums = sums_of_block(g + i, x + i, weight + i, std::min(kSumBlock, n - i),
                                          normal, dweight + i, dbias + i);
    h += static_cast<double>(sums.h);
    h_n += static_cast<double>(sums.h_n);
  }
  if (dx == nullptr) return;
  const T mean_h = centered ? static_cast<T>(h / static_cast<double>(n)) : T(0);
  const T mean_hn = static_cast<T>(h_n / static_cast<double>(n));
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    dx[i] = normal.rstd * (g[i] * weight[i] - math::mul_add(normal(x[i]), mean_hn, mean_h));
}

// Rows whose dweight and dbias are summed in T; the blocks' sums are then added up in double.
constexpr std::int64_t kBlockRows = 32;

template <class T>
struct Backward {
  const T *g, *x, *weight;
  const Statistics* statistics;
  std::int64_t rows, n;
  bool centered;

  /// sums[0 .. n) and [n .. 2n): dweight and dbias of the block's rows. dx may be null.
  void block(std::int64_t index, T* sums, T* dx) const {
    std::fill_n(sums, 2 * n, T(0));
    const std::int64_t end = std::min((index + 1) * kBlockRows, rows);
    for (std::int64_t r = index * kBlockRows; r < end; ++r) {
      backward_row<T>(g + r * n, x + r * n, weight, n, Normalize<T>(statistics[r]), centered, sums,
                      sums + n, dx == nullptr ? nullptr : dx + r * n);
    }
  }
};

struct LayerNorm {
  static constexpr bool centered = true;
  static constexpr std::string_view op = "layer_norm",
                                    formula = "n = (x - mean) / sqrt(var + ε), y = n · w + b",
                                    gradient =
                                        "h = g · w, dx = (h - mean(h) - n · mean(h · n)) / "
                                        "sqrt(var + ε), dw = Σ g · n, db = Σ g";
};

struct RmsNorm {
  static constexpr bool centered = false;
  static constexpr std::string_view op = "rms_norm",
                                    formula = "n = x / sqrt(mean(x²) + ε), y = n · w",
                                    gradient =
                                        "h = g · w, dx = (h - n · mean(h · n)) / "
                                        "sqrt(mean(x²) + ε), dw = Σ g · n";
};

/// Inputs x, weight and bias, of which the last two may be absent.
template <class Kind>
struct RowNormNode final : NodeOf<RowNormNode<Kind>> {
  static constexpr std::string_view op = Kind::op, formula = Kind::formula,
                                    gradient = Kind::gradient;
  RowNormNode(const Shape& sizes, double e) : normalized_shape(sizes), eps(e) {}

  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor upstream = as_contiguous(g), x = bounded_input(*this, 0);
    const Tensor weight = has_weight ? bounded_input(*this, 1) : this->saved_extra(1);
    if (GradMode::is_enabled() && x.numel() > 0) return backward_by_ops(g, x, weight, gradients);
    const Tensor statistics = this->saved_extra(0);
    const std::int64_t n = normalized_shape.numel(), rows = n == 0 ? 0 : x.numel() / n;
    const std::int64_t blocks = (rows + kBlockRows - 1) / kBlockRows;
    Tensor dx = gradients.wants(0) ? empty(x.sizes(), x.dtype()) : Tensor();
    const Tensor sums = empty({blocks, 2, n}, x.dtype());
    visit_float(x.dtype(), op, [&]<class T>() {
      const Backward<T> pass{elements<T>(upstream),
                             elements<T>(x),
                             elements<T>(weight),
                             elements<Statistics>(statistics),
                             rows,
                             n,
                             Kind::centered};
      T* out = dx.defined() ? elements<T>(dx) : nullptr;
      parallel_for(blocks, kernels::grain_of(n, kBlockRows),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t b = begin; b < end; ++b)
                       pass.block(b, elements<T>(sums) + b * 2 * n, out);
                   });
      give_sum<T>(gradients, 1, elements<T>(sums), blocks, n);
      give_sum<T>(gradients, 2, elements<T>(sums) + n, blocks, n);
    });
    if (dx.defined()) gradients.give(0, std::move(dx));
  }

  bool has_weight = false;

 private:
  void backward_by_ops(const Tensor& g, const Tensor& x, const Tensor& weight,
                       Gradients& gradients) const {
    const Tensor bias = linear_input(*this, 2);
    recorded_backward(std::array{x, weight, bias}, {g}, gradients, [&] {
      Shape dims;
      for (int d = 1; d <= normalized_shape.size(); ++d) dims.push_back(-d);
      const Tensor n =
          normalized_by_ops(x.to(kFloat64), dims, Kind::centered, eps, this->saved_extra(0));
      const Tensor y = n.to(x.dtype()) * weight;
      return bias.defined() ? y + bias : y;
    });
  }

  template <class T>
  void give_sum(Gradients& gradients, std::size_t i, const T* first, std::int64_t blocks,
                std::int64_t n) {
    if (!gradients.wants(i)) return;
    const Tensor sum = gradients.accumulator(i);
    Tensor d = sum.defined() ? sum : empty(normalized_shape, this->output_dtype());
    kernels::sum_columns(first, blocks, n, 2 * n, elements<T>(d), sum.defined());
    if (!sum.defined()) gradients.give(i, std::move(d));
  }

  Shape normalized_shape;
  double eps;
};

void check_affine(std::string_view op, const Tensor& x, const Shape& normalized_shape,
                  const char* name, const Tensor& parameter) {
  if (!parameter.defined()) return;
  require<DTypeError>(parameter.dtype() == x.dtype(),
                      "{}: x is {} {}, {} {} {}; convert one with .to({})", op, x.dtype(),
                      x.sizes(), name, parameter.dtype(), parameter.sizes(), x.dtype());
  require<ShapeError>(parameter.sizes() == normalized_shape,
                      "{}: {} is {}, normalized_shape {}; they must be equal", op, name,
                      parameter.sizes(), normalized_shape);
}

void check(std::string_view op, const Tensor& x, const Shape& normalized_shape,
           const Tensor& weight, const Tensor& bias, double eps) {
  require_defined(op, {&x});
  if (!x.is_floating_point()) refuse_dtype(op, x.dtype(), "float32 or float64");
  const int lead = x.dim() - normalized_shape.size();
  require<ShapeError>(
      !normalized_shape.empty() && lead >= 0 &&
          std::equal(normalized_shape.begin(), normalized_shape.end(), x.sizes().begin() + lead),
      "{}: x is {}, normalized_shape {}; give the last dims of x, at least one", op, x.sizes(),
      normalized_shape);
  check_affine(op, x, normalized_shape, "weight", weight);
  check_affine(op, x, normalized_shape, "bias", bias);
  require<ValueError>(eps >= 0 && std::isfinite(eps),
                      "{}: eps is {}; give a finite one, 0 or above", op, eps);
}

template <class Kind>
Tensor normalize_rows(const Tensor& x, const Shape& normalized_shape, const Tensor& weight,
                      const Tensor& bias, double eps) {
  check(Kind::op, x, normalized_shape, weight, bias, eps);
  const Tensor rows_of_x = as_contiguous(x);
  const Tensor scale = weight.defined() ? as_contiguous(weight) : ones(normalized_shape, x.dtype());
  const Tensor shift = bias.defined() ? as_contiguous(bias) : zeros(normalized_shape, x.dtype());
  const std::int64_t n = normalized_shape.numel(), rows = n == 0 ? 0 : x.numel() / n;
  Tensor y = empty(x.sizes(), x.dtype());
  const Tensor statistics_of_rows = empty_statistics(rows);
  visit_float(x.dtype(), Kind::op, [&]<class T>() {
    const T *in = elements<T>(rows_of_x), *w = elements<T>(scale), *b = elements<T>(shift);
    T* out = elements<T>(y);
    auto* stats = elements<Statistics>(statistics_of_rows);
    parallel_for(rows, kernels::grain_of(n), [=](std::int64_t begin, std::int64_t end) {
      for (std::int64_t r = begin; r < end; ++r) {
        stats[r] = statistics(in + r * n, n, eps, Kind::centered);
        normalize_row(in + r * n, w, b, out + r * n, n, Normalize<T>(stats[r]));
      }
    });
  });
  return record<RowNormNode<Kind>>(
      std::move(y), {&x, &weight, &bias},
      [&](auto& node) {
        node.save_input(0, rows_of_x);
        node.save_extra(statistics_of_rows);
        node.has_weight = weight.defined();
        if (node.has_weight) {
          node.save_input(1, scale);
        } else {
          node.save_extra(scale);
        }
      },
      normalized_shape, eps);
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight,
                  const Tensor& bias, double eps) {
  return normalize_rows<LayerNorm>(x, normalized_shape, weight, bias, eps);
}

Tensor rms_norm(const Tensor& x, const Shape& normalized_shape, const Tensor& weight,
                std::optional<double> eps) {
  require_defined("rms_norm", {&x});
  const double smallest = x.dtype() == kFloat32 ? std::numeric_limits<float>::epsilon()
                                                : std::numeric_limits<double>::epsilon();
  return normalize_rows<RmsNorm>(x, normalized_shape, weight, {}, eps.value_or(smallest));
}

}  // namespace retrace
