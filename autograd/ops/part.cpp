#include <limits>

#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/view.h>

namespace retrace {
namespace {

// Views that leave elements out, or show some twice. Each is a struct whose `of(x)` is the view.
// Going back, zeros of x's sizes get the gradient added where the view lies.

template <class Part>
struct PartNode;

template <class Part>
struct PartBackwardNode;

template <class Part>
Tensor part_of(const Tensor& x, const Part& part) {
  require_defined(Part::op, {&x});
  return record<PartNode<Part>>(
      part.of(x), {&x}, [](auto&) {}, part, x.sizes());
}

template <class Part>
Tensor part_backward(const Tensor& g, const Part& part, const Shape& sizes) {
  Tensor dx = zeros(sizes, g.dtype());
  visit_float(g.dtype(), Part::op, [&]<class T>() {
    const auto add = [](T a, T b) { return a + b; };
    const Tensor view = part.of(dx);
    if constexpr (requires { Part::overlaps; }) {
      // Windows overlap each other, but not themselves: one place of the window at a time. Of no
      // window there may be 2^62 places.
      for (std::int64_t k = 0; view.numel() > 0 && k < view.size(-1); ++k) {
        const Tensor place = view.select(-1, k);
        kernels::map<T, T, T>(add, place, place, g.select(-1, k));
      }
    } else {
      kernels::map<T, T, T>(add, view, view, g);
    }
  });
  return record<PartBackwardNode<Part>>(
      std::move(dx), {&g}, [](auto&) {}, part);
}

template <class Part>
struct PartNode final : NodeOf<PartNode<Part>> {
  static constexpr std::string_view op = Part::op, formula = "y = some elements of x",
                                    gradient = "dx = g where they lay, 0 elsewhere";
  PartNode(const Part& p, const Shape& from) : part(p), sizes(from) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, part_backward(g, part, sizes));
  }
  Part part;
  Shape sizes;
};

template <class Part>
struct PartBackwardNode final : NodeOf<PartBackwardNode<Part>> {
  static constexpr std::string_view op = Part::op, formula = "dx = g where it lay, 0 elsewhere",
                                    gradient = "dg = the same elements of the upstream gradient";
  explicit PartBackwardNode(const Part& p) : part(p) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, part_of(g, part));
  }
  Part part;
};

struct Select {
  static constexpr std::string_view op = "select";
  int dim;
  std::int64_t index;
  Tensor of(const Tensor& x) const {
    Shape sizes = x.sizes(), strides = x.strides();
    const std::int64_t offset = index * strides[dim];
    sizes.erase(dim);
    strides.erase(dim);
    return make_view(x, sizes, strides, offset);
  }
};

struct SliceDim {
  static constexpr std::string_view op = "slice";
  int dim;
  std::int64_t start, length, step;
  Tensor of(const Tensor& x) const {
    Shape sizes = x.sizes(), strides = x.strides();
    // A part of nothing may begin at the end, which lies beyond the memory.
    const std::int64_t offset = length == 0 ? 0 : start * strides[dim];
    sizes[dim] = length;
    if (length > 1) strides[dim] *= step;
    return make_view(x, sizes, strides, offset);
  }
};

struct Diagonal {
  static constexpr std::string_view op = "diagonal";
  int dim1, dim2;
  std::int64_t offset;
  Tensor of(const Tensor& x) const {
    Shape sizes = x.sizes(), strides = x.strides();
    const std::int64_t row = -std::clamp<std::int64_t>(offset, -sizes[dim1], 0);
    const std::int64_t column = std::clamp<std::int64_t>(offset, 0, sizes[dim2]);
    const std::int64_t length = std::min(sizes[dim1] - row, sizes[dim2] - column);
    // Around a dim of 0 strides may be so large that no second element lies there.
    const std::int64_t stride = length > 1 ? strides[dim1] + strides[dim2] : 1;
    const std::int64_t first = length == 0 ? 0 : row * strides[dim1] + column * strides[dim2];
    for (const int d : {std::max(dim1, dim2), std::min(dim1, dim2)}) {
      sizes.erase(d);
      strides.erase(d);
    }
    sizes.push_back(length);
    strides.push_back(stride);
    return make_view(x, sizes, strides, first);
  }
};

