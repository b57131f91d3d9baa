#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/extremum.h>
#include <retrace/autograd/ops/math.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/autograd/ops/softmax.h>
#include <retrace/tensor/kernels/softmax.h>
#include <retrace/tensor/random.h>

namespace retrace {
namespace {

/// x with `dim` exchanged with the last one, row-major.
Tensor with_rows(const Tensor& x, int dim) {
  if (x.dim() == 0 || dim == x.dim() - 1) return as_contiguous(x);
  Shape sizes = x.sizes();
  Strides strides = x.strides();
  std::swap(sizes[dim], sizes[x.dim() - 1]);
  std::swap(strides[dim], strides[x.dim() - 1]);
  return as_contiguous(make_view(x, sizes, strides));
}

std::int64_t row_length(const Tensor& x) { return x.dim() == 0 ? 1 : x.sizes().back(); }

/// out[row] = f<T>(n, out, in...) for each row along `dim`, n being the length of the first
/// operand's; rows of the others are as long or of one element. Other dims than the last are moved
/// there and back by copies.
template <class F, class... In>
Tensor map_rows(std::string_view op, int dim, Shape out_sizes, F f, const In&... in) {
  const std::array<Tensor, sizeof...(In)> rows = {with_rows(in, dim)...};
  if (out_sizes.size() > 0) std::swap(out_sizes[dim], out_sizes[out_sizes.size() - 1]);
  const Tensor out = empty(out_sizes, rows[0].dtype());
  const std::int64_t n = row_length(rows[0]);
  visit_float(out.dtype(), op, [&]<class T>() {
    if (out.numel() == 0) return;
    [&]<std::size_t... K>(std::index_sequence<K...>) {
      const std::int64_t width = row_length(out);
      const std::array<std::int64_t, sizeof...(In)> widths = {row_length(rows[K])...};
      T* const to = elements<T>(out);
      const std::array<const T*, sizeof...(In)> from = {elements<T>(rows[K])...};
      parallel_for(out.numel() / width, kernels::grain_of(n),
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row)
                       f(n, to + row * width, (from[K] + row * widths[K])...);
                   });
    }
    (std::index_sequence_for<In...>());
  });
  return with_rows(out, dim);
}

// Probabilities ----------------------------------------------------------------------------------

template <class Texts>
concept StraightThrough = requires {
  requires Texts::straight_through;
};

/// p = softmax(factor · x) along `dim`, or of what was made of x with the slope `factor`. Straight
/// through: the output is another, with the gradient of p.
template <class Texts>
struct ProbabilityNode final : NodeOf<ProbabilityNode<Texts>> {
  static constexpr std::string_view op = Texts::op, formula = Texts::formula,
                                    gradient = Texts::gradient;
  ProbabilityNode(int d, double slope) : dim(d), factor(slope) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    Tensor p;
    if constexpr (StraightThrough<Texts>) {
      require<AutogradError>(!GradMode::is_enabled(),
                             "{}: second derivatives of the hard form are not available; go back "
                             "without create_graph",
                             op);
      p = this->saved_extra();
    } else {
      p = this->saved_output();
    }
    if (GradMode::is_enabled()) {
      const Tensor dz = mul(p, sub(g, sum(mul(g, p), dim, /*keepdim=*/true)));
      gradients.give(0, mul(dz, factor));
      return;
    }
    const auto row = [c = factor]<class T>(std::int64_t n, T* dx, const T* upstream, const T* q) {
      const T mean = static_cast<T>(kernels::dot_run(upstream, q, n)), scale = static_cast<T>(c);
      kernels::dense_row([=](T u, T v) { return scale * v * (u - mean); }, n, dx, upstream, q);
    };
    gradients.give(0, map_rows(op, dim, g.sizes(), row, g, p));
  }
  int dim;
  double factor;
};

