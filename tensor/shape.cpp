#include <retrace/tensor/check.h>
#include <retrace/tensor/shape.h>

#include <ostream>

namespace retrace {

void refuse_dtype(std::string_view op, DType dtype, std::string_view needed) {
  fail<DTypeError>("{}: needs {}, got {}; convert with .to(dtype)", op, needed, dtype);
}

void Shape::assign(const std::int64_t* values, std::size_t count) {
  require<ShapeError>(count <= kMaxDims, "shape: {} dims, a tensor has at most {}; merge some",
                      count, kMaxDims);
  std::copy_n(values, count, values_);
  size_ = static_cast<int>(count);
}

Shape Shape::filled(int count, std::int64_t value) {
  return Shape(std::vector<std::int64_t>(static_cast<std::size_t>(count), value));
}

void Shape::push_back(std::int64_t value) { insert(size_, value); }

void Shape::insert(int position, std::int64_t value) {
  require<ShapeError>(size_ < kMaxDims,
                      "shape: {} has {} dims already, a tensor has at most {}; merge some", *this,
                      size_, kMaxDims);
  std::copy_backward(values_ + position, values_ + size_, values_ + size_ + 1);
  values_[position] = value;
  ++size_;
}

void Shape::erase(int position) {
  std::copy(values_ + position + 1, values_ + size_, values_ + position);
  values_[--size_] = 0;
}

std::int64_t Shape::numel() const {
  std::int64_t product = 1, nonzero = 1;
  for (std::int64_t size : *this) {
    require<ShapeError>(size >= 0, "shape: {} has a negative size; give sizes of 0 or more", *this);
    // Strides multiply the sizes around a 0 as well, so those must not overflow either.
    require<ShapeError>(
        !__builtin_mul_overflow(nonzero, std::max<std::int64_t>(size, 1), &nonzero),
        "shape: the number of elements of {} does not fit 63 bits; use smaller sizes", *this);
    product *= size;
  }
  return product;
}

std::string Shape::str() const { return fmt::format("[{}]", fmt::join(begin(), end(), ", ")); }

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << shape.str(); }

Strides contiguous_strides(const Shape& sizes) {
  Strides strides = sizes;
  std::int64_t step = 1;
  for (int i = sizes.size() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= std::max<std::int64_t>(sizes[i], 1);
  }
  return strides;
}

bool is_contiguous(const Shape& sizes, const Strides& strides) {
  std::int64_t step = 1;
  for (int i = sizes.size() - 1; i >= 0; --i) {
    if (sizes[i] == 0) return true;
    if (sizes[i] == 1) continue;
    if (strides[i] != step) return false;
    step *= sizes[i];
  }
  return true;
}

Shape broadcast_shapes(std::string_view op, const Shape& a, const Shape& b) {
  if (a == b) return a;
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape result = longer;
  for (int i = 1; i <= shorter.size(); ++i) {
    const int axis = longer.size() - i;
    const std::int64_t x = longer[axis], y = shorter[shorter.size() - i];
    require<ShapeError>(x == y || x == 1 || y == 1,
                        "{}: cannot broadcast {} with {} (axis {}: {} vs {}); make sizes equal or "
                        "1, counted from the last",
                        op, a, b, axis, a.size() >= b.size() ? x : y, a.size() >= b.size() ? y : x);
    if (x == 1) result[axis] = y;
  }
  return result;
}

int wrap_dim(std::string_view op, std::int64_t dim, const Shape& sizes) {
  const int rank = std::max(sizes.size(), 1);
  require<IndexError>(dim >= -rank && dim < rank,
                      "{}: dim {} is out of range for shape {}; give one in [{}, {}]", op, dim,
                      sizes, -rank, rank - 1);
  return static_cast<int>(dim < 0 ? dim + rank : dim);
}

}  // namespace retrace
