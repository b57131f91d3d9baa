#pragma once

// Steps of programs on tensors: what computes new numbers.

#include <retrace/tests/fuzz/program.h>

namespace retrace::fuzz {

// Arithmetic of the library: whole numbers modulo 2^64; of truth values it has none.
struct Plus {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_same_v<T, std::int64_t>)
      return static_cast<T>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
    if constexpr (!std::is_same_v<T, bool>) return static_cast<T>(a + b);
    return a;
  }
};
struct Minus {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_same_v<T, std::int64_t>)
      return static_cast<T>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
    if constexpr (!std::is_same_v<T, bool>) return static_cast<T>(a - b);
    return a;
  }
};
struct Times {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_same_v<T, std::int64_t>)
      return static_cast<T>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
    if constexpr (!std::is_same_v<T, bool>) return static_cast<T>(a * b);
    return a;
  }
};
struct Over {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_same_v<T, std::int64_t>)
      return b == -1 ? Minus()(T{0}, a) : b == 0 ? T{0} : a / b;  // by 0 is refused
    if constexpr (!std::is_same_v<T, bool>) return static_cast<T>(a / b);
    return a;
  }
};
struct Opposite {
  template <class T>
  T operator()(T a, T) const {
    if constexpr (std::is_floating_point_v<T>) return -a;  // of 0 it is -0
    return Minus()(T{0}, a);
  }
};
struct Magnitude {
  template <class T>
  T operator()(T a, T) const {
    if constexpr (std::is_floating_point_v<T>) return std::abs(a);  // of -0, too
    if constexpr (std::is_same_v<T, std::int64_t>) return a < 0 ? Minus()(T{0}, a) : a;
    return a;
  }
};

inline void join(Program& p, const Entry& a, const Entry& b) {
  const std::int64_t dim = p.dim_of(a.tensor);
  const auto is_nothing = [](const Entry& e) { return e.slow.sizes == Shape{0}; };
  // [0] joins whatever there is.
  const Shape first = is_nothing(a) ? b.slow.sizes : a.slow.sizes;
  const int rank = first.size();
  const bool has_dim = rank > 0 && is_dim(dim, rank);
  const int d = has_dim ? wrapped(dim, rank) : 0;
  bool fits = has_dim && a.slow.dtype == b.slow.dtype;
  Shape shape = first;
  if (fits && !is_nothing(a) && !is_nothing(b)) {
    fits = b.slow.sizes.size() == rank;
    for (int i = 0; fits && i < rank; ++i) fits = i == d || b.slow.sizes[i] == first[i];
    // A sum that does not fit 63 bits is one that no size can be.
    if (fits && __builtin_add_overflow(first[d], b.slow.sizes[d], &shape[d])) fits = false;
  }
  p.produce(
      right_if(fits, shape),
      [&] {
        return cat({a.tensor, b.tensor}, dim);
      },
      [&] {
        if (is_nothing(a) || is_nothing(b)) return (is_nothing(a) ? b : a).slow.copy();
        std::vector<Number> values;
        for_each_index(shape, [&](Index i) {
          const bool in_first = i[d] < first[d];
          if (!in_first) i[d] -= first[d];
          values.push_back((in_first ? a : b).slow.at(i));
        });
        return SlowTensor::of(a.slow.dtype, shape, std::move(values));
      });
}

// Products of two matrices, the second seen transposed.
inline void multiply(Program& p, const Entry& a, const Entry& b) {
  if (a.tensor.dim() != 2 || b.tensor.dim() != 2) return;
  const DType dtype = a.slow.dtype;
  const Shape shape = {a.slow.sizes[0], b.slow.sizes[0]};
  const bool fits = dtype == b.slow.dtype && dtype != kBool && a.slow.sizes[1] == b.slow.sizes[1];
  const auto slow = [&] {
    std::vector<Number> values, scale;
    for_each_index(shape, [&](const Index& i) {
      Number sum = 0, size = 0;
      std::uint64_t whole = 0;
      for (std::int64_t k = 0; k < a.slow.sizes[1]; ++k) {
        const Number x = a.slow.at({i[0], k}), y = b.slow.at({i[1], k});
        sum += x * y;
        size += std::fabs(x * y);
        if (dtype == kInt64)
          whole += static_cast<std::uint64_t>(static_cast<std::int64_t>(x)) *
                   static_cast<std::uint64_t>(static_cast<std::int64_t>(y));
      }
      values.push_back(dtype == kInt64 ? static_cast<std::int64_t>(whole) : sum);
      scale.push_back(dtype == kInt64 ? 0 : size);
    });
    return std::pair(SlowTensor::of(dtype, shape, values), scale);
  };
  const Verdict verdict = within_reason(right_if(fits, shape), a.slow.sizes);
  p.produce_close(
      verdict, [&] { return a.tensor.matmul(b.tensor.t()); }, slow);
}

