#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/rearranging.h>
#include <retrace/autograd/ops/view.h>

#include <cstring>

namespace retrace {
namespace {

struct FlipNode final : NodeOf<FlipNode> {
  static constexpr std::string_view op = "flip", formula = "y = x in reverse order",
                                    gradient = "dx = g in reverse order";
  explicit FlipNode(const Shape& d) : dims(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, flip(g, dims));
  }
  Shape dims;
};

struct RollNode final : NodeOf<RollNode> {
  static constexpr std::string_view op = "roll", formula = "y[i + shift] = x[i], cyclically",
                                    gradient = "dx[i] = g[i + shift], cyclically";
  RollNode(std::int64_t s, int d) : shift(s), dim(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, roll(g, -shift, dim));
  }
  std::int64_t shift;
  int dim;
};

struct PadNode final : NodeOf<PadNode> {
  static constexpr std::string_view op = "pad", formula = "y = x in a frame of constants",
                                    gradient = "dx = g inside the frame";
  PadNode(const Shape& f, const Shape& from) : first(f), sizes(from) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    Tensor inside = g;
    for (int d = 0; d < sizes.size(); ++d) inside = inside.narrow(d, first[d], sizes[d]);
    gradients.give(0, inside);
  }
  Shape first, sizes;  // where x begins in the result
};

struct TrilNode final : NodeOf<TrilNode> {
  static constexpr std::string_view op = "tril",
                                    formula = "y = x on and below the diagonal, else 0",
                                    gradient = "dx = g on and below the diagonal, else 0";
  explicit TrilNode(std::int64_t d) : diagonal(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, tril(g, diagonal));
  }
  std::int64_t diagonal;
};

struct TriuNode final : NodeOf<TriuNode> {
  static constexpr std::string_view op = "triu",
                                    formula = "y = x on and above the diagonal, else 0",
                                    gradient = "dx = g on and above the diagonal, else 0";
  explicit TriuNode(std::int64_t d) : diagonal(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, triu(g, diagonal));
  }
  std::int64_t diagonal;
};

/// Keeps the columns [begin(row), end(row)) of each row of the last two dims, 0 elsewhere.
template <class Begin, class End>
Tensor triangle(std::string_view op, const Tensor& x, Begin begin, End end) {
  require_defined(op, {&x});
  require<ShapeError>(x.dim() >= 2, "{}: shape {} has no rows and columns; two dims are needed", op,
                      x.sizes());
  const Tensor from = as_contiguous(x);
  Tensor y = empty(x.sizes(), x.dtype());
  const std::int64_t rows = x.size(-2), columns = x.size(-1);
  const std::int64_t width = size_of(x.dtype());
  const auto bytes = [width](std::int64_t n) { return static_cast<std::size_t>(n * width); };
  if (y.numel() == 0) return y;
  parallel_for(y.numel() / columns, kernels::grain_of(columns),
               [&](std::int64_t first, std::int64_t last) {
                 for (std::int64_t r = first; r < last; ++r) {
                   const std::int64_t a = std::clamp<std::int64_t>(begin(r % rows), 0, columns);
                   const std::int64_t b = std::clamp<std::int64_t>(end(r % rows), a, columns);
                   std::byte* to = y.get().data + r * columns * width;
                   const std::byte* row = from.get().data + r * columns * width;
                   std::memset(to, 0, bytes(a));
                   std::memcpy(to + a * width, row + a * width, bytes(b - a));
                   std::memset(to + b * width, 0, bytes(columns - b));
                 }
               });
  return y;
}

/// Beyond any matrix, and far from overflow.
std::int64_t bounded(std::int64_t diagonal) {
  constexpr std::int64_t kFar = std::int64_t{1} << 61;
  return std::clamp(diagonal, -kFar, kFar);
}

}  // namespace

Tensor flip(const Tensor& x, const Shape& dims) {
  require_defined("flip", {&x});
  Strides strides = x.strides();
  std::int64_t offset = 0;
  bool seen[kMaxDims] = {};
  for (const std::int64_t dim : dims) {
    const int d = wrap_dim("flip", dim, x.sizes());
    require<IndexError>(!seen[d], "flip: dim {} is named twice in {}; name each once", d, dims);
    seen[d] = true;
    if (x.dim() == 0 || x.numel() == 0) continue;
    offset += (x.sizes()[d] - 1) * strides[d];
    strides[d] = -strides[d];
  }
  return record<FlipNode>(
      contiguous_copy(make_view(x, x.sizes(), strides, offset)), {&x}, [](FlipNode&) {}, dims);
}

