#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/view.h>

namespace retrace {
namespace {

// Views that show every element once, or repeat some ---------------------------------------------

struct ViewNode final : NodeOf<ViewNode> {
  static constexpr std::string_view op = "view", formula = "y = x under other sizes",
                                    gradient = "dx = g under x's sizes";
  explicit ViewNode(const Shape& from) : sizes(from) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, reshape(g, sizes));
  }
  Shape sizes;
};

struct PermuteNode final : NodeOf<PermuteNode> {
  static constexpr std::string_view op = "permute", formula = "y = x with its dims reordered",
                                    gradient = "dx = g with its dims put back";
  explicit PermuteNode(const Shape& order) : inverse(order) {
    for (int d = 0; d < order.size(); ++d) inverse[static_cast<int>(order[d])] = d;
  }
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, permute(g, inverse));
  }
  Shape inverse;
};

struct TransposeNode final : NodeOf<TransposeNode> {
  static constexpr std::string_view op = "transpose", formula = "y = x with two dims exchanged",
                                    gradient = "dx = g with them exchanged back";
  TransposeNode(int a, int b) : dim0(a), dim1(b) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, transpose(g, dim0, dim1));
  }
  int dim0, dim1;
};

struct ExpandNode final : NodeOf<ExpandNode> {
  static constexpr std::string_view op = "expand", formula = "y = x, repeated",
                                    gradient = "dx = Σ g over the repeats";
  void backward(const Tensor& g, Gradients& gradients) override { gradients.give(0, g); }
};

// Views that leave elements out, or show some twice -----------------------------------------------
//
// Each is a struct whose `of(x)` is the view. Going back, zeros of x's sizes get the gradient added
// where the view lies.

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
      // Windows overlap each other, but not themselves: one place of the window at a time.
      for (std::int64_t k = 0; k < view.size(-1); ++k) {
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
    const std::int64_t offset = start * strides[dim];
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
    const std::int64_t stride = strides[dim1] + strides[dim2];
    const std::int64_t first = row * strides[dim1] + column * strides[dim2];
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

Tensor recorded_view(const Tensor& x, const Shape& sizes, const Strides& strides) {
  return record<ViewNode>(
      make_view(x, sizes, strides), {&x}, [](ViewNode&) {}, x.sizes());
}

}  // namespace

Tensor view(const Tensor& x, const Shape& wanted) {
  require_defined("view", {&x});
  const Shape sizes = infer_sizes("view", wanted, x.sizes());
  const std::optional<Strides> strides =
      x.is_contiguous() ? contiguous_strides(sizes) : view_strides(x.sizes(), x.strides(), sizes);
  require<ShapeError>(strides.has_value(),
                      "view: a tensor of shape {} and strides {} cannot be seen as {} without "
                      "copying; use reshape",
                      x.sizes(), x.strides(), sizes);
  return recorded_view(x, sizes, *strides);
}

Tensor reshape(const Tensor& x, const Shape& wanted) {
  require_defined("reshape", {&x});
  const Shape sizes = infer_sizes("reshape", wanted, x.sizes());
  if (x.is_contiguous()) return recorded_view(x, sizes, contiguous_strides(sizes));
  const std::optional<Strides> strides = view_strides(x.sizes(), x.strides(), sizes);
  if (strides) return recorded_view(x, sizes, *strides);
  return recorded_view(x.contiguous(), sizes, contiguous_strides(sizes));
}

Tensor flatten(const Tensor& x, std::int64_t start_dim, std::int64_t end_dim) {
  require_defined("flatten", {&x});
  const int start = wrap_dim("flatten", start_dim, x.sizes());
  const int end = wrap_dim("flatten", end_dim, x.sizes());
  require<IndexError>(start <= end,
                      "flatten: start_dim {} lies behind end_dim {} for shape {}; exchange them",
                      start_dim, end_dim, x.sizes());
  if (x.dim() == 0) return reshape(x, {1});
  Shape sizes;
  std::int64_t merged = 1;
  for (int d = 0; d < x.dim(); ++d) {
    if (d >= start && d <= end) {
      merged *= x.sizes()[d];
      if (d == end) sizes.push_back(merged);
    } else {
      sizes.push_back(x.sizes()[d]);
    }
  }
  return reshape(x, sizes);
}

Tensor transpose(const Tensor& x, std::int64_t dim0, std::int64_t dim1) {
  require_defined("transpose", {&x});
  const int a = wrap_dim("transpose", dim0, x.sizes()), b = wrap_dim("transpose", dim1, x.sizes());
  Shape sizes = x.sizes(), strides = x.strides();
  if (x.dim() > 0) {
    std::swap(sizes[a], sizes[b]);
    std::swap(strides[a], strides[b]);
  }
  return record<TransposeNode>(
      make_view(x, sizes, strides), {&x}, [](TransposeNode&) {}, a, b);
}

