#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/kernels/loop.h>
#include <retrace/tensor/view.h>

namespace retrace {

Tensor make_view(const Tensor& base, const Shape& sizes, const Strides& strides,
                 std::int64_t offset) {
  const TensorData& from = base.get();
  const std::int64_t numel = sizes == from.sizes ? from.numel : sizes.numel();
  auto* view = new TensorData;
  view->dtype = from.dtype;
  view->contiguous = is_contiguous(sizes, strides);
  view->is_view = true;
  view->numel = numel;
  // Without elements there is no first one, and the offset may be any number.
  view->data = numel == 0 ? from.data : from.data + offset * size_of(from.dtype);
  view->sizes = sizes;
  view->strides = strides;
  view->storage = from.storage;
  return Tensor(Ref<TensorData>::adopt(view));
}

Strides broadcast_strides(const Tensor& x, const Shape& sizes) {
  if (x.sizes() == sizes) return x.strides();
  Strides strides = Strides::filled(sizes.size(), 0);
  const int lead = sizes.size() - x.dim();
  for (int d = 0; d < x.dim(); ++d) {
    if (x.sizes()[d] != 1 || sizes[d + lead] == 1) strides[d + lead] = x.strides()[d];
  }
  return strides;
}

Tensor expanded(const Tensor& x, const Shape& sizes) {
  return make_view(x, sizes, broadcast_strides(x, sizes));
}

bool elements_overlap(const Tensor& x) {
  if (x.is_contiguous() || x.numel() < 2) return false;
  struct Dim {
    std::int64_t stride, size, at;
  };
  std::vector<Dim> dims;
  for (int d = 0; d < x.dim(); ++d) {
    if (x.sizes()[d] > 1) dims.push_back({x.strides()[d], x.sizes()[d], 0});
  }
  std::sort(dims.begin(), dims.end(),
            [](const Dim& a, const Dim& b) { return a.stride < b.stride; });
  if (dims.front().stride == 0) return true;
  // From the smallest stride up: a dim that steps over all that those before it reach meets none.
  std::int64_t reach = 0;
  bool apart = true;
  for (const Dim& dim : dims) {
    apart = apart && dim.stride > reach;
    reach += dim.stride * (dim.size - 1);
  }
  if (apart) return false;
  if (x.numel() > reach + 1) return true;
  // Strides that interleave, which is seldom: one place after the other.
  std::vector<bool> taken(static_cast<std::size_t>(reach + 1));
  for (std::int64_t place = 0;;) {
    if (taken[static_cast<std::size_t>(place)]) return true;
    taken[static_cast<std::size_t>(place)] = true;
    auto dim = dims.begin();
    for (; dim != dims.end() && ++dim->at == dim->size; ++dim) {
      place -= dim->stride * (dim->size - 1);
      dim->at = 0;
    }
    if (dim == dims.end()) return false;
    place += dim->stride;
  }
}

std::optional<Strides> view_strides(const Shape& from, const Strides& strides, const Shape& to) {
  if (from.numel() == 0) return contiguous_strides(to);
  Strides result = Strides::filled(to.size(), 0);
  // Walk blocks of `from` dims that lie without gaps, from the last to the first, and lay the new
  // dims into them.
  int t = to.size() - 1;
  std::int64_t base = 1, old_count = 1, new_count = 1;
  bool open = false;
  for (int f = from.size() - 1; f >= 0; --f) {
    if (!open) base = strides[f], open = true;
    old_count *= from[f];
    const bool ends = f == 0 || (from[f - 1] != 1 && strides[f - 1] != old_count * base);
    if (!ends) continue;
    while (t >= 0 && (new_count < old_count || to[t] == 1)) {
      result[t] = new_count * base;
      new_count *= to[t--];
    }
    if (new_count != old_count) return std::nullopt;
    old_count = new_count = 1;
    open = false;
  }
  for (; t >= 0; --t) result[t] = 1;
  return result;
}

Shape infer_sizes(std::string_view op, const Shape& sizes, const Shape& from) {
  Shape result = sizes;
  int unknown = -1;
  std::int64_t known = 1;
  for (int d = 0; d < sizes.size(); ++d) {
    if (sizes[d] == -1) {
      require<ShapeError>(unknown < 0, "{}: {} has two unknown sizes; name all but one", op, sizes);
      unknown = d;
      result[d] = 1;
    } else {
      require<ShapeError>(sizes[d] >= 0, "{}: {} has a negative size; only one -1 is allowed", op,
                          sizes);
    }
  }
  known = result.numel();
  const std::int64_t numel = from.numel();
  if (unknown >= 0) {
    require<ShapeError>(
        known != 0, "{}: the size for -1 in {} is ambiguous with a size of 0; name it", op, sizes);
    require<ShapeError>(
        numel % known == 0,
        "{}: shape {} with {} elements does not divide into {}; choose sizes that do", op, from,
        numel, sizes);
    result[unknown] = numel / known;
    return result;
  }
  require<ShapeError>(known == numel,
                      "{}: shape {} has {} elements, {} has {}; give sizes of as many", op, from,
                      numel, sizes, known);
  return result;
}

namespace {

/// x as a To. What int64 cannot hold becomes the smallest number, as x86 has it.
template <class To, class From>
To converted(From x) {
  if constexpr (std::is_same_v<To, std::int64_t> && std::is_floating_point_v<From>) {
    const bool fits = x >= From(-0x1p63) && x < From(0x1p63);
    return fits ? static_cast<To>(x) : std::numeric_limits<To>::min();
  } else {
    return static_cast<To>(x);
  }
}

}  // namespace

void copy_elements(const Tensor& target, const Tensor& source) {
  visit(target.dtype(), [&]<class To>() {
    visit(source.dtype(), [&]<class From>() {
      kernels::map<To, From>([](From x) { return converted<To>(x); }, target, source);
    });
  });
}

Tensor contiguous_copy(const Tensor& x) {
  Tensor copy = empty(x.sizes(), x.dtype());
  copy_elements(copy, x);
  return copy;
}

}  // namespace retrace
