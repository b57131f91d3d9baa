#include <retrace/autograd/composite.h>
#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/distance.h>
#include <retrace/autograd/ops/length.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/autograd/ops/moments.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/similarity.h>
#include <retrace/tensor/kernels/reduce.h>

#include <cmath>
#include <vector>

namespace retrace {
namespace {

void check_vectors(std::string_view op, const Tensor& x1, const Tensor& x2) {
  require_defined(op, {&x1, &x2});
  require_same_dtype(op, x1, x2);
  if (!x1.is_floating_point()) refuse_dtype(op, x1.dtype(), "float32 or float64");
  require<ShapeError>(x1.dim() > 0 && x2.dim() > 0 && x1.size(-1) == x2.size(-1),
                      "{}: the vectors are {} and {}; they lie along the last dim, which must be "
                      "of one size",
                      op, x1.sizes(), x2.sizes());
  broadcast_shapes(op, x1.sizes(), x2.sizes());
}

struct PairwiseDistance {
  static constexpr std::string_view op = "pairwise_distance", formula = "y = ‖a - b + eps‖_p",
                                    gradient =
                                        "da = g · sign(d) · (|d| / y)^(p - 1), db = -da, d = a - "
                                        "b + eps";
};
struct EuclideanDistance {
  static constexpr std::string_view op = "euclidean_distance", formula = "y = ‖a - b‖",
                                    gradient = "da = g · (a - b) / y, 0 where y is 0, db = -da";
};
struct SquaredEuclideanDistance {
  static constexpr std::string_view op = "squared_euclidean_distance", formula = "y = ‖a - b‖²",
                                    gradient = "da = 2 g · (a - b), db = -da";
};
struct ManhattanDistance {
  static constexpr std::string_view op = "manhattan_distance", formula = "y = Σ |a - b|",
                                    gradient = "da = g · sign(a - b), db = -da";
};
struct CosineDistance {
  static constexpr std::string_view
      op = "cosine_distance",
      formula = "y = 1 - a · b / (|a| |b|)",
      gradient = "da = -g · (b / (|a| |b|) - cos · a / |a|²), and the same for b";
};

template <class Texts, class Measure>
Tensor distance(const Tensor& x1, const Tensor& x2, const Measure& measure) {
  check_vectors(Texts::op, x1, x2);
  return composite<Texts>([measure](const Tensor& a, const Tensor& b) { return measure(a, b); }, x1,
                          x2);
}

// All pairs --------------------------------------------------------------------------------------

/// Two matrices with vectors as rows.
template <class T>
struct Points {
  const T* x;
  std::int64_t count, width;
  const T* operator[](std::int64_t i) const { return x + i * width; }
};

template <class T>
Points<T> points_of(const Tensor& x) {
  return {elements<const T>(x), x.size(0), x.size(1)};
}

/// Σ (a - b)², in Acc over a block and in double over the blocks.
template <class Acc, class T>
double sum_of_squares(const T* a, const T* b, std::int64_t n) {
  constexpr std::int64_t kLanes = 16, kBlock = 1024;
  double total = 0;
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t end = std::min(begin + kBlock, n);
    Acc lanes[kLanes] = {};
    std::int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes) {
#pragma omp simd
      for (std::int64_t l = 0; l < kLanes; ++l) {
        const Acc d = static_cast<Acc>(a[i + l] - b[i + l]);
        lanes[l] += d * d;
      }
    }
    for (; i < end; ++i) {
      const Acc d = static_cast<Acc>(a[i] - b[i]);
      lanes[0] += d * d;
    }
    total += static_cast<double>(kernels::sum_lanes<kLanes>(lanes));
  }
  return total;
}

/// ‖a - b‖ by squares in T, or in double where squares of T come to their ends.
template <class T>
double distance_of(const T* a, const T* b, std::int64_t n) {
  const double squares = sum_of_squares<T>(a, b, n);
  if constexpr (std::is_same_v<T, float>) {
    if (squares > 1e-30 && squares < 1e37) return std::sqrt(squares);
    return std::sqrt(sum_of_squares<double>(a, b, n));
  } else {
    if (squares_fit(squares)) return std::sqrt(squares);
    return scaled_length(n, [a, b](std::int64_t i) { return a[i] - b[i]; });
  }
}

template <class F>
void for_points(std::int64_t count, std::int64_t work, F f) {
  parallel_for(count, kernels::grain_of(work), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) f(i);
  });
}