struct Unfold {
  static constexpr std::string_view op = "unfold";
  static constexpr bool overlaps = true;
  int dim;
  std::int64_t size, step;
  Tensor of(const Tensor& x) const {
    Shape sizes = x.sizes(), strides = x.strides();
    sizes.push_back(size);
    strides.push_back(strides[dim]);
    sizes[dim] = (sizes[dim] - size) / step + 1;
    if (sizes[dim] > 1) strides[dim] *= step;
    return make_view(x, sizes, strides);
  }
};

}  // namespace

Tensor select(const Tensor& x, std::int64_t dim, std::int64_t index) {
  require_defined("select", {&x});
  require<IndexError>(x.dim() > 0, "select: a 0-d tensor has nothing to index; use item()");
  const int d = wrap_dim("select", dim, x.sizes());
  const std::int64_t size = x.sizes()[d];
  require<IndexError>(
      index >= -size && index < size,
      "select: index {} is out of range for dim {} of shape {}; give one in [{}, {}]", index, d,
      x.sizes(), -size, size - 1);
  return part_of(x, Select{d, index < 0 ? index + size : index});
}

Tensor slice(const Tensor& x, std::int64_t dim, std::optional<std::int64_t> start,
             std::optional<std::int64_t> end, std::int64_t step) {
  require_defined("slice", {&x});
  require<IndexError>(x.dim() > 0, "slice: a 0-d tensor has nothing to slice; use item()");
  const int d = wrap_dim("slice", dim, x.sizes());
  require<ValueError>(step > 0, "slice: step is {} for dim {} of shape {}; give 1 or more", step, d,
                      x.sizes());
  const std::int64_t size = x.sizes()[d];
  const auto clip = [size](std::int64_t i) {
    return std::clamp<std::int64_t>(i < 0 ? i + size : i, 0, size);
  };
  const std::int64_t first = clip(start.value_or(0)), last = clip(end.value_or(size));
  const std::int64_t length = last > first ? (last - first - 1) / step + 1 : 0;
  return part_of(x, SliceDim{d, first, length, step});
}

Tensor narrow(const Tensor& x, std::int64_t dim, std::int64_t start, std::int64_t length) {
  require_defined("narrow", {&x});
  require<IndexError>(x.dim() > 0, "narrow: a 0-d tensor has nothing to narrow; use item()");
  const int d = wrap_dim("narrow", dim, x.sizes());
  const std::int64_t size = x.sizes()[d], first = start < 0 ? start + size : start;
  require<IndexError>(
      first >= 0 && length >= 0 && first <= size && length <= size - first,
      "narrow: start {} and length {} exceed dim {} of shape {}; stay within its {} "
      "elements",
      start, length, d, x.sizes(), size);
  return part_of(x, SliceDim{d, first, length, 1});
}

Tensor diagonal(const Tensor& x, std::int64_t offset, std::int64_t dim1, std::int64_t dim2) {
  require_defined("diagonal", {&x});
  const int a = wrap_dim("diagonal", dim1, x.sizes()), b = wrap_dim("diagonal", dim2, x.sizes());
  require<IndexError>(a != b && x.dim() >= 2,
                      "diagonal: dims {} and {} of shape {} are the same; name two", dim1, dim2,
                      x.sizes());
  return part_of(x, Diagonal{a, b, offset});
}

Tensor unfold(const Tensor& x, std::int64_t dim, std::int64_t size, std::int64_t step) {
  require_defined("unfold", {&x});
  require<IndexError>(x.dim() > 0, "unfold: a 0-d tensor has no windows; give it a dim first");
  const int d = wrap_dim("unfold", dim, x.sizes());
  require<ShapeError>(
      size >= 0 && size <= x.sizes()[d] && step > 0,
      "unfold: windows of {} every {} do not fit dim {} of shape {}; size must be at "
      "most {} and step positive",
      size, step, d, x.sizes(), x.sizes()[d]);
  require<ShapeError>((x.sizes()[d] - size) / step < std::numeric_limits<std::int64_t>::max(),
                      "unfold: the number of windows of {} every {} in dim {} of shape {} does not "
                      "fit 63 bits; use smaller sizes",
                      size, step, d, x.sizes());
  return part_of(x, Unfold{d, size, step});
}