Tensor roll(const Tensor& x, std::int64_t shift, std::int64_t dim) {
  require_defined("roll", {&x});
  const int d = wrap_dim("roll", dim, x.sizes());
  const std::int64_t n = x.dim() == 0 ? 1 : x.sizes()[d];
  const std::int64_t rest = n == 0 ? 0 : shift % n, moved = rest < 0 ? rest + n : rest;
  Tensor y = empty(x.sizes(), x.dtype());
  if (x.dim() == 0) {
    copy_elements(y, x);
  } else if (x.numel() > 0) {
    const auto copy = [&](std::int64_t to, std::int64_t from, std::int64_t length) {
      Shape sizes = x.sizes();
      sizes[d] = length;
      copy_elements(make_view(y, sizes, y.strides(), to * y.strides()[d]),
                    make_view(x, sizes, x.strides(), from * x.strides()[d]));
    };
    if (moved > 0) copy(0, n - moved, moved);
    copy(moved, 0, n - moved);
  }
  return record<RollNode>(
      std::move(y), {&x}, [](RollNode&) {}, moved, d);
}

Tensor roll(const Tensor& x, const Shape& shifts, const Shape& dims) {
  require_defined("roll", {&x});
  require<ShapeError>(shifts.size() == dims.size(),
                      "roll: {} shifts {} for {} dims {}; give one for each", shifts.size(), shifts,
                      dims.size(), dims);
  for (const std::int64_t dim : dims) wrap_dim("roll", dim, x.sizes());
  Tensor y = dims.empty() ? x.clone() : x;
  for (int i = 0; i < dims.size(); ++i) y = roll(y, shifts[i], dims[i]);
  return y;
}

Tensor roll(const Tensor& x, std::int64_t shift) {
  require_defined("roll", {&x});
  return roll(x.reshape({x.numel()}), shift, 0).reshape(x.sizes());
}

Tensor pad(const Tensor& x, const std::vector<std::int64_t>& amounts, Scalar value) {
  require_defined("pad", {&x});
  value.require_held("pad", x.dtype());
  const std::size_t count = amounts.size();
  require<ShapeError>(count % 2 == 0 && count / 2 <= static_cast<std::size_t>(x.dim()),
                      "pad: {} amounts for shape {}; give two for each dim, from the last one on",
                      count, x.sizes());
  Shape sizes = x.sizes(), first = Shape::filled(x.dim(), 0);
  Tensor inside = x;
  for (std::size_t k = 0; k < count / 2; ++k) {
    const int d = x.dim() - 1 - static_cast<int>(k);
    const std::int64_t before = amounts[2 * k], behind = amounts[2 * k + 1];
    constexpr std::int64_t kMost = std::int64_t{1} << 61;
    require<ShapeError>(std::max(before, behind) < kMost,
                        "pad: amounts {} and {} do not fit dim {} of shape {}; add fewer", before,
                        behind, d, x.sizes());
    require<ShapeError>(
        std::min(before, behind) > -kMost &&
            sizes[d] + std::min<std::int64_t>(before, 0) + std::min<std::int64_t>(behind, 0) >= 0,
        "pad: amounts {} and {} leave nothing of dim {} of shape {}; cut off less", before, behind,
        d, x.sizes());
    const std::int64_t cut = std::max<std::int64_t>(-before, 0);
    const std::int64_t left = sizes[d] - cut - std::max<std::int64_t>(-behind, 0);
    if (left != sizes[d]) inside = inside.narrow(d, cut, left);
    first[d] = std::max<std::int64_t>(before, 0);
    require<ShapeError>(!__builtin_add_overflow(sizes[d], before + behind, &sizes[d]),
                        "pad: {} more than dim {} of shape {} do not fit 63 bits; add fewer",
                        before + behind, d, x.sizes());
  }
  Tensor y = full_unchecked(sizes, value, x.dtype());
  if (inside.numel() > 0) {
    std::int64_t offset = 0;
    for (int d = 0; d < x.dim(); ++d) offset += first[d] * y.strides()[d];
    copy_elements(make_view(y, inside.sizes(), y.strides(), offset), inside);
  }
  return record<PadNode>(
      std::move(y), {&inside}, [](PadNode&) {}, first, inside.sizes());
}

Tensor tril(const Tensor& x, std::int64_t diagonal) {
  const std::int64_t k = bounded(diagonal);
  return record<TrilNode>(
      triangle(
          "tril", x, [](std::int64_t) { return 0; }, [k](std::int64_t row) { return row + k + 1; }),
      {&x}, [](TrilNode&) {}, k);
}

Tensor triu(const Tensor& x, std::int64_t diagonal) {
  const std::int64_t k = bounded(diagonal), columns = x.defined() && x.dim() > 0 ? x.size(-1) : 0;
  return record<TriuNode>(
      triangle(
          "triu", x, [k](std::int64_t row) { return row + k; },
          [columns](std::int64_t) { return columns; }),
      {&x}, [](TriuNode&) {}, k);
}

}  // namespace retrace