/// dx(i) = Σ over j of g(i, j) · (x(i) - others(j)) / y(i, j). Entry (i, j) of g and y stands at
/// i · step + j · across.
template <class T>
void pull(const Points<T>& x, const Points<T>& others, std::int64_t step, std::int64_t across,
          const T* g, const T* y, T* dx) {
  if (x.width == 0) return;
  for_points(x.count, others.count * x.width, [&](std::int64_t i) {
    std::vector<double> sum(static_cast<std::size_t>(x.width));
    const T* from = x[i];
    for (std::int64_t j = 0; j < others.count; ++j) {
      const std::int64_t at = i * step + j * across;
      if (g[at] == T(0) || y[at] == T(0)) continue;
      const double weight = static_cast<double>(g[at]) / static_cast<double>(y[at]);
      const T* to = others[j];
      double* into = sum.data();
#pragma omp simd
      for (std::int64_t k = 0; k < x.width; ++k)
        into[k] += weight * static_cast<double>(from[k] - to[k]);
    }
    for (std::int64_t k = 0; k < x.width; ++k)
      dx[i * x.width + k] = static_cast<T>(sum[static_cast<std::size_t>(k)]);
  });
}

struct CdistNode final : NodeOf<CdistNode> {
  static constexpr std::string_view op = "cdist", formula = "y(i, j) = ‖a(i) - b(j)‖",
                                    gradient =
                                        "da(i) = Σ g(i, j) · (a(i) - b(j)) / y(i, j), 0 where y "
                                        "is 0, and the same for b";
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor x1 = bounded_input(*this, 0), x2 = bounded_input(*this, 1);
    if (GradMode::is_enabled() && g.numel() > 0) {
      return recorded_backward(std::array{x1, x2}, {g}, gradients,
                               [&] { return norm(x1.unsqueeze(1) - x2.unsqueeze(0), 2, -1); });
    }
    const Tensor y = saved_output();
    const Tensor upstream = as_contiguous(g);
    visit_float(g.dtype(), op, [&]<class T>() {
      const Points<T> a = points_of<T>(x1), b = points_of<T>(x2);
      const T *of_y = elements<const T>(upstream), *lengths = elements<const T>(y);
      const auto give = [&](std::size_t side, const Points<T>& x, const Points<T>& others,
                            std::int64_t step, std::int64_t across) {
        if (!gradients.wants(side)) return;
        Tensor dx = empty({x.count, x.width}, g.dtype());
        pull(x, others, step, across, of_y, lengths, elements<T>(dx));
        gradients.give(side, std::move(dx));
      };
      give(0, a, b, b.count, 1);
      give(1, b, a, 1, b.count);
    });
  }
};

}  // namespace

Tensor pairwise_distance(const Tensor& x1, const Tensor& x2, double p, double eps) {
  require<ValueError>(p > 0, "pairwise_distance: p is {}; it must be positive", p);
  require<ValueError>(std::isfinite(eps), "pairwise_distance: eps is {}; it must be finite", eps);
  return distance<PairwiseDistance>(
      x1, x2, [p, eps](const Tensor& a, const Tensor& b) { return norm(a - b + eps, p, -1); });
}

Tensor euclidean_distance(const Tensor& x1, const Tensor& x2) {
  return distance<EuclideanDistance>(
      x1, x2, [](const Tensor& a, const Tensor& b) { return norm(a - b, 2, -1); });
}

Tensor squared_euclidean_distance(const Tensor& x1, const Tensor& x2) {
  return distance<SquaredEuclideanDistance>(
      x1, x2, [](const Tensor& a, const Tensor& b) { return (a - b).square().sum(-1); });
}

Tensor manhattan_distance(const Tensor& x1, const Tensor& x2) {
  return distance<ManhattanDistance>(
      x1, x2, [](const Tensor& a, const Tensor& b) { return (a - b).abs().sum(-1); });
}

Tensor cosine_distance(const Tensor& x1, const Tensor& x2) {
  return distance<CosineDistance>(
      x1, x2, [](const Tensor& a, const Tensor& b) { return 1 - cosine_similarity(a, b, -1); });
}

Tensor cdist(const Tensor& x1, const Tensor& x2) {
  constexpr std::string_view op = CdistNode::op;
  require_defined(op, {&x1, &x2});
  require_same_dtype(op, x1, x2);
  require<ShapeError>(x1.dim() == 2 && x2.dim() == 2 && x1.size(1) == x2.size(1),
                      "{}: the points are {} and {}; they must be [N, D] and [M, D]", op,
                      x1.sizes(), x2.sizes());
  const Tensor rows1 = as_contiguous(x1), rows2 = as_contiguous(x2);
  Tensor y = empty({x1.size(0), x2.size(0)}, x1.dtype());
  visit_float(x1.dtype(), op, [&]<class T>() {
    const Points<T> a = points_of<T>(rows1), b = points_of<T>(rows2);
    T* out = elements<T>(y);
    if (y.numel() == 0) return;  // of however many points
    for_points(a.count, b.count * a.width, [&](std::int64_t i) {
      for (std::int64_t j = 0; j < b.count; ++j)
        out[i * b.count + j] = static_cast<T>(distance_of(a[i], b[j], a.width));
    });
  });
  return record<CdistNode>(y, {&x1, &x2}, [&](CdistNode& node) {
    node.save_input(0, rows1);
    node.save_input(1, rows2);
    node.save_output(y);
  });
}

}  // namespace retrace
