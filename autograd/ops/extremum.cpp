#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/arithmetic.h>
#include <retrace/autograd/ops/comparison.h>
#include <retrace/autograd/ops/extremum.h>
#include <retrace/autograd/ops/indexing.h>
#include <retrace/autograd/ops/reduced.h>
#include <retrace/autograd/ops/reduction.h>
#include <retrace/autograd/ops/selection.h>
#include <retrace/tensor/kernels/reduce.h>

namespace retrace {
namespace {

struct Largest {
  template <class T>
  static constexpr T worst = std::numeric_limits<T>::has_infinity
                                 ? -std::numeric_limits<T>::infinity()
                                 : std::numeric_limits<T>::lowest();
  template <class T>
  static bool better(T x, T than) {
    return x > than;
  }
};

struct Smallest {
  template <class T>
  static constexpr T worst = std::numeric_limits<T>::has_infinity
                                 ? std::numeric_limits<T>::infinity()
                                 : std::numeric_limits<T>::max();
  template <class T>
  static bool better(T x, T than) {
    return x < than;
  }
};

struct Amax {
  using Which = Largest;
  static constexpr std::string_view op = "amax", formula = "y = max x";
};
struct Amin {
  using Which = Smallest;
  static constexpr std::string_view op = "amin", formula = "y = min x";
};
struct Max {
  using Which = Largest;
  static constexpr std::string_view op = "max", formula = "y = max x";
};
struct Min {
  using Which = Smallest;
  static constexpr std::string_view op = "min", formula = "y = min x";
};

template <class Which, class T>
struct Extremum {
  // A vector<bool> of partial results could not be written by several threads.
  using Acc = std::conditional_t<std::is_same_v<T, bool>, unsigned char, T>;
  Acc initial() const { return static_cast<Acc>(Which::template worst<T>); }
  Acc step(Acc acc, T x) const {
    const auto value = static_cast<Acc>(x);
    return Which::better(value, acc) || value != value ? value : acc;
  }
  Acc combine(Acc a, Acc b) const { return step(a, static_cast<T>(b)); }
  T finish(Acc acc) const { return static_cast<T>(acc); }
};

/// Equal, or both NaN.
template <class T>
bool same(T a, T b) {
  return a == b || (a != a && b != b);
}

void require_elements(std::string_view op, const Tensor& x, const Reduced& reduced) {
  require<ShapeError>(reduced.count > 0 || reduced.kept.numel() == 0,
                      "{}: shape {} has no elements to choose from; check numel() first", op,
                      x.sizes());
}

template <class Which>
Tensor extreme_values(const Tensor& x, const Reduced& reduced, bool keepdim) {
  Tensor y = empty(reduced.sizes(keepdim), x.dtype());
  visit(x.dtype(),
        [&]<class T>() { kernels::reduce<T, T>(Extremum<Which, T>(), y, x, reduced.marked); });
  return y;
}

// Over any dims: ties share
// -------------------------------------------------------------------------

template <class Op>
struct TiesNode final : NodeOf<TiesNode<Op>> {
  static constexpr std::string_view op = Op::op, formula = Op::formula,
                                    gradient = "dx = g / ties where x = y, 0 elsewhere";
  explicit TiesNode(const Reduced& reduced)
      : kept_as_one(reduced.kept_as_one), dims(reduced.dims) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    // The share is a constant almost everywhere: nothing of it is recorded.
    const Tensor share = without_recording([&] {
      const Tensor x = this->saved_input(0), y = this->saved_output();
      const Tensor top = make_view(y, kept_as_one, contiguous_strides(kept_as_one));
      Tensor tied = empty(x.sizes(), x.dtype());
      visit_float(x.dtype(), op, [&]<class T>() {
        kernels::map<T, T, T>([](T a, T b) { return same(a, b) ? T(1) : T(0); }, tied, x, top);
      });
      return div(tied, sum(tied, dims, /*keepdim=*/true));
    });
    // A gradient that is infinite is none of the others'.
    const Tensor others = without_recording([&] { return eq(share, 0.0); });
    gradients.give(0, masked_fill(mul(g.reshape(kept_as_one), share), others, 0.0));
  }
  Shape kept_as_one, dims;
};

template <class Op>
Tensor extremum(const Tensor& x, const Shape* dims, bool keepdim) {
  require_defined(Op::op, {&x});
  const Reduced reduced(Op::op, x, dims);
  require_elements(Op::op, x, reduced);
  Tensor y = extreme_values<typename Op::Which>(x, reduced, keepdim);
  return record<TiesNode<Op>>(
      y, {&x},
      [&](auto& node) {
        node.save_input(0, x);
        node.save_output(y);
      },
      reduced);
}

// Over one dim: the first of equals
// -----------------------------------------------------------------

/// Where in x [outer, n, inner] each of values [outer, inner] is first found along the middle.
template <class T>
void first_places(const T* x, const T* values, std::int64_t* places, std::int64_t outer,
                  std::int64_t n, std::int64_t inner) {
  parallel_for(outer, kernels::grain_of(n, inner), [&](auto begin, auto end) {
    for (std::int64_t o = begin; o < end; ++o) {
      const T* block = x + o * n * inner;
      const T* value = values + o * inner;
      std::int64_t* place = places + o * inner;
      if (inner == 1) {
        std::int64_t r = 0;
        while (!same(block[r], *value)) ++r;
        *place = r;
        continue;
      }
      for (std::int64_t r = n - 1; r >= 0; --r) {
        for (std::int64_t c = 0; c < inner; ++c)
          place[c] = same(block[r * inner + c], value[c]) ? r : place[c];
      }
    }
  });
}

template <class Which>
TensorPair extremum_and_place(std::string_view op, const Tensor& x, const Shape* dim,
                              bool keepdim) {
  require_defined(op, {&x});
  const Reduced reduced(op, x, dim);
  require_elements(op, x, reduced);
  const Tensor dense = as_contiguous(x);
  TensorPair result{extreme_values<Which>(dense, reduced, keepdim),
                    empty(reduced.sizes(keepdim), kInt64)};
  std::int64_t inner = 1;
  for (int d = dim == nullptr || x.dim() == 0 ? x.dim() : static_cast<int>(reduced.dims[0]) + 1;
       d < x.dim(); ++d)
    inner *= x.sizes()[d];
  if (result.values.numel() == 0) return result;
  visit(x.dtype(), [&]<class T>() {
    first_places(elements<T>(dense), elements<T>(result.values),
                 elements<std::int64_t>(result.indices), result.values.numel() / inner,
                 reduced.count, inner);
  });
  return result;
}

template <class Op>
struct ChosenNode final : NodeOf<ChosenNode<Op>> {
  static constexpr std::string_view op = Op::op, formula = Op::formula,
                                    gradient = "dx = g at the chosen index, 0 elsewhere";
  ChosenNode(const Shape& full, int d, bool kept) : sizes(full), dim(d), keepdim(kept) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    const Tensor index = this->saved_extra();
    const bool restore = !keepdim && !sizes.empty();
    gradients.give(0,
                   scatter_add(zeros(sizes, g.dtype()), dim, restore ? index.unsqueeze(dim) : index,
                               restore ? g.unsqueeze(dim) : g));
  }
  Shape sizes;
  int dim;
  bool keepdim;
};

