#include <retrace/optim/muon.h>

#include <algorithm>
#include <cmath>

#include <retrace/optim/algorithm.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/kernels/gemm.h>
#include <retrace/tensor/view.h>

namespace retrace::optim {
namespace {

// `prefix` is that of the options' names.
void check_newton_schulz(std::string_view name, const std::string& prefix,
                         const NewtonSchulzOptions& o) {
  for (std::size_t i = 0; i < o.coefficients.size(); ++i)
    require_finite(name, fmt::format("{}coefficients[{}]", prefix, i), o.coefficients[i]);
  require<ValueError>(o.steps >= 1, "{}: {}steps is {}; give at least 1", name, prefix, o.steps);
  require_positive(name, "eps", o.eps);
  require<ValueError>(o.eps_mode == EpsMode::add || o.eps_mode == EpsMode::clamp,
                      "{}: eps_mode is {}; give EpsMode::add or EpsMode::clamp", name,
                      static_cast<int>(o.eps_mode));
}

// Elements of the memory that orthogonalize works in: the matrix twice, and two squares.
std::int64_t work_size(const Shape& sizes) {
  const std::int64_t shorter = std::min(sizes[0], sizes[1]);
  return 2 * (sizes[0] * sizes[1] + shorter * shorter);
}

// The matrix, row-major at the beginning of `work`, made orthogonal. The result lies in `work`,
// too.
template <class T>
T* orthogonalize(const NewtonSchulzOptions& o, const Shape& sizes, T* work) {
  const std::int64_t rows = sizes[0], cols = sizes[1], n = rows * cols;
  const std::int64_t shorter = std::min(rows, cols), square = shorter * shorter;
  T *x = work, *next = x + n, *a = next + n, *b = a + square;
  const auto wide = [&](T* data) {
    const auto matrix = kernels::row_major(data, rows, cols);
    return rows > cols ? matrix.transposed() : matrix;
  };
  const auto A = kernels::row_major(a, shorter, shorter),
             B = kernels::row_major(b, shorter, shorter);

  // By a power of two, which no digit sees, to a size at which neither squares nor norm overflow.
  double largest = 0;
  for (std::int64_t i = 0; i < n; ++i)
    largest = std::max(largest, std::abs(static_cast<double>(x[i])));
  const bool scales = largest > 0 && std::isfinite(largest);
  const double scale = scales ? std::ldexp(1, std::min(-std::ilogb(largest), 1000)) : 1;
  double squares = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    x[i] = static_cast<T>(static_cast<double>(x[i]) * scale);
    squares += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  }
  const double norm = std::sqrt(squares), eps = o.eps * scale;
  const auto divisor = static_cast<T>(o.eps_mode == EpsMode::add ? norm + eps
                                      : norm < eps               ? eps
                                                                 : norm);
  for (std::int64_t i = 0; i < n; ++i) x[i] /= divisor;

  for (std::int64_t step = 0; step < o.steps; ++step) {
    kernels::gemm<T>(1, wide(x), wide(x).transposed(), 0, A);
    std::copy_n(a, square, b);
    kernels::gemm<T>(static_cast<T>(o.coefficients[2]), A, A, static_cast<T>(o.coefficients[1]), B);
    std::copy_n(x, n, next);
    kernels::gemm<T>(1, B, wide(x), static_cast<T>(o.coefficients[0]), wide(next));
    std::swap(x, next);
  }
  return x;
}

}  // namespace

Tensor newton_schulz(const Tensor& matrix, const NewtonSchulzOptions& options) {
  require<ValueError>(matrix.defined(), "newton_schulz: the matrix is undefined");
  require<ShapeError>(matrix.dim() == 2, "newton_schulz: the matrix is {} {}; give it two dims",
                      matrix.dtype(), matrix.sizes());
  check_newton_schulz("newton_schulz", "", options);
  if (matrix.dtype() == kFloat32) {
    for (const double each : options.coefficients)
      require_float32("newton_schulz", "coefficients", each);
    require_float32("newton_schulz", "eps", options.eps);
  }
  return visit_float(matrix.dtype(), "newton_schulz", [&]<class T>() {
    const Tensor row_major = as_contiguous(matrix);
    const Tensor work = empty({work_size(matrix.sizes())}, matrix.dtype());
    std::copy_n(elements<T>(row_major), matrix.numel(), elements<T>(work));
    const T* orthogonal = orthogonalize(options, matrix.sizes(), elements<T>(work));
    const Tensor result = empty(matrix.sizes(), matrix.dtype());
    std::copy_n(orthogonal, matrix.numel(), elements<T>(result));
    return result;
  });
}

template <>
struct RuleFor<MuonOptions> {
  static constexpr std::string_view name = "Muon";

  static void check(const MuonOptions& o) {
    require_at_least_zero(name, "lr", o.lr);
    require_at_least_zero(name, "weight_decay", o.weight_decay);
    require_decay_rate(name, "momentum", o.momentum);
    check_newton_schulz(name, "ns_", newton_schulz_of(o));
  }

  static void check_shape(std::size_t index, const Shape& sizes) {
    require<ShapeError>(sizes.size() == 2,
                        "Muon: parameter {} has shape {}, which is not a matrix; give it to an "
                        "optimizer of its own, AdamW say",
                        index, sizes);
  }

  static KeptTensors kept(const MuonOptions&) { return {{{"momentum_buffer"}}}; }

  static void visit(auto& o, auto&& f) {
    f("lr", o.lr);
    f("weight_decay", o.weight_decay);
    f("momentum", o.momentum);
    f("nesterov", o.nesterov);
    f("ns_coefficients", o.ns_coefficients);
    f("eps", o.eps);
    f("ns_steps", o.ns_steps);
    f("eps_mode", o.eps_mode);
  }

  void reserve(const Shape& sizes, DType dtype) {
    const std::int64_t bytes = work_size(sizes) * static_cast<std::int64_t>(size_of(dtype));
    const std::int64_t doubles = (bytes + 7) / 8;
    if (!work_.defined() || work_.numel() < doubles) work_ = empty({doubles}, kFloat64);
  }

  template <class T>
  void update(const MuonOptions& o, Share<T> share) {
    if (share.n == 0) return;
    T* const u = reinterpret_cast<T*>(work_.get().data);
    const auto keep = static_cast<T>(o.momentum), take = static_cast<T>(1 - o.momentum);
    parallel_for(share.n, kUpdateGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T g = share.gradient[i];
        const T m = share.kept[0][i] = keep * share.kept[0][i] + take * g;
        u[i] = o.nesterov ? keep * m + take * g : m;
      }
    });
    share.gradient = orthogonalize(newton_schulz_of(o), share.sizes, u);
    const double tall = static_cast<double>(share.sizes[0]) / static_cast<double>(share.sizes[1]);
    const auto lr = static_cast<T>(o.lr * std::sqrt(std::max(1.0, tall)));
    update_each(share, {.shrink = 1 - o.lr * o.weight_decay}, [=](T& p, T g) { p -= lr * g; });
  }

 private:
  static NewtonSchulzOptions newton_schulz_of(const MuonOptions& o) {
    return {.coefficients = o.ns_coefficients,
            .steps = o.ns_steps,
            .eps = o.eps,
            .eps_mode = o.eps_mode};
  }

  Tensor work_;  // any dtype's bytes
};

template class OptimizerFor<MuonOptions>;

}  // namespace retrace::optim
