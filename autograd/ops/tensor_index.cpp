#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/index_range.h>
#include <retrace/autograd/ops/indexing.h>
#include <retrace/autograd/ops/inplace.h>
#include <retrace/autograd/ops/view.h>
#include <retrace/tensor/kernels/gather.h>

// x.index({...}) and x.index_put_({...}, value). Whole numbers, slices, None and Ellipsis are
// views. Index tensors are checked, broadcast and merged into one; reading is then an index_select,
// writing goes straight to the places.

namespace retrace {
namespace {

using Kind = TensorIndex::Kind;

/// A view of the indexed tensor, and the index tensors (all int64) at its dims.
struct Indexed {
  Tensor view;
  Tensor at[kMaxDims];

  /// Takes the view as it stands and the dims that come next, left to right.
  Indexed(std::string_view op, const Tensor& x, const std::vector<TensorIndex>& indices) : view(x) {
    require_defined(op, {&x});
    const int unnamed = x.dim() - named_dims(op, x, indices);
    int d = 0;
    for (const TensorIndex& index : indices) {
      switch (index.kind()) {
        case Kind::whole:
          view = view.select(d, index.whole());
          break;
        case Kind::slice:
          view = view.slice(d++, index.slice().start, index.slice().stop, index.slice().step);
          break;
        case Kind::none:
          view = view.unsqueeze(d++);
          break;
        case Kind::ellipsis:
          d += unnamed;
          break;
        case Kind::truth:
          add_truth(index.truth(), d++);
          break;
        case Kind::tensor:
          d = add_tensor(op, index.tensor(), d);
          break;
      }
    }
  }

 private:
  /// How many dims of x the indices name; refuses what is wrong whatever the sizes.
  static int named_dims(std::string_view op, const Tensor& x,
                        const std::vector<TensorIndex>& indices) {
    int named = 0, ellipses = 0;
    for (const TensorIndex& index : indices) {
      ellipses += index.kind() == Kind::ellipsis;
      named += index.kind() == Kind::whole || index.kind() == Kind::slice;
      if (index.kind() != Kind::tensor) continue;
      const Tensor& t = index.tensor();
      require_defined(op, {&t});
      require<DTypeError>(t.dtype() == kInt64 || t.dtype() == kBool,
                          "{}: an index tensor {} is {}; it must be int64 or bool", op, t.sizes(),
                          t.dtype());
      named += t.dtype() == kBool ? t.dim() : 1;
    }
    require<IndexError>(ellipses <= 1, "{}: {} Ellipsis for shape {}; give one at most", op,
                        ellipses, x.sizes());
    require<IndexError>(named <= x.dim(),
                        "{}: {} indices for shape {}, which has {} dims; leave some out", op, named,
                        x.sizes(), x.dim());
    return named;
  }

  void add_truth(bool truth, int d) {
    view = view.unsqueeze(d);
    at[d] = zeros({truth ? 1 : 0}, kInt64);
  }

  int add_tensor(std::string_view op, const Tensor& index, int d) {
    if (index.dtype() == kInt64) {
      at[d] = index;
      return d + 1;
    }
    if (index.dim() == 0) {
      add_truth(index.item<bool>(), d);
      return d + 1;
    }
    for (int k = 0; k < index.dim(); ++k) {
      require<ShapeError>(
          index.sizes()[k] == view.sizes()[d + k],
          "{}: a mask of shape {} at dims {} to {} of shape {}; give a mask of the dims' sizes", op,
          index.sizes(), d, d + index.dim() - 1, view.sizes());
    }
    const Tensor places = nonzero(index);
    for (int k = 0; k < index.dim(); ++k) at[d + k] = places.select(1, k);
    return d + index.dim();
  }
};

/// The index tensors of an Indexed merged into one.
struct Merged {
  bool any = false;
  Shape dims;        // of the view, that have an index tensor
  Shape sizes;       // of the broadcast index tensors
  bool neighbours;   // those dims follow each other
  int position = 0;  // where the dims of `sizes` stand in the result
  Tensor offsets;

  /// offsets = Σ index_k · weight(k), with negative indices wrapped around.
  template <class Weight>
  Merged(std::string_view op, const Indexed& indexed, Weight weight) {
    const Shape& of = indexed.view.sizes();
    for (int d = 0; d < of.size(); ++d) {
      if (!indexed.at[d].defined()) continue;
      require_indices(op, indexed.at[d], of, d, -of[d]);
      sizes = broadcast_shapes(op, sizes, indexed.at[d].sizes());
      dims.push_back(d);
    }
    any = !dims.empty();
    if (!any) return;
    neighbours = dims.back() - dims[0] + 1 == dims.size();
    if (neighbours) position = static_cast<int>(dims[0]);
    offsets = zeros(sizes, kInt64);
    for (int k = 0; k < dims.size(); ++k) {
      const int d = static_cast<int>(dims[k]);
      kernels::map<std::int64_t, std::int64_t, std::int64_t>(
          [n = of[d], w = weight(d)](std::int64_t sum, std::int64_t i) {
            return sum + (i < 0 ? i + n : i) * w;
          },
          offsets, offsets, indexed.at[d]);
    }
  }