struct Softmax {
  static constexpr std::string_view op = "softmax", formula = "y = exp(x) / Σ exp(x)",
                                    gradient = "dx = y · (g - Σ g y)";
};
struct Softmin {
  static constexpr std::string_view op = "softmin", formula = "y = exp(-x) / Σ exp(-x)",
                                    gradient = "dx = -y · (g - Σ g y)";
};
struct SoftmaxTemperature {
  static constexpr std::string_view op = "softmax_temperature",
                                    formula = "y = exp(x / T) / Σ exp(x / T)",
                                    gradient = "dx = y · (g - Σ g y) / T";
};
struct MaskedSoftmax {
  static constexpr std::string_view op = "masked_softmax",
                                    formula = "y = exp(x) / Σ exp(x) over what the mask keeps",
                                    gradient = "dx = y · (g - Σ g y)";
};
struct GumbelSoftmax {
  static constexpr std::string_view op = "gumbel_softmax", formula = "y = softmax((x + noise) / τ)",
                                    gradient = "dx = y · (g - Σ g y) / τ";
};
struct HardGumbelSoftmax {
  static constexpr std::string_view op = "gumbel_softmax",
                                    formula =
                                        "y = 1 where p = softmax((x + noise) / τ) is "
                                        "largest, else 0",
                                    gradient = "dx = p · (g - Σ g p) / τ";
  static constexpr bool straight_through = true;
};

template <class Texts>
Tensor record_probabilities(const Tensor& p, const Tensor& x, int dim, double factor = 1) {
  return record<ProbabilityNode<Texts>>(
      p, {&x}, [&](auto& node) { node.save_output(p); }, dim, factor);
}

/// softmax(x / T), unrecorded. The largest goes to 0 first, so that a small T overflows nothing.
Tensor tempered(std::string_view op, const Tensor& x, int dim, double temperature) {
  const auto row = [temperature]<class T>(std::int64_t n, T* out, const T* in) {
    const T largest = kernels::reduce_run(kernels::Largest<T>(), in, n);
    const T t = static_cast<T>(temperature);
    kernels::dense_row([=](T v) { return (v - largest) / t; }, n, out, in);
    kernels::softmax_row(out, n, out);
  };
  return map_rows(op, dim, x.sizes(), row, x);
}

void require_positive(std::string_view op, std::string_view what, double value) {
  require<ValueError>(value > 0, "{}: {} is {}; it must be above 0", op, what, value);
}

struct LogSoftmaxNode final : NodeOf<LogSoftmaxNode> {
  static constexpr std::string_view op = "log_softmax", formula = "y = x - ln Σ exp(x)",
                                    gradient = "dx = g - exp(y) · Σ g";
  explicit LogSoftmaxNode(int d) : dim(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor y = saved_output();
    if (GradMode::is_enabled()) {
      gradients.give(0, sub(g, mul(exp(y), sum(g, dim, /*keepdim=*/true))));
      return;
    }
    const auto row = []<class T>(std::int64_t n, T* dx, const T* upstream, const T* log_p) {
      const T total = static_cast<T>(kernels::reduce_run(kernels::RowSum<T>(), upstream, n));
      kernels::dense_row([total](T u, T v) { return math::mul_add(-math::exp(v), total, u); }, n,
                         dx, upstream, log_p);
    };
    gradients.give(0, map_rows(op, dim, g.sizes(), row, g, y));
  }
  int dim;
};

// Entropy ----------------------------------------------------------------------------------------

