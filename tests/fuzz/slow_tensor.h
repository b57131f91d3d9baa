#pragma once

// A tensor to hold the library's against: no strides, but for each element the place where its
// number is kept. A view is another list of the same places. Slow, and nothing of it is shared with
// what it checks.

#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include <retrace/tensor/dtype.h>
#include <retrace/tensor/shape.h>

namespace retrace::fuzz {

/// Holds every int64 and every double exactly.
using Number = long double;
static_assert(std::numeric_limits<Number>::digits >= 64);

using Index = Shape;  // of one element

/// Calls f(index) for all elements in row-major order.
template <class F>
void for_each_index(const Shape& sizes, F&& f) {
  Index index = Shape::filled(sizes.size(), 0);
  for (const std::int64_t size : sizes)
    if (size == 0) return;
  for (;;) {
    f(std::as_const(index));
    int d = sizes.size() - 1;
    while (d >= 0 && ++index[d] == sizes[d]) index[d--] = 0;
    if (d < 0) return;
  }
}

struct SlowTensor {
  DType dtype = kFloat32;
  Shape sizes;
  std::vector<std::size_t> places = {};  // of the elements, row-major
  std::shared_ptr<std::vector<Number>> kept = std::make_shared<std::vector<Number>>();

  static SlowTensor of(DType dtype, const Shape& sizes, std::vector<Number> values) {
    SlowTensor result = {.dtype = dtype, .sizes = sizes};
    for (std::size_t i = 0; i < values.size(); ++i) result.places.push_back(i);
    *result.kept = std::move(values);
    return result;
  }

  Number operator[](std::size_t i) const { return (*kept)[places[i]]; }
  std::vector<Number> values() const {
    std::vector<Number> result;
    for (const std::size_t place : places) result.push_back((*kept)[place]);
    return result;
  }
  void write(const std::vector<Number>& values) const {
    for (std::size_t i = 0; i < places.size(); ++i) (*kept)[places[i]] = values[i];
  }
  /// Row-major position of an element.
  std::size_t position(const Index& index) const {
    std::int64_t result = 0;
    for (int d = 0; d < sizes.size(); ++d) result = result * sizes[d] + index[d];
    return static_cast<std::size_t>(result);
  }
  Number at(const Index& index) const { return (*this)[position(index)]; }

  /// A view whose element `index` is this tensor's element old(index).
  template <class F>
  SlowTensor seen_as(const Shape& view, F&& old) const {
    SlowTensor result = {.dtype = dtype, .sizes = view, .places = {}, .kept = kept};
    for_each_index(view, [&](const Index& index) {
      result.places.push_back(places.at(position(old(index))));
    });
    return result;
  }
  /// The same elements under other sizes.
  SlowTensor resized(const Shape& view) const {
    SlowTensor result = *this;
    result.sizes = view;
    return result;
  }
  SlowTensor copy() const { return of(dtype, sizes, values()); }
  /// Repeated where a size is 1, or a dim is not there.
  SlowTensor repeated(const Shape& view) const {
    return seen_as(view, [&](const Index& index) {
      Index old = sizes;
      const int lead = view.size() - sizes.size();
      for (int d = 0; d < sizes.size(); ++d) old[d] = sizes[d] == 1 ? 0 : index[d + lead];
      return old;
    });
  }
};

/// Sizes that both repeat to.
inline Shape joint_sizes(const Shape& a, const Shape& b) {
  Shape result = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  const int lead = result.size() - shorter.size();
  for (int d = 0; d < shorter.size(); ++d)
    if (result[d + lead] == 1) result[d + lead] = shorter[d];
  return result;
}

/// f(a, b) element by element, computed in the dtype of the operands.
template <class F>
SlowTensor slow_map(DType result, const SlowTensor& a, const SlowTensor& b, F&& f) {
  const Shape sizes = joint_sizes(a.sizes, b.sizes);
  const SlowTensor x = a.repeated(sizes), y = b.repeated(sizes);
  std::vector<Number> values;
  for (std::size_t i = 0; i < x.places.size(); ++i)
    values.push_back(visit(a.dtype, [&]<class T>() {
      return static_cast<Number>(f(static_cast<T>(x[i]), static_cast<T>(y[i])));
    }));
  return SlowTensor::of(result, sizes, std::move(values));
}

/// fold(row) for each row of numbers along `dim`.
template <class F>
SlowTensor slow_reduce(DType result, const SlowTensor& x, int dim, bool keepdim, F&& fold) {
  Shape outer = x.sizes;
  outer[dim] = 1;
  std::vector<Number> values;
  for_each_index(outer, [&](Index index) {
    std::vector<Number> row;
    for (index[dim] = 0; index[dim] < x.sizes[dim]; ++index[dim]) row.push_back(x.at(index));
    values.push_back(fold(row));
  });
  if (!keepdim) outer.erase(dim);
  return SlowTensor::of(result, outer, std::move(values));
}

}  // namespace retrace::fuzz
