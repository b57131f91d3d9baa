#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/indexing.h>
#include <retrace/autograd/ops/joining.h>
#include <retrace/autograd/ops/view.h>

namespace retrace {
namespace {

struct CatNode final : NodeOf<CatNode> {
  static constexpr std::string_view op = "cat", formula = "y = x0, x1, ... along a dim",
                                    gradient = "dxk = g where xk lies";
  explicit CatNode(int d) : dim(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    std::int64_t start = 0;
    for (std::size_t i = 0; i < inputs(); ++i) {
      if (left_out(sizes[i], g.sizes())) {
        if (wants(i)) gradients.give(i, zeros(sizes[i], g.dtype()));
        continue;
      }
      if (wants(i)) gradients.give(i, g.narrow(dim, start, sizes[i][dim]));
      start += sizes[i][dim];
    }
  }
  static bool left_out(const Shape& part, const Shape& whole) {
    return part == Shape{0} && whole.size() != 1;
  }
  int dim;
  std::vector<Shape> sizes;
};

std::vector<const Tensor*> pointers(const std::vector<Tensor>& tensors) {
  std::vector<const Tensor*> result;
  for (const Tensor& tensor : tensors) result.push_back(&tensor);
  return result;
}

void require_list(std::string_view op, const std::vector<Tensor>& tensors) {
  require<ValueError>(!tensors.empty(), "{}: the list of tensors is empty; give at least one", op);
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    require<ValueError>(tensors[i].defined(),
                        "{}: tensor {} of {} is undefined; give it a value first", op, i,
                        tensors.size());
    require<DTypeError>(tensors[i].dtype() == tensors[0].dtype(),
                        "{}: tensor {} is {} {}, tensor 0 is {} {}; convert one with .to({})", op,
                        i, tensors[i].dtype(), tensors[i].sizes(), tensors[0].dtype(),
                        tensors[0].sizes(), tensors[0].dtype());
  }
}

/// Each of the `outer` blocks of x, `inner` elements long, `repeats` times in a row.
Tensor repeat_blocks(const Tensor& x, std::int64_t outer, std::int64_t repeats,
                     std::int64_t inner) {
  return x.reshape({outer, 1, inner}).expand({outer, repeats, inner}).clone();
}

std::int64_t product(const Shape& sizes, int begin, int end) {
  std::int64_t result = 1;
  for (int d = begin; d < end; ++d) result *= sizes[d];
  return result;
}

}  // namespace

Tensor cat(const std::vector<Tensor>& tensors, std::int64_t dim) {
  require_list("cat", tensors);
  const Tensor* first = &tensors[0];
  for (const Tensor& tensor : tensors) {
    if (tensor.sizes() == Shape{0}) continue;
    first = &tensor;
    break;
  }
  require<ShapeError>(first->dim() > 0,
                      "cat: 0-d tensors have no dim to be joined along; use stack");
  const int d = wrap_dim("cat", dim, first->sizes());
  Shape sizes = first->sizes();
  sizes[d] = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const Shape& part = tensors[i].sizes();
    if (CatNode::left_out(part, sizes)) continue;
    Shape expected = part;
    if (part.size() == sizes.size()) {
      expected = first->sizes();
      expected[d] = part[d];
    }
    require<ShapeError>(
        part.size() == sizes.size() && part == expected,
        "cat: tensor {} is {}, the first {}; give sizes that are equal but in dim {}", i, part,
        first->sizes(), d);
    require<ShapeError>(!__builtin_add_overflow(sizes[d], part[d], &sizes[d]),
                        "cat: dim {} of {} tensors like {} does not fit 63 bits; join fewer", d,
                        tensors.size(), part);
  }
  Tensor y = empty(sizes, first->dtype());
  std::int64_t start = 0;
  for (const Tensor& tensor : tensors) {
    if (tensor.numel() > 0)
      copy_elements(make_view(y, tensor.sizes(), y.strides(), start * y.strides()[d]), tensor);
    if (!CatNode::left_out(tensor.sizes(), sizes)) start += tensor.sizes()[d];
  }
  return record<CatNode>(
      std::move(y), pointers(tensors),
      [&](CatNode& node) {
        for (const Tensor& tensor : tensors) node.sizes.push_back(tensor.sizes());
      },
      d);
}

Tensor stack(const std::vector<Tensor>& tensors, std::int64_t dim) {
  require_list("stack", tensors);
  Shape sizes = tensors[0].sizes();
  sizes.push_back(1);
  const int d = wrap_dim("stack", dim, sizes);
  std::vector<Tensor> parts;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    require<ShapeError>(tensors[i].sizes() == tensors[0].sizes(),
                        "stack: tensor {} is {}, the first {}; give tensors of one shape", i,
                        tensors[i].sizes(), tensors[0].sizes());
    parts.push_back(unsqueeze(tensors[i], d));
  }
  return cat(parts, d);
}