Tensor permute(const Tensor& x, const Shape& dims) {
  require_defined("permute", {&x});
  require<ShapeError>(dims.size() == x.dim(),
                      "permute: {} names {} dims, shape {} has {}; name each once", dims,
                      dims.size(), x.sizes(), x.dim());
  Shape sizes = x.sizes(), strides = x.strides(), order = dims;
  bool seen[kMaxDims] = {};
  for (int i = 0; i < dims.size(); ++i) {
    const int d = wrap_dim("permute", dims[i], x.sizes());
    require<IndexError>(!seen[d],
                        "permute: dim {} is named twice in {} for shape {}; name each once", d,
                        dims, x.sizes());
    seen[d] = true;
    order[i] = d;
    sizes[i] = x.sizes()[d];
    strides[i] = x.strides()[d];
  }
  return record<PermuteNode>(
      make_view(x, sizes, strides), {&x}, [](PermuteNode&) {}, order);
}

Tensor expand(const Tensor& x, const Shape& wanted) {
  require_defined("expand", {&x});
  Shape sizes = wanted;
  const int lead = sizes.size() - x.dim();
  require<ShapeError>(lead >= 0, "expand: {} has fewer dims than shape {}; name all", wanted,
                      x.sizes());
  for (int d = 0; d < sizes.size(); ++d) {
    const std::int64_t from = d < lead ? 1 : x.sizes()[d - lead];
    if (sizes[d] == -1 && d >= lead) sizes[d] = from;
    require<ShapeError>(sizes[d] >= 0 && (from == sizes[d] || from == 1),
                        "expand: shape {} cannot become {} (axis {}: {} to {}); only size 1 can, "
                        "use repeat() for others",
                        x.sizes(), wanted, d, from, sizes[d]);
  }
  return record<ExpandNode>(expanded(x, sizes), {&x}, [](ExpandNode&) {});
}

Tensor squeeze(const Tensor& x) {
  require_defined("squeeze", {&x});
  Shape sizes, strides;
  for (int d = 0; d < x.dim(); ++d) {
    if (x.sizes()[d] == 1) continue;
    sizes.push_back(x.sizes()[d]);
    strides.push_back(x.strides()[d]);
  }
  return recorded_view(x, sizes, strides);
}

Tensor squeeze(const Tensor& x, std::int64_t dim) {
  require_defined("squeeze", {&x});
  const int d = wrap_dim("squeeze", dim, x.sizes());
  Shape sizes = x.sizes(), strides = x.strides();
  if (x.dim() > 0 && sizes[d] == 1) {
    sizes.erase(d);
    strides.erase(d);
  }
  return recorded_view(x, sizes, strides);
}

Tensor unsqueeze(const Tensor& x, std::int64_t dim) {
  require_defined("unsqueeze", {&x});
  const int rank = x.dim() + 1;
  require<IndexError>(dim >= -rank && dim < rank,
                      "unsqueeze: dim {} is out of range for shape {}; give one in [{}, {}]", dim,
                      x.sizes(), -rank, rank - 1);
  const int d = static_cast<int>(dim < 0 ? dim + rank : dim);
  require<ShapeError>(x.dim() < kMaxDims,
                      "unsqueeze: shape {} has {} dims already, the most; merge some", x.sizes(),
                      x.dim());
  Shape sizes = x.sizes(), strides = x.strides();
  strides.insert(d, d < x.dim() ? sizes[d] * strides[d] : 1);
  sizes.insert(d, 1);
  return recorded_view(x, sizes, strides);
}

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
  std::int64_t start = 0;
  do {
    pieces.push_back(narrow(x, d, start, std::min(size, total - start)));
    start += size;
  } while (start < total);
  return pieces;
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

Tensor Tensor::view(const Shape& sizes) const { return retrace::view(*this, sizes); }
Tensor Tensor::reshape(const Shape& sizes) const { return retrace::reshape(*this, sizes); }
Tensor Tensor::flatten(std::int64_t a, std::int64_t b) const {
  return retrace::flatten(*this, a, b);
}
Tensor Tensor::transpose(std::int64_t a, std::int64_t b) const {
  return retrace::transpose(*this, a, b);
}
Tensor Tensor::t() const {
  require<ShapeError>(dim() <= 2, "t: shape {} is not a matrix; use transpose(dim0, dim1)",
                      sizes());
  return dim() < 2 ? *this : retrace::transpose(*this, 0, 1);
}
Tensor Tensor::permute(const Shape& dims) const { return retrace::permute(*this, dims); }
Tensor Tensor::select(std::int64_t d, std::int64_t i) const { return retrace::select(*this, d, i); }
Tensor Tensor::slice(std::int64_t d, std::optional<std::int64_t> start,
                     std::optional<std::int64_t> end, std::int64_t step) const {
  return retrace::slice(*this, d, start, end, step);
}
Tensor Tensor::narrow(std::int64_t d, std::int64_t start, std::int64_t length) const {
  return retrace::narrow(*this, d, start, length);
}
Tensor Tensor::expand(const Shape& sizes) const { return retrace::expand(*this, sizes); }
Tensor Tensor::squeeze() const { return retrace::squeeze(*this); }
Tensor Tensor::squeeze(std::int64_t d) const { return retrace::squeeze(*this, d); }
Tensor Tensor::unsqueeze(std::int64_t d) const { return retrace::unsqueeze(*this, d); }
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