std::vector<Tensor> split(const Tensor& x, const Shape& sizes, std::int64_t dim) {
  require_defined("split", {&x});
  require<IndexError>(x.dim() > 0, "split: a 0-d tensor has nothing to split; give it a dim first");
  const int d = wrap_dim("split", dim, x.sizes());
  std::int64_t total = 0;
  bool overflows = false;
  for (const std::int64_t size : sizes) {
    require<ShapeError>(size >= 0, "split: {} has a negative size; give sizes of 0 or more", sizes);
    overflows |= __builtin_add_overflow(total, size, &total);
  }
  require<ShapeError>(
      !overflows && total == x.sizes()[d],
      "split: sizes {} add up to {}, dim {} of shape {} has {}; give sizes that add up to it",
      sizes, overflows ? "too much" : std::to_string(total), d, x.sizes(), x.sizes()[d]);
  std::vector<Tensor> pieces;
  std::int64_t start = 0;
  for (const std::int64_t size : sizes) {
    pieces.push_back(narrow(x, d, start, size));
    start += size;
  }
  return pieces;
}

std::vector<Tensor> split(const Tensor& x, std::int64_t size, std::int64_t dim) {
  require_defined("split", {&x});
  require<IndexError>(x.dim() > 0, "split: a 0-d tensor has nothing to split; give it a dim first");
  const int d = wrap_dim("split", dim, x.sizes());
  const std::int64_t total = x.sizes()[d];
  require<ValueError>(size > 0 || (size == 0 && total == 0),
                      "split: pieces of {} for dim {} of shape {}; give 1 or more", size, d,
                      x.sizes());
  constexpr std::int64_t kMost = 1 << 24;  // pieces, each of which is a tensor
  const std::int64_t whole = size == 0 ? 0 : total / size;
  require<ValueError>(whole <= kMost,
                      "split: dim {} of shape {} has {} pieces of {}, at most {} can be made; give "
                      "larger ones",
                      d, x.sizes(), whole, size, kMost);
  std::vector<Tensor> pieces;
  for (std::int64_t start = 0;; start += size) {
    pieces.push_back(narrow(x, d, start, std::min(size, total - start)));
    if (total - start <= size) return pieces;
  }
}

std::vector<Tensor> chunk(const Tensor& x, std::int64_t chunks, std::int64_t dim) {
  require_defined("chunk", {&x});
  require<ValueError>(chunks > 0, "chunk: {} chunks of shape {}; give 1 or more", chunks,
                      x.sizes());
  require<IndexError>(x.dim() > 0, "chunk: a 0-d tensor has nothing to split; give it a dim first");
  const std::int64_t size = x.sizes()[wrap_dim("chunk", dim, x.sizes())];
  return split(x, size / chunks + (size % chunks != 0), dim);
}

// Members ---------------------------------------------------------------------------------------

Tensor Tensor::select(std::int64_t d, std::int64_t i) const { return retrace::select(*this, d, i); }
Tensor Tensor::slice(std::int64_t d, std::optional<std::int64_t> start,
                     std::optional<std::int64_t> end, std::int64_t step) const {
  return retrace::slice(*this, d, start, end, step);
}
Tensor Tensor::narrow(std::int64_t d, std::int64_t start, std::int64_t length) const {
  return retrace::narrow(*this, d, start, length);
}
Tensor Tensor::diagonal(std::int64_t offset, std::int64_t dim1, std::int64_t dim2) const {
  return retrace::diagonal(*this, offset, dim1, dim2);
}
Tensor Tensor::unfold(std::int64_t d, std::int64_t size, std::int64_t step) const {
  return retrace::unfold(*this, d, size, step);
}
std::vector<Tensor> Tensor::split(std::int64_t size, std::int64_t d) const {
  return retrace::split(*this, size, d);
}
std::vector<Tensor> Tensor::split(const Shape& sizes, std::int64_t d) const {
  return retrace::split(*this, sizes, d);
}
std::vector<Tensor> Tensor::chunk(std::int64_t chunks, std::int64_t d) const {
  return retrace::chunk(*this, chunks, d);
}

}  // namespace retrace
