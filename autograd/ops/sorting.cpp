#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/ops/indexing.h>
#include <retrace/autograd/ops/sorting.h>

#include <algorithm>

namespace retrace {
namespace {

/// An element with its place, by which equals are told apart: so the order is stable.
template <class T>
struct Entry {
  T value;
  std::int64_t place;
};

template <class T>
struct Ascending {
  bool operator()(const Entry<T>& a, const Entry<T>& b) const {
    if (a.value < b.value) return true;
    if (b.value < a.value) return false;
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    return a_nan == b_nan ? a.place < b.place : b_nan;
  }
};

template <class T>
struct Descending {
  bool operator()(const Entry<T>& a, const Entry<T>& b) const {
    if (a.value > b.value) return true;
    if (b.value > a.value) return false;
    const bool a_nan = a.value != a.value, b_nan = b.value != b.value;
    return a_nan == b_nan ? a.place < b.place : a_nan;
  }
};

/// The places of the first k elements of each row of x [rows, n] in order.
template <class Order, class T>
void order_rows(const T* x, std::int64_t rows, std::int64_t n, std::int64_t k,
                std::int64_t* places) {
  parallel_for(rows, kernels::grain_of(16, n), [&](auto begin, auto end) {
    std::vector<Entry<T>> entries(static_cast<std::size_t>(n));
    for (std::int64_t row = begin; row < end; ++row) {
      for (std::int64_t i = 0; i < n; ++i)
        entries[static_cast<std::size_t>(i)] = {x[row * n + i], i};
      const auto cut = entries.begin() + k;
      if (k < n / 8) {
        std::partial_sort(entries.begin(), cut, entries.end(), Order());
      } else {
        std::nth_element(entries.begin(), cut, entries.end(), Order());
        std::sort(entries.begin(), cut, Order());
      }
      std::transform(entries.begin(), cut, places + row * k,
                     [](const Entry<T>& entry) { return entry.place; });
    }
  });
}

struct SortNode final : NodeOf<SortNode> {
  static constexpr std::string_view op = "sort", formula = "y = x in order",
                                    gradient = "dx = g at the places that y came from";
  SortNode(const Shape& from, int d) : sizes(from), dim(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, scatter_add(zeros(sizes, g.dtype()), dim, saved_extra(), g));
  }
  Shape sizes;
  int dim;
};

struct TopkNode final : NodeOf<TopkNode> {
  static constexpr std::string_view op = "topk", formula = "y = the k largest or smallest of x",
                                    gradient = "dx = g at the places that y came from";
  TopkNode(const Shape& from, int d) : sizes(from), dim(d) {}
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, scatter_add(zeros(sizes, g.dtype()), dim, saved_extra(), g));
  }
  Shape sizes;
  int dim;
};

/// Indices of the first k along dim d, in order.
Tensor places_in_order(const Tensor& x, int d, std::int64_t k, bool descending) {
  if (x.dim() == 0) return zeros({}, kInt64);
  Shape sizes = x.sizes();
  sizes[d] = k;
  if (sizes.numel() == 0) return empty(sizes, kInt64);
  const Tensor last = without_recording([&] { return x.transpose(d, -1).contiguous(); });
  Shape swapped = sizes;
  std::swap(swapped[d], swapped[x.dim() - 1]);
  const Tensor places = empty(swapped, kInt64);
  visit(x.dtype(), [&]<class T>() {
    const auto run = [&]<class Order>() {
      order_rows<Order>(elements<T>(last), places.numel() / k, last.size(-1), k,
                        elements<std::int64_t>(places));
    };
    descending ? run.template operator()<Descending<T>>() : run.template operator()<Ascending<T>>();
  });
  return places.transpose(d, -1).contiguous();
}

template <class N>
TensorPair ordered(const Tensor& x, int d, std::int64_t k, bool descending) {
  const Tensor indices = places_in_order(x, d, k, descending);
  Tensor values = without_recording([&] { return gather(x, d, indices); });
  values = record<N>(
      std::move(values), {&x}, [&](N& node) { node.save_extra(indices); }, x.sizes(), d);
  return {std::move(values), indices};
}

}  // namespace

TensorPair sort(const Tensor& x, std::int64_t dim, bool descending) {
  require_defined("sort", {&x});
  const int d = wrap_dim("sort", dim, x.sizes());
  return ordered<SortNode>(x, d, x.dim() == 0 ? 1 : x.sizes()[d], descending);
}

Tensor argsort(const Tensor& x, std::int64_t dim, bool descending) {
  require_defined("argsort", {&x});
  const int d = wrap_dim("argsort", dim, x.sizes());
  return places_in_order(x, d, x.dim() == 0 ? 1 : x.sizes()[d], descending);
}

TensorPair topk(const Tensor& x, std::int64_t k, std::int64_t dim, bool largest) {
  require_defined("topk", {&x});
  const int d = wrap_dim("topk", dim, x.sizes());
  const std::int64_t n = x.dim() == 0 ? 1 : x.sizes()[d];
  require<IndexError>(k >= 0 && k <= n && (x.dim() > 0 || k == 1),
                      "topk: k = {} of {} elements along dim {} of shape {}; give 0 to {}", k, n, d,
                      x.sizes(), n);
  return ordered<TopkNode>(x, d, k, largest);
}

TensorPair Tensor::sort(std::int64_t d, bool descending) const {
  return retrace::sort(*this, d, descending);
}
TensorPair Tensor::topk(std::int64_t k, std::int64_t d, bool largest) const {
  return retrace::topk(*this, k, d, largest);
}

}  // namespace retrace