Tensor repeat(const Tensor& x, const Shape& repeats) {
  require_defined("repeat", {&x});
  const int lead = repeats.size() - x.dim();
  require<ShapeError>(lead >= 0, "repeat: {} names fewer dims than shape {}; name all", repeats,
                      x.sizes());
  Shape sizes = Shape::filled(lead, 1);
  for (int d = 0; d < repeats.size(); ++d) {
    require<ValueError>(repeats[d] >= 0,
                        "repeat: {} for shape {} has a negative count; give 0 or more", repeats,
                        x.sizes());
    if (d >= lead) sizes.push_back(x.sizes()[d - lead]);
  }
  Shape repeated = sizes;
  for (int d = 0; d < repeats.size(); ++d) repeated[d] = Shape{sizes[d], repeats[d]}.numel();
  static_cast<void>(repeated.numel());  // refuses one that is too large
  Tensor y = x;
  for (int d = 0; d < repeats.size(); ++d) {
    if (repeats[d] == 1) continue;
    y = repeat_blocks(y, product(sizes, 0, d), repeats[d], product(sizes, d, sizes.size()));
    sizes[d] *= repeats[d];
  }
  return (y.is_same(x) ? x.clone() : y).reshape(sizes);
}

Tensor tile(const Tensor& x, const Shape& repeats) {
  require_defined("tile", {&x});
  Shape all = repeats;
  while (all.size() < x.dim()) all.insert(0, 1);
  return repeat(x, all);
}

Tensor repeat_interleave(const Tensor& x, std::int64_t repeats, std::int64_t dim) {
  require_defined("repeat_interleave", {&x});
  const int d = wrap_dim("repeat_interleave", dim, x.sizes());
  require<ValueError>(repeats >= 0, "repeat_interleave: {} times; give 0 or more", repeats);
  if (x.dim() == 0) return repeat_interleave(x, repeats);
  Shape sizes = x.sizes();
  const std::int64_t outer = product(sizes, 0, d + 1), inner = product(sizes, d + 1, sizes.size());
  const Tensor y = repeat_blocks(x, outer, repeats, inner);
  sizes[d] *= repeats;
  return y.reshape(sizes);
}

Tensor repeat_interleave(const Tensor& x, std::int64_t repeats) {
  require_defined("repeat_interleave", {&x});
  return repeat_interleave(x.reshape({x.numel()}), repeats, 0);
}

Tensor repeat_interleave(const Tensor& x, const Tensor& repeats, std::int64_t dim) {
  require_defined("repeat_interleave", {&x, &repeats});
  const int d = wrap_dim("repeat_interleave", dim, x.sizes());
  const std::int64_t n = x.dim() == 0 ? 1 : x.sizes()[d];
  require<DTypeError>(repeats.dtype() == kInt64,
                      "repeat_interleave: repeats must be int64, got {}; convert with .to(kInt64)",
                      repeats.dtype());
  require<ShapeError>(repeats.sizes() == Shape{n},
                      "repeat_interleave: repeats of shape {} for {} elements along dim {} of {}; "
                      "give one for each",
                      repeats.sizes(), n, d, x.sizes());
  const Tensor counts = as_contiguous(repeats);
  const auto* count = elements<std::int64_t>(counts);
  std::int64_t total = 0;
  for (std::int64_t k = 0; k < n; ++k) {
    require<ValueError>(count[k] >= 0, "repeat_interleave: repeats[{}] is {}; give 0 or more", k,
                        count[k]);
    require<ShapeError>(!__builtin_add_overflow(total, count[k], &total),
                        "repeat_interleave: repeats of shape {} add up to more than 63 bits; give "
                        "smaller ones",
                        repeats.sizes());
  }
  const Tensor places = empty({total}, kInt64);
  auto* place = elements<std::int64_t>(places);
  for (std::int64_t k = 0; k < n; ++k) place = std::fill_n(place, count[k], k);
  return index_select(x, d, places);
}

std::vector<Tensor> meshgrid(const std::vector<Tensor>& tensors, std::string_view order) {
  require_list("meshgrid", tensors);
  require<ValueError>(order == "ij" || order == "xy", "meshgrid: order \"{}\"; give ij or xy",
                      order);
  Shape sizes;
  for (const Tensor& tensor : tensors) {
    require<ShapeError>(tensor.dim() <= 1,
                        "meshgrid: shape {} is not a list of numbers; give tensors of one dim",
                        tensor.sizes());
    sizes.push_back(tensor.numel());
  }
  std::vector<Tensor> grids;
  for (int k = 0; k < sizes.size(); ++k) {
    Shape along = Shape::filled(sizes.size(), 1);
    along[k] = sizes[k];
    const Tensor grid = tensors[static_cast<std::size_t>(k)].reshape(along).expand(sizes);
    grids.push_back(order == "xy" && sizes.size() > 1 ? grid.transpose(0, 1) : grid);
  }
  return grids;
}

}  // namespace retrace
