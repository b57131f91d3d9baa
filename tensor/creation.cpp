#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/view.h>

#include <cmath>
#include <limits>

namespace retrace {
namespace {

constexpr std::int64_t kGrain = 1 << 18;  // elements for one thread

Tensor on_storage(Ref<Storage> storage, const Shape& sizes, std::int64_t numel, DType dtype) {
  auto* tensor = new TensorData;
  tensor->dtype = dtype;
  tensor->numel = numel;
  tensor->data = storage->data;
  tensor->sizes = sizes;
  tensor->strides = contiguous_strides(sizes);
  tensor->storage = std::move(storage);
  return Tensor(Ref<TensorData>::adopt(tensor));
}

std::int64_t bytes_of(const Shape& sizes, std::int64_t numel, DType dtype) {
  require<ShapeError>(numel <= std::numeric_limits<std::int64_t>::max() / 16,
                      "shape: the bytes of {} {} do not fit 63 bits; use smaller sizes", dtype,
                      sizes);
  return numel * size_of(dtype);
}

template <class T>
void fill_all(const Tensor& x, T value) {
  T* data = elements<T>(x);
  parallel_for(x.numel(), kGrain, [data, value](std::int64_t begin, std::int64_t end) {
    std::fill(data + begin, data + end, value);
  });
}

}  // namespace

Tensor empty(const Shape& sizes, DType dtype) {
  const std::int64_t numel = sizes.numel();
  const std::int64_t bytes = bytes_of(sizes, numel, dtype);
  Ref<Storage> storage;
  try {
    storage = allocate_storage(bytes);
  } catch (const ValueError&) {
    fail<ValueError>(
        "memory: cannot allocate {} bytes for {} {}; use smaller sizes or free "
        "tensors first",
        bytes, dtype, sizes);
  }
  return on_storage(std::move(storage), sizes, numel, dtype);
}

Tensor zeros(const Shape& sizes, DType dtype) {
  Tensor result = empty(sizes, dtype);
  // All dtypes write 0 as zero bytes.
  auto* data = reinterpret_cast<unsigned char*>(result.get().data);
  parallel_for(result.numel() * size_of(dtype), kGrain * 8,
               [data](std::int64_t begin, std::int64_t end) {
                 std::fill(data + begin, data + end, static_cast<unsigned char>(0));
               });
  return result;
}

Tensor ones(const Shape& sizes, DType dtype) { return full(sizes, 1, dtype); }

Tensor full(const Shape& sizes, Scalar value, DType dtype) {
  value.require_held("full", dtype);
  return full_unchecked(sizes, value, dtype);
}

Tensor full_unchecked(const Shape& sizes, Scalar value, DType dtype) {
  return visit(dtype, [&]<class T>() {
    const T element = value.to<T>("full");
    Tensor result = empty(sizes, dtype);
    fill_all<T>(result, element);
    return result;
  });
}

Tensor empty_like(const Tensor& x) { return empty(x.sizes(), x.dtype()); }
Tensor empty_like(const Tensor& x, DType dtype) { return empty(x.sizes(), dtype); }
Tensor zeros_like(const Tensor& x) { return zeros(x.sizes(), x.dtype()); }
Tensor zeros_like(const Tensor& x, DType dtype) { return zeros(x.sizes(), dtype); }
Tensor ones_like(const Tensor& x) { return ones(x.sizes(), x.dtype()); }
Tensor ones_like(const Tensor& x, DType dtype) { return ones(x.sizes(), dtype); }
Tensor full_like(const Tensor& x, Scalar value) { return full(x.sizes(), value, x.dtype()); }
Tensor full_like(const Tensor& x, Scalar value, DType dtype) {
  return full(x.sizes(), value, dtype);
}

Tensor arange(Scalar end, std::optional<DType> dtype) { return arange(0, end, 1, dtype); }
Tensor arange(Scalar start, Scalar end, std::optional<DType> dtype) {
  return arange(start, end, 1, dtype);
}

namespace {

void check_range(double start, double end, double step) {
  require<ValueError>(std::isfinite(start) && std::isfinite(end) && std::isfinite(step),
                      "arange: start {}, end {}, step {} must all be finite; replace what is not",
                      start, end, step);
  require<ValueError>(step != 0, "arange: step is 0; give a step that leads from {} to {}", start,
                      end);
  require<ValueError>(step > 0 ? end >= start : end <= start,
                      "arange: step {} leads away from the end, {} to {}; change its sign", step,
                      start, end);
}

Tensor arange_whole(std::int64_t start, std::int64_t end, std::int64_t step) {
  // Unsigned: the distance of two int64 may need 64 bits.
  const auto distance = step > 0
                            ? static_cast<std::uint64_t>(end) - static_cast<std::uint64_t>(start)
                            : static_cast<std::uint64_t>(start) - static_cast<std::uint64_t>(end);
  const auto stride = step > 0 ? static_cast<std::uint64_t>(step)
                               : std::uint64_t{0} - static_cast<std::uint64_t>(step);
  const std::uint64_t count = distance / stride + (distance % stride != 0);
  require<ShapeError>(count <= std::uint64_t{std::numeric_limits<std::int64_t>::max()},
                      "arange: {} to {} by {} is more than 2^63 - 1 elements; use a larger step",
                      start, end, step);
  Tensor result = empty({static_cast<std::int64_t>(count)}, kInt64);
  auto* out = elements<std::int64_t>(result);
  for (std::uint64_t i = 0; i < count; ++i) {
    out[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(start) +
                                       i * static_cast<std::uint64_t>(step));
  }
  return result;
}

template <class T>
Tensor arange_fraction(double start, double end, double step) {
  const double count = std::ceil((end - start) / step);
  require<ShapeError>(count < 0x1p53, "arange: {} to {} by {} is {} elements; use a larger step",
                      start, end, step, count);
  Tensor result = empty({static_cast<std::int64_t>(count)}, dtype_of<T>);
  T* out = elements<T>(result);
  for (std::int64_t i = 0; i < result.numel(); ++i) {
    out[i] = static_cast<T>(start + static_cast<double>(i) * step);
  }
  return result;
}

}  // namespace

Tensor arange(Scalar start, Scalar end, Scalar step, std::optional<DType> dtype) {
  const bool whole = start.is_integer() && end.is_integer() && step.is_integer();
  check_range(start.as_double(), end.as_double(), step.as_double());
  switch (dtype.value_or(whole ? kInt64 : kFloat32)) {
    case kInt64:
      return arange_whole(start.to<std::int64_t>("arange"), end.to<std::int64_t>("arange"),
                          step.to<std::int64_t>("arange"));
    case kFloat32:
      return arange_fraction<float>(start.as_double(), end.as_double(), step.as_double());
    case kFloat64:
      return arange_fraction<double>(start.as_double(), end.as_double(), step.as_double());
    case kBool:
      break;
  }
  refuse_dtype("arange", kBool, "float32, float64 or int64");
}

Tensor linspace(Scalar start, Scalar end, std::int64_t steps, DType dtype) {
  require<ValueError>(steps >= 0, "linspace: {} steps; give 0 or more", steps);
  require<ValueError>(std::isfinite(start.as_double()) && std::isfinite(end.as_double()),
                      "linspace: {} to {}; both ends must be finite", start.as_double(),
                      end.as_double());
  start.require_held("linspace", dtype);
  end.require_held("linspace", dtype);
  // Halved where the distance overflows, which changes no digit.
  const double scale = std::isfinite(end.as_double() - start.as_double()) ? 1.0 : 0.5;
  const double first = scale * start.as_double(), last = scale * end.as_double();
  return visit_number(dtype, "linspace", [&]<class T>() {
    if constexpr (std::is_same_v<T, std::int64_t>) {
      require<ValueError>(std::abs(first) < 0x1p63 && std::abs(last) < 0x1p63,
                          "linspace: {} to {} does not fit int64; use float64", first, last);
    }
    Tensor result = empty({steps}, dtype);
    T* out = elements<T>(result);
    const double step = steps > 1 ? (last - first) / static_cast<double>(steps - 1) : 0.0;
    // From both ends, so that the last element is exactly `end` and the row is symmetric.
    for (std::int64_t i = 0; i < steps; ++i) {
      const double at = i < (steps + 1) / 2 ? first + static_cast<double>(i) * step
                                            : last - static_cast<double>(steps - 1 - i) * step;
      out[i] = static_cast<T>(at / scale);
    }
    return result;
  });
}

Tensor eye(std::int64_t n, DType dtype) { return eye(n, n, dtype); }

Tensor eye(std::int64_t n, std::int64_t m, DType dtype) {
  Tensor result = zeros({n, m}, dtype);
  visit(dtype, [&]<class T>() {
    for (std::int64_t i = 0; i < std::min(n, m); ++i) elements<T>(result)[i * m + i] = T(1);
  });
  return result;
}

namespace {

// Sizes along the first branch of the list; the others are compared with it while copying.
Shape sizes_of(const NestedList& values) {
  Shape sizes;
  const NestedList* list = &values;
  while (list->is_list()) {
    sizes.push_back(static_cast<std::int64_t>(list->items().size()));
    if (list->items().empty()) break;
    list = &list->items().front();
  }
  return sizes;
}

// Also finds the most general kind: bool below int64 below float32.
void check_regular(const NestedList& values, const Shape& sizes, int depth, DType& kind) {
  if (depth == sizes.size() && !values.is_list()) {
    if (values.kind() == kFloat32) kind = kFloat32;
    if (values.kind() == kInt64 && kind == kBool) kind = kInt64;
    return;
  }
  require<ShapeError>(depth < sizes.size() && values.is_list(),
                      "tensor: ragged list, a number and a list stand side by side at depth {} "
                      "(shape {}); give all lists of a depth one length",
                      depth, sizes);
  require<ShapeError>(
      static_cast<std::int64_t>(values.items().size()) == sizes[depth],
      "tensor: ragged list, {} items at depth {} where {} are expected (shape {}); give all "
      "lists of a depth one length",
      values.items().size(), depth, sizes[depth], sizes);
  for (const NestedList& item : values.items()) check_regular(item, sizes, depth + 1, kind);
}

template <class T>
T* copy_numbers(const NestedList& values, T* out) {
  if (!values.is_list()) {
    *out = values.value().to<T>("tensor");
    return out + 1;
  }
  for (const NestedList& item : values.items()) out = copy_numbers(item, out);
  return out;
}

}  // namespace

Tensor tensor(const NestedList& values, std::optional<DType> dtype) {
  const Shape sizes = sizes_of(values);
  DType kind = sizes.numel() == 0 ? kFloat32 : kBool;
  check_regular(values, sizes, 0, kind);
  Tensor result = empty(sizes, dtype.value_or(kind));
  visit(result.dtype(), [&]<class T>() { copy_numbers(values, elements<T>(result)); });
  return result;
}

template <class T>
Tensor from_vector(const std::vector<T>& values, std::optional<Shape> sizes) {
  using Element =
      std::conditional_t<std::is_floating_point_v<T> || std::is_same_v<T, bool>, T, std::int64_t>;
  const auto count = static_cast<std::int64_t>(values.size());
  const Shape shape = sizes ? infer_sizes("from_vector", *sizes, {count}) : Shape{count};
  Tensor result = empty(shape, dtype_of<Element>);
  std::copy(values.begin(), values.end(), elements<Element>(result));
  return result;
}

template Tensor from_vector(const std::vector<float>&, std::optional<Shape>);
template Tensor from_vector(const std::vector<double>&, std::optional<Shape>);
template Tensor from_vector(const std::vector<bool>&, std::optional<Shape>);
template Tensor from_vector(const std::vector<int>&, std::optional<Shape>);
template Tensor from_vector(const std::vector<long>&, std::optional<Shape>);
template Tensor from_vector(const std::vector<long long>&, std::optional<Shape>);

Tensor from_blob(void* data, const Shape& sizes, DType dtype, std::shared_ptr<void> owner) {
  const std::int64_t numel = sizes.numel();
  require<ValueError>(data != nullptr || numel == 0,
                      "from_blob: no memory for {} {}; give the address of its elements", dtype,
                      sizes);
  require<ValueError>(
      reinterpret_cast<std::uintptr_t>(data) % static_cast<std::size_t>(size_of(dtype)) == 0,
      "from_blob: the memory is not aligned for {}; copy it to an aligned place", dtype);
  // Storage tells borrowed bytes by their owner: nobody's bytes get one that owns nothing.
  static char nobody;
  if (!owner) owner = std::shared_ptr<void>(std::shared_ptr<void>(), &nobody);
  return on_storage(borrow_storage(data, bytes_of(sizes, numel, dtype), std::move(owner)), sizes,
                    numel, dtype);
}

}  // namespace retrace
