#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/view.h>

namespace retrace {
namespace {

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
Tensor Tensor::expand(const Shape& sizes) const { return retrace::expand(*this, sizes); }
Tensor Tensor::squeeze() const { return retrace::squeeze(*this); }
Tensor Tensor::squeeze(std::int64_t d) const { return retrace::squeeze(*this, d); }
Tensor Tensor::unsqueeze(std::int64_t d) const { return retrace::unsqueeze(*this, d); }

}  // namespace retrace