  bool takes(int d) const { return std::find(dims.begin(), dims.end(), d) != dims.end(); }
};

/// Elements of `indexed`, as Tensor::index gives them.
Tensor picked(const Indexed& indexed) {
  const Tensor& view = indexed.view;
  Strides weights = contiguous_strides(view.sizes());
  // The weight of an index: how many places of the later indexed dims go by when it grows by one.
  std::int64_t places = 1;
  for (int d = view.dim() - 1; d >= 0; --d) {
    if (!indexed.at[d].defined()) continue;
    weights[d] = places;
    places *= view.sizes()[d];
  }
  const Merged merged("index", indexed, [&](int d) { return weights[d]; });
  if (!merged.any) return view;
  Shape order, before, behind;
  for (int d = 0; d < view.dim(); ++d) {
    if (merged.takes(d)) continue;
    Shape& side = order.size() < merged.position ? before : behind;
    side.push_back(view.sizes()[d]);
    order.push_back(d);
  }
  for (int k = 0; k < merged.dims.size(); ++k) order.insert(merged.position + k, merged.dims[k]);
  Shape joined = before, result = before;
  joined.push_back(places);
  for (const std::int64_t size : merged.sizes) result.push_back(size);
  for (const std::int64_t size : behind) {
    joined.push_back(size);
    result.push_back(size);
  }
  Tensor flat = merged.neighbours ? view : view.permute(order);
  if (merged.dims.size() > 1) flat = flat.reshape(joined);
  const Tensor index = merged.offsets.reshape({merged.offsets.numel()});
  const Tensor y = index_select(flat, merged.position, index);
  return merged.sizes.size() == 1 ? y : y.reshape(result);
}

/// Where value goes in the storage of x, and that it fits; nothing is touched before all is
/// checked.
struct Places {
  Indexed indexed;
  Merged merged;
  Shape sizes;      // of what x.index(indices) would be
  Strides strides;  // of the view; 0 in the dims of the index tensors

  Places(const Tensor& x, const std::vector<TensorIndex>& indices, const Tensor& value)
      : indexed("index_put_", x, indices),
        merged("index_put_", indexed, [&](int d) { return indexed.view.strides()[d]; }) {
    require_defined("index_put_", {&value});
    require_same_dtype("index_put_", x, value);
    for (int d = 0; d < indexed.view.dim(); ++d) {
      if (merged.takes(d)) continue;
      sizes.push_back(indexed.view.sizes()[d]);
      strides.push_back(indexed.view.strides()[d]);
    }
    for (int k = merged.sizes.size() - 1; k >= 0; --k) {
      sizes.insert(merged.position, merged.sizes[k]);
      strides.insert(merged.position, 0);
    }
    bool fits = value.dim() <= sizes.size();
    for (int k = 1; fits && k <= value.dim(); ++k) {
      const std::int64_t size = value.sizes()[value.dim() - k];
      fits = size == 1 || size == sizes[sizes.size() - k];
    }
    require<ShapeError>(
        fits,
        "index_put_: a value of shape {} does not broadcast to the indexed {}; give it that shape",
        value.sizes(), sizes);
  }

  void write(const Tensor& value) const {
    if (!merged.any) return copy_elements(indexed.view, value);
    // The offsets, with size 1 where the other dims are.
    Shape offset_sizes = merged.sizes;
    for (int k = merged.position + merged.sizes.size(); k < sizes.size(); ++k)
      offset_sizes.push_back(1);
    const Tensor offsets =
        make_view(merged.offsets, offset_sizes, contiguous_strides(offset_sizes));
    visit(value.dtype(), [&]<class T>() {
      kernels::put<T>([](T, T v) { return v; }, indexed.view, strides, offsets, 1, value, sizes);
    });
  }
};

struct IndexPutNode final : NodeOf<IndexPutNode> {
  static constexpr std::string_view op = "index_put", formula = "y = x, but value at the indices",
                                    gradient = "dx = g but 0 there, dvalue = g there";
  void backward(const Tensor& g, Gradients& gradients) override {
    if (gradients.wants(0)) gradients.give(0, index_put(g, indices, zeros({}, g.dtype())));
    if (gradients.wants(1)) gradients.give(1, g.index(indices));
  }
  std::vector<TensorIndex> indices;
};

}  // namespace

Tensor index_put(const Tensor& x, const std::vector<TensorIndex>& indices, const Tensor& value) {
  require_defined("index_put", {&x});
  Tensor y = contiguous_copy(x);
  without_recording([&] { Places(y, indices, value).write(value); });
  return record<IndexPutNode>(std::move(y), {&x, &value}, [&](IndexPutNode& node) {
    for (const TensorIndex& index : indices) {
      // A copy: the caller may change the index tensor later.
      const bool is_tensor = index.kind() == Kind::tensor;
      node.indices.push_back(is_tensor ? TensorIndex(contiguous_copy(index.tensor())) : index);
    }
  });
}

Tensor Tensor::index(const std::vector<TensorIndex>& indices) const {
  return picked(Indexed("index", *this, indices));
}

Tensor& Tensor::index_put_(const std::vector<TensorIndex>& indices, const Tensor& value) {
  require_defined("index_put_", {this, &value});
  if (check_in_place("index_put_", *this, {&value})) {
    take_over(*this, index_put(*this, indices, value));
    return *this;
  }
  const Places places = without_recording([&] { return Places(*this, indices, value); });
  places.write(value.get().storage == get().storage ? contiguous_copy(value) : value);
  get().storage->changed();
  return *this;
}

Tensor& Tensor::index_put_(const std::vector<TensorIndex>& indices, Scalar value) {
  require_defined("index_put_", {this});
  value.require_held("index_put_", dtype());
  return index_put_(indices, full_unchecked({}, value, dtype()));
}

}  // namespace retrace
