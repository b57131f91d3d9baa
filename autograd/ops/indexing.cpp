#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/index_range.h>
#include <retrace/autograd/ops/indexing.h>
#include <retrace/autograd/ops/view.h>
#include <retrace/tensor/kernels/gather.h>

namespace retrace {
namespace {

std::int64_t stride_along(const Tensor& x, int dim) { return x.dim() == 0 ? 0 : x.strides()[dim]; }

/// Strides of x with 0 along dim: the walk over an index moves in all other dims.
Strides strides_without(const Tensor& x, int dim) {
  Strides strides = x.strides();
  if (x.dim() > 0) strides[dim] = 0;
  return strides;
}

// Along a dim by a list of indices ----------------------------------------------------------------

struct IndexSelectNode final : NodeOf<IndexSelectNode> {
  static constexpr std::string_view op = "index_select", formula = "y[k] = x[index[k]]",
                                    gradient = "dx = Σ g[k] at index[k]";
  IndexSelectNode(int d, const Shape& from) : dim(d), sizes(from) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, index_add(zeros(sizes, g.dtype()), dim, saved_extra(), g));
  }
  int dim;
  Shape sizes;
};

struct IndexAddNode final : NodeOf<IndexAddNode> {
  static constexpr std::string_view op = "index_add", formula = "y = x + α · source at index",
                                    gradient = "dx = g, dsource[k] = α · g[index[k]]";
  IndexAddNode(int d, Scalar a, const Shape& from) : dim(d), alpha(a), source_sizes(from) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, g);
    if (!gradients.wants(1)) return;
    const Tensor picked = index_select(g, dim, saved_extra()).reshape(source_sizes);
    gradients.give(1, alpha.as_double() == 1.0 ? picked : mul(picked, alpha));
  }
  int dim;
  Scalar alpha;
  Shape source_sizes;
};

void require_list_of_indices(std::string_view op, const Tensor& index, const Tensor& x, int dim) {
  require_int64_index(op, index);
  require<ShapeError>(index.dim() <= 1,
                      "{}: indices of shape {} are not a list; use gather, or flatten them", op,
                      index.sizes());
  require_indices(op, index, x.sizes(), dim);
}

// Element by element
// --------------------------------------------------------------------------------

struct GatherNode final : NodeOf<GatherNode> {
  static constexpr std::string_view op = "gather", formula = "y[i] = x[i with index[i] along dim]",
                                    gradient = "dx = Σ g at index";
  GatherNode(int d, const Shape& from) : dim(d), sizes(from) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, scatter_add(zeros(sizes, g.dtype()), dim, saved_extra(), g));
  }
  int dim;
  Shape sizes;
};

struct ScatterAddNode final : NodeOf<ScatterAddNode> {
  static constexpr std::string_view op = "scatter_add", formula = "y = x + src at index",
                                    gradient = "dx = g, dsrc = g at index";
  explicit ScatterAddNode(int d) : dim(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, g);
    if (gradients.wants(1)) gradients.give(1, gather(g, dim, saved_extra()));
  }
  int dim;
};

struct ScatterNode final : NodeOf<ScatterNode> {
  static constexpr std::string_view op = "scatter", formula = "y = x, but src at index",
                                    gradient = "dx = g but 0 at index, dsrc = g at index";
  explicit ScatterNode(int d) : dim(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor index = saved_extra(0);
    if (gradients.wants(0)) gradients.give(0, scatter(g, dim, index, 0));
    if (gradients.wants(1)) gradients.give(1, mul(gather(g, dim, index), saved_extra(1)));
  }
  int dim;
};

/// Same rank, and in every dim but `dim` no larger than the indexed tensor.
void require_index_fits(std::string_view op, const Tensor& x, int dim, const Tensor& index) {
  require_int64_index(op, index);
  require<ShapeError>(index.dim() == x.dim(),
                      "{}: indices of shape {} for a tensor of shape {}; give both as many dims",
                      op, index.sizes(), x.sizes());
  for (int d = 0; d < x.dim(); ++d) {
    require<ShapeError>(d == dim || index.sizes()[d] <= x.sizes()[d],
                        "{}: indices of shape {} are larger than the tensor {} in dim {}; only dim "
                        "{} may be",
                        op, index.sizes(), x.sizes(), d, dim);
  }
  require_indices(op, index, x.sizes(), dim);
}

