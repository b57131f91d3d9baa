#pragma once

// Steps of programs on tensors: views and indices.

#include <retrace/tests/fuzz/program.h>

namespace retrace::fuzz {

// Views -------------------------------------------------------------------------------------------

/// `wanted` with the size that -1 stands for, if so many elements can have these sizes.
inline std::optional<Shape> resolved(const Shape& wanted, std::int64_t numel) {
  Number known = 1;
  int open = -1;
  for (int d = 0; d < wanted.size(); ++d) {
    if (wanted[d] == -1 && open < 0) {
      open = d;
    } else if (wanted[d] < 0) {
      return {};
    } else {
      known *= static_cast<Number>(wanted[d]);
    }
  }
  Shape result = wanted;
  if (open >= 0) {
    if (known == 0 || std::fmod(static_cast<Number>(numel), known) != 0) return {};
    result[open] = static_cast<std::int64_t>(static_cast<Number>(numel) / known);
  } else if (known != static_cast<Number>(numel)) {
    return {};
  }
  return result;
}

/// Whether strides can be found for x's elements under other sizes: equal steps along each dim.
inline bool can_be_seen_as(const Tensor& x, const Shape& sizes) {
  const std::vector<std::int64_t> places = places_of(x);
  if (places.empty()) return true;
  const SlowTensor flat = {.sizes = sizes};
  Strides steps = sizes;
  for (int d = 0; d < sizes.size(); ++d) {
    Index second = Index::filled(sizes.size(), 0);
    second[d] = std::min<std::int64_t>(sizes[d] - 1, 1);
    steps[d] = places[flat.position(second)] - places[0];
  }
  bool even = true;
  for_each_index(sizes, [&](const Index& i) {
    std::int64_t place = places[0];
    for (int d = 0; d < sizes.size(); ++d) place += i[d] * steps[d];
    even = even && place == places[flat.position(i)];
  });
  return even;
}

inline void view_or_reshape(Program& p, const Entry& from) {
  const Tensor& x = from.tensor;
  const bool may_copy = p.in.below(2) == 0;
  const Shape wanted = p.in.below(4) == 0 ? Shape{-1} : p.sizes();
  const std::optional<Shape> shape = resolved(wanted, x.numel());
  const bool can_share = shape && can_be_seen_as(x, *shape);
  const Verdict verdict = right_if(shape && (may_copy || can_share), shape.value_or(Shape{}));
  const Tensor y =
      Program::small(verdict, [&] { return may_copy ? x.reshape(wanted) : x.view(wanted); });
  if (!y.defined()) return;
  const bool shares = y.get().storage == x.get().storage;
  expect(shares == can_share, "a view shares its numbers, and a copy is made where it must be");
  const SlowTensor seen = from.slow.resized(*shape);
  p.keep({y, shares ? seen : seen.copy(), shares ? from.leaf : 0});
}

inline SlowTensor sliced(const SlowTensor& x, int d, std::int64_t start, std::int64_t end,
                         std::int64_t step) {
  const std::int64_t size = x.sizes[d];
  const auto clipped = [size](std::int64_t i) {
    return std::clamp<std::int64_t>(i < 0 ? i + size : i, 0, size);
  };
  std::vector<std::int64_t> taken;
  for (std::int64_t i = clipped(start); i < clipped(end); i += std::min(step, size)) {
    taken.push_back(i);
    if (x.places.empty()) break;
  }
  Shape shape = x.sizes;
  shape[d] = std::ssize(taken);
  // Of a size that may be absurd no list is made.
  if (x.places.empty() && !taken.empty()) shape[d] = (clipped(end) - clipped(start) - 1) / step + 1;
  return x.seen_as(shape, [&](Index i) {
    i[d] = taken[static_cast<std::size_t>(i[d])];
    return i;
  });
}

inline SlowTensor diagonal_of(const SlowTensor& x, std::int64_t offset, int a, int b) {
  const std::int64_t rows = x.sizes[a], columns = x.sizes[b];
  std::int64_t length = 0;
  const auto down = static_cast<Number>(-std::min<Number>(offset, 0));
  const auto right = static_cast<Number>(std::max<Number>(offset, 0));
  if (down < rows && right < columns)
    length = static_cast<std::int64_t>(std::min(rows - down, columns - right));
  Shape shape;
  for (int d = 0; d < x.sizes.size(); ++d)
    if (d != a && d != b) shape.push_back(x.sizes[d]);
  shape.push_back(length);
  return x.seen_as(shape, [&](const Index& i) {
    Index old = x.sizes;
    int next = 0;
    for (int d = 0; d < old.size(); ++d)
      if (d != a && d != b) old[d] = i[next++];
    old[a] = i.back() + static_cast<std::int64_t>(down);
    old[b] = i.back() + static_cast<std::int64_t>(right);
    return old;
  });
}

/// The sizes that expand(wanted) gives, if it can.
inline std::optional<Shape> expanded_sizes(const Shape& sizes, const Shape& wanted) {
  const int lead = wanted.size() - sizes.size();
  if (lead < 0) return {};
  Shape result = wanted;
  for (int d = 0; d < wanted.size(); ++d) {
    const std::int64_t old = d < lead ? 1 : sizes[d - lead];
    if (d >= lead && wanted[d] == -1) result[d] = old;
    if (result[d] < 0 || (old != 1 && old != result[d])) return {};
  }
  return result;
}

inline void view(Program& p) {
  const Entry from = p.any();
  const Tensor& x = from.tensor;
  const SlowTensor& slow = from.slow;
  const int rank = x.dim();
  const auto keep_view = [&](Verdict verdict, auto call, auto seen) {
    p.produce(verdict, call, seen, from.leaf);
  };
  switch (p.in.below(12)) {
    case 0:
    case 1:
      return view_or_reshape(p, from);
    case 2: {
      const std::int64_t a = p.dim_of(x), b = p.dim_of(x);
      return keep_view(
          right_if(is_dim(a, rank) && is_dim(b, rank), slow.sizes),
          [&] { return x.transpose(a, b); },
          [&] {
            const int first = wrapped(a, rank), second = wrapped(b, rank);
            const auto exchanged = [&](Index i) {
              if (rank > 0) std::swap(i[first], i[second]);
              return i;
            };
            return slow.seen_as(exchanged(slow.sizes), exchanged);
          });
    }
    case 3: {
      Shape dims;
      bool once[kMaxDims] = {}, fits = true;
      for (int d = 0; d < rank; ++d) {
        dims.push_back(p.dim_of(x));
        fits = fits && is_dim(dims[d], rank) && !std::exchange(once[wrapped(dims[d], rank)], true);
      }
      return keep_view(
          right_if(fits, slow.sizes), [&] { return x.permute(dims); },
          [&] {
            Shape shape = slow.sizes;
            for (int d = 0; d < rank; ++d) shape[d] = slow.sizes[wrapped(dims[d], rank)];
            return slow.seen_as(shape, [&](const Index& i) {
              Index old = i;
              for (int d = 0; d < rank; ++d) old[wrapped(dims[d], rank)] = i[d];
              return old;
            });
          });
    }
    case 4: {
      const std::int64_t dim = p.dim_of(x), at = p.in.whole();
      const bool has_dim = rank > 0 && is_dim(dim, rank);
      const std::int64_t size = has_dim ? slow.sizes[wrapped(dim, rank)] : 0;
      return keep_view(
          right_if(has_dim && at >= -size && at < size, slow.sizes),
          [&] { return x.select(dim, at); },
          [&] {
            const int d = wrapped(dim, rank);
            Shape shape = slow.sizes;
            shape.erase(d);
            return slow.seen_as(shape, [&](Index i) {
              i.insert(d, at < 0 ? at + slow.sizes[d] : at);
              return i;
            });
          });
    }
    case 5: {
      const std::int64_t dim = p.dim_of(x), start = p.in.whole(), end = p.in.whole();
      const std::int64_t step = p.in.whole();
      return keep_view(
          right_if(rank > 0 && is_dim(dim, rank) && step > 0, slow.sizes),
          [&] { return x.slice(dim, start, end, step); },
          [&] { return sliced(slow, wrapped(dim, rank), start, end, step); });
    }
    case 6: {
      const std::int64_t dim = p.dim_of(x), start = p.in.whole(), length = p.in.whole();
      const bool has_dim = rank > 0 && is_dim(dim, rank);
      const std::int64_t size = has_dim ? slow.sizes[wrapped(dim, rank)] : 0;
      const std::int64_t first = start < 0 ? start + size : start;
      const bool fits = first >= 0 && first <= size && length >= 0 && length <= size - first;
      return keep_view(
          right_if(has_dim && fits, slow.sizes), [&] { return x.narrow(dim, start, length); },
          [&] { return sliced(slow, wrapped(dim, rank), first, first + length, 1); });
    }
    case 7: {
      const Shape wanted = p.sizes();
      const std::optional<Shape> shape = expanded_sizes(slow.sizes, wanted);
      return keep_view(
          right_if(shape.has_value(), shape.value_or(Shape{})), [&] { return x.expand(wanted); },
          [&] { return slow.repeated(*shape); });
    }
    case 8: {
      const std::int64_t dim = p.in.whole();
      return keep_view(
          right_if(is_dim(dim, rank + 1) && rank < kMaxDims, slow.sizes),
          [&] { return x.unsqueeze(dim); },
          [&] {
            Shape shape = slow.sizes;
            shape.insert(wrapped(dim, rank + 1), 1);
            return slow.resized(shape);
          });
    }
    case 9: {
      const std::int64_t dim = p.dim_of(x);
      return keep_view(
          right_if(is_dim(dim, rank), slow.sizes), [&] { return x.squeeze(dim); },
          [&] {
            Shape shape = slow.sizes;
            const int d = wrapped(dim, rank);
            if (rank > 0 && shape[d] == 1) shape.erase(d);
            return slow.resized(shape);
          });
    }
    case 10: {
      const std::int64_t offset = p.in.whole(), a = p.dim_of(x), b = p.dim_of(x);
      const bool two =
          rank >= 2 && is_dim(a, rank) && is_dim(b, rank) && wrapped(a, rank) != wrapped(b, rank);
      return keep_view(
          right_if(two, slow.sizes), [&] { return x.diagonal(offset, a, b); },
          [&] { return diagonal_of(slow, offset, wrapped(a, rank), wrapped(b, rank)); });
    }
    default: {
      const std::int64_t dim = p.dim_of(x), size = p.in.whole(), step = p.in.whole();
      const bool has_dim = rank > 0 && is_dim(dim, rank) && rank < kMaxDims;
      const int d = has_dim ? wrapped(dim, rank) : 0;
      const bool fits = has_dim && size >= 0 && size <= slow.sizes[d] && step > 0;
      Shape shape = slow.sizes;
      if (fits) {
        shape[d] = (shape[d] - size) / step;
        if (shape[d] < kLargest) ++shape[d];  // or there are too many
        shape.push_back(size);
      }
      return keep_view(
          right_if(fits, shape), [&] { return x.unfold(dim, size, step); },
          [&] {
            return slow.seen_as(shape, [&](Index i) {
              i[d] = i[d] * step + i.back();
              i.erase(rank);
              return i;
            });
          });
    }
  }
}

// Indices -----------------------------------------------------------------------------------------

/// Whether all numbers are indices of a dim of a tensor, which has one place if it is 0-d.
inline bool are_indices(const SlowTensor& index, const SlowTensor& of, int d) {
  const std::int64_t size = of.sizes.empty() ? 1 : of.sizes[d];
  for (const Number k : index.values())
    if (k < 0 || k >= static_cast<Number>(size)) return false;
  return index.dtype == kInt64;
}

/// Whether index has x's dims, and is no larger in others than `d`.
inline bool indexes(const SlowTensor& index, const SlowTensor& x, int d) {
  if (index.sizes.size() != x.sizes.size()) return false;
  for (int other = 0; other < x.sizes.size(); ++other)
    if (other != d && index.sizes[other] > x.sizes[other]) return false;
  return are_indices(index, x, d);
}

inline void index(Program& p) {
  const Entry from = p.any(), by = p.any();
  const Tensor& x = from.tensor;
  const SlowTensor& slow = from.slow;
  const std::int64_t dim = p.dim_of(x);
  const bool has_dim = is_dim(dim, x.dim());
  const int d = has_dim ? wrapped(dim, x.dim()) : 0;
  switch (p.in.below(3)) {
    case 0: {
      const auto count = std::ssize(by.slow.places);
      Shape shape = slow.sizes;
      if (x.dim() > 0) shape[d] = count;
      const bool fits = has_dim && by.slow.sizes.size() <= 1 && (x.dim() > 0 || count == 1) &&
                        are_indices(by.slow, slow, d);
      return p.produce(
          right_if(fits, shape), [&] { return x.index_select(dim, by.tensor); },
          [&] {
            return slow
                .seen_as(shape,
                         [&](Index i) {
                           if (x.dim() == 0) return i;
                           const auto k = static_cast<std::size_t>(i[d]);
                           i[d] = static_cast<std::int64_t>(by.slow[k]);
                           return i;
                         })
                .copy();
          });
    }
    case 1:
      return p.produce(
          right_if(has_dim && indexes(by.slow, slow, d), by.slow.sizes),
          [&] { return x.gather(dim, by.tensor); },
          [&] {
            return slow
                .seen_as(by.slow.sizes,
                         [&](Index i) {
                           const Number k = by.slow.at(i);
                           if (x.dim() > 0) i[d] = static_cast<std::int64_t>(k);
                           return i;
                         })
                .copy();
          });
    default: {
      const bool fits = by.slow.dtype == kBool && broadcast(slow.sizes, by.slow.sizes);
      const Shape shape = fits ? joint_sizes(slow.sizes, by.slow.sizes) : Shape{};
      return p.produce(
          right_if(fits, shape), [&] { return masked_select(x, by.tensor); },
          [&] {
            const SlowTensor all = slow.repeated(shape), mask = by.slow.repeated(shape);
            std::vector<Number> taken;
            for (std::size_t i = 0; i < all.places.size(); ++i)
              if (mask[i] != 0) taken.push_back(all[i]);
            const Shape length = {std::ssize(taken)};
            return SlowTensor::of(slow.dtype, length, taken);
          });
    }
  }
}

}  // namespace retrace::fuzz