/// The sizes without that of a dim, if it is one.
inline Shape without(Shape sizes, std::int64_t dim) {
  const int rank = sizes.size();
  if (rank > 0 && is_dim(dim, rank)) sizes.erase(wrapped(dim, rank));
  return sizes;
}

inline void sum_up(Program& p, const Entry& a) {
  const int rank = a.tensor.dim();
  const std::int64_t dim = p.dim_of(a.tensor);
  const bool keepdim = p.in.below(2) == 0, of_floats = a.tensor.is_floating_point();
  if (rank == 0 || !is_affordable(without(a.slow.sizes, dim))) return;
  const DType result = of_floats ? a.tensor.dtype() : kInt64;
  const auto fold = [&](bool absolute) {
    return [&, absolute](const std::vector<Number>& row) {
      Number sum = 0;
      std::int64_t whole = 0;
      for (const Number each : row) {
        sum += absolute ? std::fabs(each) : each;
        if (!of_floats) whole = Plus()(whole, static_cast<std::int64_t>(each));
      }
      return of_floats ? sum : absolute ? Number{0} : static_cast<Number>(whole);
    };
  };
  p.produce_close(
      right_if(is_dim(dim, rank), a.slow.sizes), [&] { return a.tensor.sum(dim, keepdim); },
      [&] {
        const int d = wrapped(dim, rank);
        return std::pair(slow_reduce(result, a.slow, d, keepdim, fold(false)),
                         slow_reduce(result, a.slow, d, keepdim, fold(true)).values());
      });
}

inline void find_largest(Program& p, const Entry& a) {
  const int rank = a.tensor.dim();
  const std::int64_t dim = p.dim_of(a.tensor);
  const Shape outer = without(a.slow.sizes, dim);
  if (rank == 0 || !is_affordable(outer)) return;
  // Of no elements there is no largest, unless nobody asks for it.
  const bool fits = is_dim(dim, rank) && (a.slow.sizes[wrapped(dim, rank)] > 0 ||
                                          std::find(outer.begin(), outer.end(), 0) != outer.end());
  p.produce(
      right_if(fits, a.slow.sizes), [&] { return a.tensor.argmax(dim); },
      [&] {
        return slow_reduce(
            kInt64, a.slow, wrapped(dim, rank), false, [](const std::vector<Number>& row) {
              std::size_t best = 0;
              for (std::size_t i = 0; i < row.size(); ++i)
                if (row[i] > row[best] || (std::isnan(row[i]) && !std::isnan(row[best]))) best = i;
              return static_cast<Number>(best);
            });
      });
}

inline void compute(Program& p) {
  const Entry a = p.any(), b = p.any();
  const Tensor &x = a.tensor, &y = b.tensor;
  const bool alike = x.dtype() == y.dtype() && broadcast(a.slow.sizes, b.slow.sizes);
  const Shape shape = alike ? joint_sizes(a.slow.sizes, b.slow.sizes) : Shape{};
  const bool are_numbers = alike && x.dtype() != kBool;
  const std::vector<Number> divisors = b.slow.values();
  const bool by_zero =
      x.dtype() == kInt64 && std::find(divisors.begin(), divisors.end(), 0) != divisors.end();
  const auto map = [&](bool fits, auto call, auto f) {
    p.produce(right_if(fits, shape), call, [&] { return slow_map(x.dtype(), a.slow, b.slow, f); });
  };
  const auto compare = [&](auto call, auto f) {
    p.produce(right_if(alike, shape), call, [&] { return slow_map(kBool, a.slow, b.slow, f); });
  };
  const Verdict of_numbers = right_if(x.dtype() != kBool, a.slow.sizes);
  const Verdict of_any = within_reason(Verdict::right, a.slow.sizes);
  switch (p.in.below(14)) {
    case 0:
      return map(
          are_numbers, [&] { return x + y; }, Plus());
    case 1:
      return map(
          are_numbers, [&] { return x - y; }, Minus());
    case 2:
      return map(
          are_numbers, [&] { return x * y; }, Times());
    case 3:
      return map(
          are_numbers && !by_zero, [&] { return x / y; }, Over());
    case 4:
      return compare([&] { return x < y; }, [](auto u, auto v) { return u < v; });
    case 5:
      return compare([&] { return x == y; }, [](auto u, auto v) { return u == v; });
    case 6:
      return p.produce(
          of_numbers, [&] { return -x; },
          [&] { return slow_map(x.dtype(), a.slow, a.slow, Opposite()); });
    case 7:
      return p.produce(
          of_numbers, [&] { return x.abs(); },
          [&] { return slow_map(x.dtype(), a.slow, a.slow, Magnitude()); });
    case 8:
      return p.produce(
          of_any, [&] { return x.clone(); }, [&] { return a.slow.copy(); });
    case 9:
      return join(p, a, b);
    case 10:
      return multiply(p, a, b);
    case 11:
      return sum_up(p, a);
    case 12:
      return find_largest(p, a);
    default:
      return p.produce(
          Verdict::right, [&] { return x.detach(); }, [&] { return a.slow; });
  }
}

}  // namespace retrace::fuzz