/// The part of src for which there are indices.
Tensor matching_part(std::string_view op, const Tensor& x, const Tensor& index, const Tensor& src) {
  require_same_dtype(op, x, src);
  require<ShapeError>(src.dim() == index.dim(),
                      "{}: src has shape {}, the indices {}; give both as many dims", op,
                      src.sizes(), index.sizes());
  Tensor part = src;
  for (int d = 0; d < src.dim(); ++d) {
    require<ShapeError>(index.sizes()[d] <= src.sizes()[d],
                        "{}: src has shape {}, the indices {}; there are more indices than values",
                        op, src.sizes(), index.sizes());
    if (index.sizes()[d] < src.sizes()[d]) part = part.narrow(d, 0, index.sizes()[d]);
  }
  return part;
}

/// f(place, value) at every index. Slices across another dim cannot meet, so they run side by side.
template <class T, class F>
void put_along(F f, const Tensor& y, int dim, const Tensor& index, const Tensor& values) {
  int across = -1;
  for (int d = 0; d < y.dim(); ++d) {
    if (d != dim && (across < 0 || index.sizes()[d] > index.sizes()[across])) across = d;
  }
  const Strides strides = strides_without(y, dim);
  const std::int64_t step = stride_along(y, dim);
  const std::int64_t slices = across < 0 ? 1 : index.sizes()[across];
  const std::int64_t chunks = std::min(slices, index.numel() / kernels::kElementGrain + 1);
  if (chunks <= 1) return kernels::put<T>(f, y, strides, index, step, values, index.sizes());
  parallel_chunks(chunks, [&](std::int64_t chunk) {
    const std::int64_t begin = chunk * slices / chunks, end = (chunk + 1) * slices / chunks;
    const auto slice = [&](const Tensor& x) {
      Shape sizes = x.sizes();
      sizes[across] = end - begin;
      return make_view(x, sizes, x.strides(), begin * x.strides()[across]);
    };
    const Tensor part = slice(index);
    kernels::put<T>(f, slice(y), strides, part, step, slice(values), part.sizes());
  });
}

void require_not_bool(std::string_view op, const Tensor& x) {
  require<DTypeError>(x.dtype() != kBool, "{}: needs numbers, got bool; convert with .to(kInt64)",
                      op);
}

}  // namespace

Tensor index_select(const Tensor& x, std::int64_t dim, const Tensor& index) {
  require_defined("index_select", {&x, &index});
  const int d = wrap_dim("index_select", dim, x.sizes());
  require_list_of_indices("index_select", index, x, d);
  Shape sizes = x.sizes();
  Strides places = Strides::filled(x.dim(), 0);
  if (x.dim() > 0) {
    sizes[d] = index.numel();
    places[d] = index.dim() == 0 ? 0 : index.strides()[0];
  } else if (index.dim() == 1) {
    require<ShapeError>(index.numel() == 1, "index_select: {} indices into a 0-d tensor; give one",
                        index.numel());
  }
  Tensor y = empty(sizes, x.dtype());
  visit(x.dtype(), [&]<class T>() {
    kernels::take<T>(y, x, strides_without(x, d), make_view(index, sizes, places),
                     stride_along(x, d));
  });
  return record<IndexSelectNode>(
      std::move(y), {&x}, [&](IndexSelectNode& node) { node.save_extra(index); }, d, x.sizes());
}

Tensor index_add(const Tensor& x, std::int64_t dim, const Tensor& index, const Tensor& source,
                 Scalar alpha) {
  require_defined("index_add", {&x, &index, &source});
  const int d = wrap_dim("index_add", dim, x.sizes());
  require_same_dtype("index_add", x, source);
  require_not_bool("index_add", x);
  if (x.dtype() == kInt64) alpha.to<std::int64_t>("index_add");
  Shape expected = x.sizes();
  if (x.dim() > 0) expected[d] = index.numel();
  require<ShapeError>(source.sizes() == expected && (x.dim() > 0 || index.numel() == 1),
                      "index_add: source has shape {}; {} indices along dim {} of {} need {}",
                      source.sizes(), index.numel(), d, x.sizes(), expected);
  require_list_of_indices("index_add", index, x, d);
  Tensor y = contiguous_copy(x);
  const Tensor places = as_contiguous(index), values = as_contiguous(source);
  const std::int64_t rows = x.dim() == 0 ? 1 : x.sizes()[d];
  const std::int64_t inner = x.dim() == 0 ? 1 : y.strides()[d];
  if (values.numel() > 0) {
    const kernels::Groups groups(elements<std::int64_t>(places), index.numel(), rows);
    visit_number(x.dtype(), "index_add", [&]<class T>() {
      kernels::add_rows(elements<T>(y), elements<T>(values), groups, y.numel() / (rows * inner),
                        inner, alpha);
    });
  }
  return record<IndexAddNode>(
      std::move(y), {&x, &source}, [&](IndexAddNode& node) { node.save_extra(index); }, d, alpha,
      source.sizes());
}