struct EntropyNode final : NodeOf<EntropyNode> {
  static constexpr std::string_view op = "entropy_from_logits",
                                    formula = "H = ln Σ exp(x) - Σ p x, p = exp(x) / Σ exp(x)",
                                    gradient = "dx = -g · p (x - Σ p x)";
  explicit EntropyNode(int d) : dim(d) {}
  void backward(const Tensor& upstream, Gradients& gradients) override {
    const Tensor x = saved_input(0), mean_depth = saved_extra();
    const Tensor g = upstream.reshape(mean_depth.sizes());
    if (GradMode::is_enabled() && x.numel() > 0) {
      // What is impossible has no gradient, not 0 times infinity; a shift changes nothing.
      const Tensor largest = without_recording([&] { return amax(x, dim, /*keepdim=*/true); });
      const Tensor impossible =
          without_recording([&] { return eq(x, -std::numeric_limits<double>::infinity()); });
      const Tensor p = softmax(x, dim), below = masked_fill(sub(x, largest), impossible, 0.0);
      const Tensor mean = sum(mul(p, below), dim, /*keepdim=*/true);
      gradients.give(0, mul(mul(p, sub(below, mean)), neg(g)));
      return;
    }
    const auto row = []<class T>(std::int64_t n, T* dx, const T* in, const T* u, const T* d) {
      const auto [largest, log_sum] = kernels::log_sum_exp_row(in, n);
      const T first = largest, second = log_sum, scale = -*u, mean = *d;
      kernels::dense_row(
          [=](T v) {
            const T below = v - first, p = math::exp(below - second);
            return math::select(p == T(0), T(0), scale * p * (below + mean));
          },
          n, dx, in);
    };
    gradients.give(0, map_rows(op, dim, x.sizes(), row, x, g, mean_depth));
  }
  int dim;
};

/// Reducer: Σ p (largest - x) with p = exp(x - largest) / Σ exp: how far x lies below its largest.
/// An x of -infinity adds nothing.
template <class T>
struct MeanDepth : kernels::RowSum<T> {
  T largest, log_sum;
  double step(double sum, T x) const {
    const T depth = largest - x, p = math::exp(-depth - log_sum);
    return sum + static_cast<double>(math::select(p == T(0), T(0), p * depth));
  }
};

}  // namespace

Tensor softmax(const Tensor& x, std::int64_t dim) {
  require_defined("softmax", {&x});
  const int d = wrap_dim("softmax", dim, x.sizes());
  const auto row = []<class T>(std::int64_t n, T* out, const T* in) {
    kernels::softmax_row(in, n, out);
  };
  return record_probabilities<Softmax>(map_rows("softmax", d, x.sizes(), row, x), x, d);
}

Tensor softmin(const Tensor& x, std::int64_t dim) {
  require_defined("softmin", {&x});
  const int d = wrap_dim("softmin", dim, x.sizes());
  const auto row = []<class T>(std::int64_t n, T* out, const T* in) {
    kernels::dense_row([](T v) { return -v; }, n, out, in);
    kernels::softmax_row(out, n, out);
  };
  return record_probabilities<Softmin>(map_rows("softmin", d, x.sizes(), row, x), x, d, -1);
}

Tensor softmax_temperature(const Tensor& x, std::int64_t dim, double temperature) {
  constexpr std::string_view op = SoftmaxTemperature::op;
  require_defined(op, {&x});
  const int d = wrap_dim(op, dim, x.sizes());
  require_positive(op, "the temperature", temperature);
  return record_probabilities<SoftmaxTemperature>(tempered(op, x, d, temperature), x, d,
                                                  1 / temperature);
}

Tensor masked_softmax(const Tensor& x, const Tensor& mask, std::int64_t dim) {
  constexpr std::string_view op = MaskedSoftmax::op;
  require_defined(op, {&x, &mask});
  require<DTypeError>(mask.dtype() == kBool,
                      "{}: the mask must be bool, true where x is kept; got {} {}", op,
                      mask.dtype(), mask.sizes());
  require<ShapeError>(broadcast_shapes(op, x.sizes(), mask.sizes()) == x.sizes(),
                      "{}: x is {}, the mask {}; the mask must broadcast to x", op, x.sizes(),
                      mask.sizes());
  const int d = wrap_dim(op, dim, x.sizes());
  const Tensor kept = empty(x.sizes(), x.dtype());
  visit_float(x.dtype(), op, [&]<class T>() {
    constexpr T kDropped = -std::numeric_limits<T>::infinity();
    kernels::map<T, T, bool>([](T v, bool keep) { return math::select(keep, v, kDropped); }, kept,
                             x, mask);
  });
  const Tensor p = without_recording([&] { return softmax(kept, d); });
  return record_probabilities<MaskedSoftmax>(p, x, d);
}