template <class Op>
TensorPair extremum_along(const Tensor& x, std::int64_t dim, bool keepdim) {
  const Shape dims{dim};
  TensorPair result = extremum_and_place<typename Op::Which>(Op::op, x, &dims, keepdim);
  const Tensor& indices = result.indices;
  result.values = record<ChosenNode<Op>>(
      std::move(result.values), {&x}, [&](auto& node) { node.save_extra(indices); }, x.sizes(),
      wrap_dim(Op::op, dim, x.sizes()), keepdim);
  return result;
}

}  // namespace

Tensor amax(const Tensor& x) { return extremum<Amax>(x, nullptr, false); }
Tensor amax(const Tensor& x, std::int64_t dim, bool keepdim) {
  return amax(x, Shape{dim}, keepdim);
}
Tensor amax(const Tensor& x, const Shape& dims, bool keepdim) {
  return extremum<Amax>(x, &dims, keepdim);
}
Tensor amin(const Tensor& x) { return extremum<Amin>(x, nullptr, false); }
Tensor amin(const Tensor& x, std::int64_t dim, bool keepdim) {
  return amin(x, Shape{dim}, keepdim);
}
Tensor amin(const Tensor& x, const Shape& dims, bool keepdim) {
  return extremum<Amin>(x, &dims, keepdim);
}

Tensor max(const Tensor& x) { return extremum<Max>(x, nullptr, false); }
TensorPair max(const Tensor& x, std::int64_t dim, bool keepdim) {
  return extremum_along<Max>(x, dim, keepdim);
}
Tensor min(const Tensor& x) { return extremum<Min>(x, nullptr, false); }
TensorPair min(const Tensor& x, std::int64_t dim, bool keepdim) {
  return extremum_along<Min>(x, dim, keepdim);
}

Tensor argmax(const Tensor& x) {
  return extremum_and_place<Largest>("argmax", x, nullptr, false).indices;
}
Tensor argmax(const Tensor& x, std::int64_t dim, bool keepdim) {
  const Shape dims{dim};
  return extremum_and_place<Largest>("argmax", x, &dims, keepdim).indices;
}
Tensor argmin(const Tensor& x) {
  return extremum_and_place<Smallest>("argmin", x, nullptr, false).indices;
}
Tensor argmin(const Tensor& x, std::int64_t dim, bool keepdim) {
  const Shape dims{dim};
  return extremum_and_place<Smallest>("argmin", x, &dims, keepdim).indices;
}

// Members
// -------------------------------------------------------------------------------------------

Tensor Tensor::max() const { return retrace::max(*this); }
TensorPair Tensor::max(std::int64_t d, bool keepdim) const {
  return retrace::max(*this, d, keepdim);
}
Tensor Tensor::min() const { return retrace::min(*this); }
TensorPair Tensor::min(std::int64_t d, bool keepdim) const {
  return retrace::min(*this, d, keepdim);
}
Tensor Tensor::argmax() const { return retrace::argmax(*this); }
Tensor Tensor::argmax(std::int64_t d, bool keepdim) const {
  return retrace::argmax(*this, d, keepdim);
}
Tensor Tensor::argmin() const { return retrace::argmin(*this); }
Tensor Tensor::argmin(std::int64_t d, bool keepdim) const {
  return retrace::argmin(*this, d, keepdim);
}

}  // namespace retrace