Tensor gather(const Tensor& x, std::int64_t dim, const Tensor& index) {
  require_defined("gather", {&x, &index});
  const int d = wrap_dim("gather", dim, x.sizes());
  require_index_fits("gather", x, d, index);
  Tensor y = empty(index.sizes(), x.dtype());
  visit(x.dtype(), [&]<class T>() {
    kernels::take<T>(y, x, strides_without(x, d), index, stride_along(x, d));
  });
  return record<GatherNode>(
      std::move(y), {&x}, [&](GatherNode& node) { node.save_extra(index); }, d, x.sizes());
}

Tensor take_along_dim(const Tensor& x, const Tensor& index, std::int64_t dim) {
  require_defined("take_along_dim", {&x, &index});
  const int d = wrap_dim("take_along_dim", dim, x.sizes());
  require<ShapeError>(
      index.dim() == x.dim(),
      "take_along_dim: indices of shape {} for a tensor of shape {}; give both as many dims",
      index.sizes(), x.sizes());
  Shape of_x = x.sizes(), of_index = index.sizes();
  if (x.dim() > 0) of_x[d] = of_index[d] = 1;
  of_x = of_index = broadcast_shapes("take_along_dim", of_x, of_index);
  if (x.dim() > 0) {
    of_x[d] = x.sizes()[d];
    of_index[d] = index.sizes()[d];
  }
  return gather(x.expand(of_x), d, index.expand(of_index));
}

Tensor scatter_add(const Tensor& x, std::int64_t dim, const Tensor& index, const Tensor& src) {
  require_defined("scatter_add", {&x, &index, &src});
  const int d = wrap_dim("scatter_add", dim, x.sizes());
  require_not_bool("scatter_add", x);
  require_index_fits("scatter_add", x, d, index);
  const Tensor values = matching_part("scatter_add", x, index, src);
  const auto add = [](auto a, auto b) { return math::plus(a, static_cast<decltype(a)>(b)); };
  Tensor y;
  if (x.dtype() == kFloat32) {
    y = empty(x.sizes(), kFloat32);
    const Tensor sums = without_recording([&] { return contiguous_copy(x).to(kFloat64); });
    put_along<double>(add, sums, d, index, without_recording([&] { return values.to(kFloat64); }));
    copy_elements(y, sums);
  } else {
    y = contiguous_copy(x);
    visit_number(x.dtype(), "scatter_add",
                 [&]<class T>() { put_along<T>(add, y, d, index, values); });
  }
  return record<ScatterAddNode>(
      std::move(y), {&x, &values}, [&](ScatterAddNode& node) { node.save_extra(index); }, d);
}

Tensor scatter(const Tensor& x, std::int64_t dim, const Tensor& index, const Tensor& src) {
  require_defined("scatter", {&x, &index, &src});
  const int d = wrap_dim("scatter", dim, x.sizes());
  require_index_fits("scatter", x, d, index);
  const Tensor values = matching_part("scatter", x, index, src);
  Tensor y = contiguous_copy(x);
  visit(x.dtype(),
        [&]<class T>() { put_along<T>([](T, T value) { return value; }, y, d, index, values); });
  return record<ScatterNode>(
      std::move(y), {&x, &values},
      [&](ScatterNode& node) {
        node.save_extra(index);
        if (!node.wants(1)) return;
        // 1 for the values that stayed: those whose own number is found at their place.
        const NoGradGuard guard;
        const Tensor numbers = arange(index.numel()).view(index.sizes());
        const Tensor last = gather(scatter(zeros(x.sizes(), kInt64), d, index, numbers), d, index);
        const Tensor stayed = empty(index.sizes(), x.dtype());
        visit_float(x.dtype(), "scatter", [&]<class T>() {
          kernels::map<T, std::int64_t, std::int64_t>(
              [](std::int64_t a, std::int64_t b) { return static_cast<T>(a == b); }, stayed, last,
              numbers);
        });
        node.save_extra(stayed);
      },
      d);
}

Tensor scatter(const Tensor& x, std::int64_t dim, const Tensor& index, Scalar value) {
  require_defined("scatter", {&x, &index});
  value.require_held("scatter", x.dtype());
  return scatter(x, dim, index, full_unchecked({}, value, x.dtype()).expand(index.sizes()));
}

// Members
// -------------------------------------------------------------------------------------------

Tensor Tensor::gather(std::int64_t d, const Tensor& index) const {
  return retrace::gather(*this, d, index);
}
Tensor Tensor::index_select(std::int64_t d, const Tensor& index) const {
  return retrace::index_select(*this, d, index);
}

}  // namespace retrace