Tensor gumbel_softmax(const Tensor& logits, const Tensor& noise,
                      const GumbelSoftmaxOptions& options) {
  constexpr std::string_view op = GumbelSoftmax::op;
  require_defined(op, {&logits, &noise});
  require_same_dtype(op, logits, noise);
  require<ShapeError>(logits.sizes() == noise.sizes(),
                      "{}: the logits are {}, the noise {}; they must be equal", op, logits.sizes(),
                      noise.sizes());
  const int d = wrap_dim(op, options.dim, logits.sizes());
  require_positive(op, "tau", options.tau);
  if (!logits.is_floating_point()) refuse_dtype(op, logits.dtype(), "float32 or float64");
  const Tensor p =
      without_recording([&] { return tempered(op, add(logits, noise), d, options.tau); });
  if (!options.hard) return record_probabilities<GumbelSoftmax>(p, logits, d, 1 / options.tau);
  const auto row = []<class T>(std::int64_t n, T* out, const T* in) {
    std::fill_n(out, n, T(0));
    out[std::max_element(in, in + n) - in] = 1;
  };
  return record<ProbabilityNode<HardGumbelSoftmax>>(
      map_rows(op, d, p.sizes(), row, p), {&logits}, [&](auto& node) { node.save_extra(p); }, d,
      1 / options.tau);
}

Tensor gumbel_softmax(const Tensor& logits, const GumbelSoftmaxOptions& options,
                      Generator* generator) {
  require_defined(GumbelSoftmax::op, {&logits});
  if (!logits.is_floating_point())
    refuse_dtype(GumbelSoftmax::op, logits.dtype(), "float32 or float64");
  // In double whatever the dtype: of float32 uniforms one in 16 million is 0.
  const Tensor u = rand(logits.sizes(), kFloat64, generator);
  kernels::map<double, double>(
      [](double v) { return -std::log(-std::log(v > 0x1p-54 ? v : 0x1p-54)); }, u, u);
  return gumbel_softmax(logits, u.to(logits.dtype()), options);
}

Tensor log_softmax(const Tensor& x, std::int64_t dim) {
  require_defined("log_softmax", {&x});
  const int d = wrap_dim("log_softmax", dim, x.sizes());
  const auto row = []<class T>(std::int64_t n, T* out, const T* in) {
    kernels::log_softmax_row(in, n, out);
  };
  const Tensor y = map_rows("log_softmax", d, x.sizes(), row, x);
  return record<LogSoftmaxNode>(
      y, {&x}, [&](LogSoftmaxNode& node) { node.save_output(y); }, d);
}

Tensor entropy_from_logits(const Tensor& x, std::int64_t dim, bool keepdim) {
  constexpr std::string_view op = EntropyNode::op;
  require_defined(op, {&x});
  const int d = wrap_dim(op, dim, x.sizes());
  // The two parts of H apart: of rows almost uniform, backward needs the digits of the small one.
  const auto row = []<class T>(std::int64_t n, T* out, const T* in) {
    const auto [largest, log_sum] = kernels::log_sum_exp_row(in, n);
    out[0] = n == 0 ? T(0) : log_sum;
    out[1] = static_cast<T>(kernels::reduce_run(MeanDepth<T>{{}, largest, log_sum}, in, n));
  };
  Shape kept = x.sizes(), both = kept;
  if (x.dim() > 0) {
    kept[d] = 1;
    both[d] = 2;
  } else {
    both = {2};
  }
  Tensor y, mean_depth;
  without_recording([&] {
    const Tensor parts = map_rows(op, d, both, row, x);
    y = sum(parts, d, keepdim && x.dim() > 0);
    mean_depth = parts.narrow(d, 1, 1).reshape(kept);
  });
  return record<EntropyNode>(
      y, {&x},
      [&](EntropyNode& node) {
        node.save_input(0, x);
        node.save_extra(mean_depth);
      },
      d);
}

Tensor Tensor::softmax(std::int64_t dim) const { return retrace::softmax(*this, dim); }
Tensor Tensor::log_softmax(std::int64_t dim) const { return retrace::log_softmax(*this, dim); }

}  // namespace retrace
