// Programs on tensors, decoded from bytes: create, view, index, compute, change in place, go back.
// Every call gives what a slow tensor gives, whatever shares memory with what, or an Error that
// changes nothing; and a program that runs again gives the same bits.

#include <cmath>
#include <limits>
#include <utility>

#include <retrace/autograd/autograd.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/fuzz/slow_tensor.h>
#include <retrace/tests/fuzz/target.h>

using namespace retrace;
using fuzz::expect;
using fuzz::Index;
using fuzz::Number;
using fuzz::SlowTensor;

namespace {

constexpr std::int64_t kMostElements = 256;  // of a tensor that is kept
constexpr std::size_t kMostTensors = 6;
constexpr int kMostSteps = 48;
constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kSmallest = std::numeric_limits<std::int64_t>::min();

class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : rest_(fuzz::text_of(data, size)) {}
  bool at_end() const { return rest_.empty(); }
  unsigned next() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  unsigned below(unsigned n) { return next() % n; }
  /// A small number of either sign, seldom an absurd one.
  std::int64_t whole() {
    constexpr std::int64_t absurd[] = {std::int64_t{1} << 62, kLargest, kSmallest, -kLargest};
    const unsigned byte = next();
    return byte >= 252 ? absurd[byte - 252] : static_cast<std::int64_t>(byte % 13) - 6;
  }

 private:
  std::string_view rest_;
};

struct Entry {
  Tensor tensor;
  SlowTensor slow;
  int leaf = 0;  // the number of the leaf that it is, or is a view of
};

bool same_number(Number a, Number b) { return a == b || (std::isnan(a) && std::isnan(b)); }

std::vector<Number> numbers_of(const Tensor& x) {
  std::vector<Number> result;
  visit(x.dtype(), [&]<class T>() {
    for (const T value : x.detach().to_vector<T>()) result.push_back(static_cast<Number>(value));
  });
  return result;
}

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

struct Magnitude {
  template <class T>
  T operator()(T a, T) const {
    if constexpr (std::is_floating_point_v<T>) return std::abs(a);  // of -0, too
    if constexpr (std::is_same_v<T, std::int64_t>) return a < 0 ? Minus()(T{0}, a) : a;
    return a;
  }
};

class Program {
 public:
  Program(const std::uint8_t* data, std::size_t size) : in_(data, size) {}

  /// A sum over the bits of all results.
  std::uint64_t run() {
    for (int step = 0; step < kMostSteps && !in_.at_end(); ++step) {
      const unsigned kind = entries_.empty() ? 0 : in_.below(16);
      if (kind < 2) create();
      if (kind >= 2 && kind < 7) view();
      if (kind == 7 || kind == 8) index();
      if (kind >= 9 && kind < 12) compute();
      if (kind == 12 || kind == 13) change();
      if (kind >= 14) go_back();
      for (const Entry& entry : entries_) check(entry);
    }
    return digest_;
  }

 private:
  // Arguments -----------------------------------------------------------------------------------

  Entry& any() { return entries_[in_.below(static_cast<unsigned>(entries_.size()))]; }
  std::int64_t dim_of(const Tensor& x) {
    const unsigned byte = in_.next();
    if (byte >= 250 || x.dim() == 0) return in_.whole();
    return static_cast<std::int64_t>(byte % (2 * static_cast<unsigned>(x.dim()))) - x.dim();
  }
  static int wrapped(std::int64_t dim, int rank) {
    return static_cast<int>(dim < 0 ? dim + std::max(rank, 1) : dim);
  }
  Shape sizes() {
    Shape result;
    for (unsigned rank = in_.below(5); rank > 0; --rank) {
      const unsigned byte = in_.next();
      result.push_back(byte >= 250 ? in_.whole() : byte % 5);
    }
    return result;
  }
  DType dtype() {
    constexpr DType all[] = {kFloat32, kFloat64, kInt64, kBool};
    return all[in_.below(4)];
  }
  Number number(DType dtype) {
    constexpr Number wholes[] = {kLargest, kSmallest, 1 << 20, -1};
    constexpr Number fractions[] = {std::numeric_limits<Number>::infinity(), -0.0L, 1e30L, 0.25L};
    const unsigned byte = in_.next();
    if (dtype == kBool) return byte & 1;
    const Number usual = static_cast<Number>(byte % 9) - 4;
    if (dtype == kInt64) return byte >= 248 ? wholes[byte % 4] : usual;
    const Number fraction = byte >= 248 ? fractions[byte % 4] : usual / 2;
    return dtype == kFloat32 ? static_cast<float>(fraction) : static_cast<double>(fraction);
  }
  Scalar scalar(DType dtype, Number value) {
    if (dtype == kInt64 || dtype == kBool) return static_cast<std::int64_t>(value);
    return static_cast<double>(value);
  }

  // Results -------------------------------------------------------------------------------------

  void check(const Entry& entry) const {
    const std::vector<Number> numbers = numbers_of(entry.tensor);
    expect(entry.tensor.sizes() == entry.slow.sizes, "the sizes are {}, not {}",
           entry.slow.sizes.str(), entry.tensor.sizes().str());
    expect(entry.tensor.dtype() == entry.slow.dtype, "the dtype is right");
    expect(numbers.size() == entry.slow.places.size(), "the number of elements is right");
    for (std::size_t i = 0; i < numbers.size(); ++i)
      expect(same_number(numbers[i], entry.slow[i]), "element {} is {}, not {}", i, entry.slow[i],
             numbers[i]);
  }

  void keep(Entry entry) {
    check(entry);
    const Tensor dense = entry.tensor.detach().contiguous();
    const auto bytes = static_cast<std::size_t>(dense.numel() * size_of(dense.dtype()));
    for (std::size_t i = 0; i < bytes; ++i)
      digest_ = (digest_ ^ std::to_integer<std::uint64_t>(dense.get().data[i])) * 0x100000001b3;
    if (entries_.size() < kMostTensors) return entries_.push_back(std::move(entry));
    entries_[in_.below(kMostTensors)] = std::move(entry);
  }

  /// What real() gives or refuses. What is too large to be looked at is dropped.
  template <class Real>
  static Tensor attempt(Real&& real) {
    try {
      Tensor result = real();
      return result.numel() <= kMostElements ? result : Tensor();
    } catch (const Error& error) {
      expect(*error.what() != '\0', "an error says what is wrong");
      return {};
    }
  }
  /// Keeps the result with what slow() gives.
  template <class Real, class Slow>
  void produce(Real&& real, Slow&& slow, int leaf = 0) {
    if (Tensor result = attempt(real); result.defined()) keep({result, slow(), leaf});
  }
  /// The same for what is rounded: as close as the numbers that it is made of, `scale`, allow.
  template <class Real, class Slow>
  void produce_close(Real&& real, Slow&& slow) {
    const Tensor result = attempt(real);
    if (!result.defined()) return;
    const auto [expected, scale] = slow();
    const std::vector<Number> numbers = numbers_of(result);
    const Number precision = result.dtype() == kFloat64 ? 1e-12L : 1e-5L;
    const Number largest = result.dtype() == kFloat64 ? 1e290L : 1e30L;
    expect(result.sizes() == expected.sizes && numbers.size() == scale.size(), "the sizes agree");
    for (std::size_t i = 0; i < numbers.size(); ++i)
      expect(!(scale[i] < largest) ||
                 std::fabs(numbers[i] - expected[i]) <= precision * scale[i] + 1e-30L,
             "element {} is about {}, not {}", i, expected[i], numbers[i]);
    keep({result, SlowTensor::of(result.dtype(), result.sizes(), numbers)});
  }

  // Steps ---------------------------------------------------------------------------------------

  void create() {
    const Shape shape = sizes();
    const DType type = dtype();
    const Tensor x = attempt([&] { return zeros(shape, type); });
    if (!x.defined()) return;
    std::vector<Number> values;
    visit(type, [&]<class T>() {
      for (std::int64_t i = 0; i < x.numel(); ++i) {
        values.push_back(number(type));
        x.data_ptr<T>()[i] = static_cast<T>(values.back());
      }
    });
    keep({x, SlowTensor::of(type, shape, values)});
  }

  void view() {
    const Entry from = any();
    const Tensor& x = from.tensor;
    const SlowTensor& slow = from.slow;
    const int rank = x.dim();
    switch (in_.below(12)) {
      case 0:
      case 1: {
        const bool may_copy = in_.below(2) == 0;
        const Shape shape = in_.below(4) == 0 ? Shape{-1} : sizes();
        const Tensor y = attempt([&] { return may_copy ? x.reshape(shape) : x.view(shape); });
        if (!y.defined()) return;
        const bool shares = y.get().storage == x.get().storage;
        expect(shares || may_copy, "a view shares its numbers");
        const SlowTensor seen = slow.resized(y.sizes());
        if (shape.size() == y.dim())
          for (int d = 0; d < y.dim(); ++d)
            expect(shape[d] == -1 || shape[d] == y.size(d), "the sizes are those asked for");
        return keep({y, shares ? seen : seen.copy(), shares ? from.leaf : 0});
      }
      case 2: {
        const std::int64_t a = dim_of(x), b = dim_of(x);
        return produce([&] { return x.transpose(a, b); },
                       [&] {
                         const int p = wrapped(a, rank), q = wrapped(b, rank);
                         const auto exchanged = [&](Index i) {
                           if (rank > 0) std::swap(i[p], i[q]);
                           return i;
                         };
                         return slow.seen_as(exchanged(slow.sizes), exchanged);
                       },
                       from.leaf);
      }
      case 3: {
        Shape dims;
        for (int d = 0; d < rank; ++d) dims.push_back(dim_of(x));
        return produce([&] { return x.permute(dims); },
                       [&] {
                         Shape shape = slow.sizes;
                         for (int d = 0; d < rank; ++d)
                           shape[d] = slow.sizes[wrapped(dims[d], rank)];
                         return slow.seen_as(shape, [&](const Index& i) {
                           Index old = i;
                           for (int d = 0; d < rank; ++d) old[wrapped(dims[d], rank)] = i[d];
                           return old;
                         });
                       },
                       from.leaf);
      }
      case 4: {
        const std::int64_t dim = dim_of(x), at = in_.whole();
        return produce([&] { return x.select(dim, at); },
                       [&] {
                         const int d = wrapped(dim, rank);
                         Shape shape = slow.sizes;
                         shape.erase(d);
                         return slow.seen_as(shape, [&](Index i) {
                           i.insert(d, at < 0 ? at + slow.sizes[d] : at);
                           return i;
                         });
                       },
                       from.leaf);
      }
      case 5: {
        const std::int64_t dim = dim_of(x), start = in_.whole(), end = in_.whole();
        const std::int64_t step = in_.whole();
        return produce([&] { return x.slice(dim, start, end, step); },
                       [&] { return sliced(slow, wrapped(dim, rank), start, end, step); },
                       from.leaf);
      }
      case 6: {
        const std::int64_t dim = dim_of(x), start = in_.whole(), length = in_.whole();
        return produce([&] { return x.narrow(dim, start, length); },
                       [&] {
                         const int d = wrapped(dim, rank);
                         const std::int64_t first = start < 0 ? start + slow.sizes[d] : start;
                         return sliced(slow, d, first, first + length, 1);
                       },
                       from.leaf);
      }
      case 7: {
        const Shape shape = sizes();
        return produce([&] { return x.expand(shape); },
                       [&] {
                         Shape wanted = shape;
                         for (int d = 0; d < rank; ++d)
                           if (wanted[d + shape.size() - rank] == -1)
                             wanted[d + shape.size() - rank] = slow.sizes[d];
                         return slow.repeated(wanted);
                       },
                       from.leaf);
      }
      case 8: {
        const std::int64_t dim = in_.whole();
        return produce([&] { return x.unsqueeze(dim); },
                       [&] {
                         Shape shape = slow.sizes;
                         shape.insert(wrapped(dim, rank + 1), 1);
                         return slow.resized(shape);
                       },
                       from.leaf);
      }
      case 9: {
        const std::int64_t dim = dim_of(x);
        return produce([&] { return x.squeeze(dim); },
                       [&] {
                         Shape shape = slow.sizes;
                         const int d = wrapped(dim, rank);
                         if (rank > 0 && shape[d] == 1) shape.erase(d);
                         return slow.resized(shape);
                       },
                       from.leaf);
      }
      case 10: {
        const std::int64_t offset = in_.whole(), a = dim_of(x), b = dim_of(x);
        return produce(
            [&] { return x.diagonal(offset, a, b); },
            [&] { return diagonal_of(slow, offset, wrapped(a, rank), wrapped(b, rank)); },
            from.leaf);
      }
      default: {
        const std::int64_t dim = dim_of(x), size = in_.whole(), step = in_.whole();
        return produce([&] { return x.unfold(dim, size, step); },
                       [&] {
                         const int d = wrapped(dim, rank);
                         Shape shape = slow.sizes;
                         shape[d] = (shape[d] - size) / step + 1;
                         shape.push_back(size);
                         return slow.seen_as(shape, [&](Index i) {
                           i[d] = i[d] * step + i.back();
                           i.erase(rank);
                           return i;
                         });
                       },
                       from.leaf);
      }
    }
  }

  static SlowTensor sliced(const SlowTensor& x, int d, std::int64_t start, std::int64_t end,
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
    if (x.places.empty() && !taken.empty())
      shape[d] = (clipped(end) - clipped(start) - 1) / step + 1;
    return x.seen_as(shape, [&](Index i) {
      i[d] = taken[static_cast<std::size_t>(i[d])];
      return i;
    });
  }

  static SlowTensor diagonal_of(const SlowTensor& x, std::int64_t offset, int a, int b) {
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

  void index() {
    const Entry from = any(), by = any();
    const Tensor& x = from.tensor;
    const SlowTensor& slow = from.slow;
    const std::int64_t dim = dim_of(x);
    const int d = wrapped(dim, x.dim());
    switch (in_.below(3)) {
      case 0:
        return produce([&] { return x.index_select(dim, by.tensor); },
                       [&] {
                         if (x.dim() == 0) return slow.copy();
                         Shape shape = slow.sizes;
                         shape[d] = std::ssize(by.slow.places);
                         return slow
                             .seen_as(shape,
                                      [&](Index i) {
                                        const auto k = static_cast<std::size_t>(i[d]);
                                        i[d] = static_cast<std::int64_t>(by.slow[k]);
                                        return i;
                                      })
                             .copy();
                       });
      case 1:
        return produce([&] { return x.gather(dim, by.tensor); },
                       [&] {
                         return slow
                             .seen_as(by.slow.sizes,
                                      [&](Index i) {
                                        const Number k = by.slow.at(i);
                                        if (x.dim() > 0) i[d] = static_cast<std::int64_t>(k);
                                        return x.dim() > 0 ? i : Index{};
                                      })
                             .copy();
                       });
      default:
        return produce([&] { return masked_select(x, by.tensor); },
                       [&] {
                         const Shape shape = fuzz::joint_sizes(slow.sizes, by.slow.sizes);
                         const SlowTensor all = slow.repeated(shape),
                                          mask = by.slow.repeated(shape);
                         std::vector<Number> taken;
                         for (std::size_t i = 0; i < all.places.size(); ++i)
                           if (mask[i] != 0) taken.push_back(all[i]);
                         const Shape length = {std::ssize(taken)};
                         return SlowTensor::of(slow.dtype, length, taken);
                       });
    }
  }

  void compute() {
    const Entry a = any(), b = any();
    const Tensor &x = a.tensor, &y = b.tensor;
    const auto map = [&](auto real, auto f) {
      produce(real, [&] { return fuzz::slow_map(x.dtype(), a.slow, b.slow, f); });
    };
    const auto compare = [&](auto real, auto f) {
      produce(real, [&] { return fuzz::slow_map(kBool, a.slow, b.slow, f); });
    };
    switch (in_.below(14)) {
      case 0:
        return map([&] { return x + y; }, Plus());
      case 1:
        return map([&] { return x - y; }, Minus());
      case 2:
        return map([&] { return x * y; }, Times());
      case 3:
        return map([&] { return x / y; }, Over());
      case 4:
        return compare([&] { return x < y; }, [](auto p, auto q) { return p < q; });
      case 5:
        return compare([&] { return x == y; }, [](auto p, auto q) { return p == q; });
      case 6:
        return produce([&] { return -x; },
                       [&] {
                         const SlowTensor zero = SlowTensor::of(x.dtype(), {}, {0});
                         return fuzz::slow_map(x.dtype(), zero, a.slow, Minus());
                       });
      case 7:
        return produce([&] { return x.abs(); },
                       [&] { return fuzz::slow_map(x.dtype(), a.slow, a.slow, Magnitude()); });
      case 8:
        return produce([&] { return x.clone(); }, [&] { return a.slow.copy(); });
      case 9:
        return join(a, b);
      case 10:
        return multiply(a, b);
      case 11:
        return sum_up(a);
      case 12:
        return find_largest(a);
      default:
        return produce([&] { return x.detach(); }, [&] { return a.slow; });
    }
  }

  void join(const Entry& a, const Entry& b) {
    const std::int64_t dim = dim_of(a.tensor);
    const auto is_nothing = [](const Entry& e) { return e.slow.sizes == Shape{0}; };
    produce(
        [&] {
          return cat({a.tensor, b.tensor}, dim);
        },
        [&] {
          if (is_nothing(a) || is_nothing(b)) return (is_nothing(a) ? b : a).slow.copy();
          const int d = wrapped(dim, a.tensor.dim());
          Shape shape = a.slow.sizes;
          const std::int64_t first = shape[d];
          shape[d] += b.slow.sizes[d];
          std::vector<Number> values;
          fuzz::for_each_index(shape, [&](Index i) {
            const bool in_first = i[d] < first;
            if (!in_first) i[d] -= first;
            values.push_back((in_first ? a : b).slow.at(i));
          });
          return SlowTensor::of(a.slow.dtype, shape, std::move(values));
        });
  }

  // Products of two matrices, the second seen transposed.
  void multiply(const Entry& a, const Entry& b) {
    if (a.tensor.dim() != 2 || b.tensor.dim() != 2) return;
    const auto slow = [&] {
      const Shape shape = {a.slow.sizes[0], b.slow.sizes[0]};
      std::vector<Number> values, scale;
      fuzz::for_each_index(shape, [&](const Index& i) {
        Number sum = 0, size = 0;
        std::uint64_t whole = 0;
        for (std::int64_t k = 0; k < a.slow.sizes[1]; ++k) {
          const Number p = a.slow.at({i[0], k}), q = b.slow.at({i[1], k});
          sum += p * q;
          size += std::fabs(p * q);
          if (a.slow.dtype == kInt64)
            whole += static_cast<std::uint64_t>(static_cast<std::int64_t>(p)) *
                     static_cast<std::uint64_t>(static_cast<std::int64_t>(q));
        }
        const bool is_whole = a.slow.dtype == kInt64;
        values.push_back(is_whole ? static_cast<std::int64_t>(whole) : sum);
        scale.push_back(is_whole ? 0 : size);
      });
      return std::pair(SlowTensor::of(a.slow.dtype, shape, values), scale);
    };
    produce_close([&] { return a.tensor.matmul(b.tensor.t()); }, slow);
  }

  void sum_up(const Entry& a) {
    const std::int64_t dim = dim_of(a.tensor);
    const bool keepdim = in_.below(2) == 0, of_floats = a.tensor.is_floating_point();
    if (a.tensor.dim() == 0) return;
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
    produce_close([&] { return a.tensor.sum(dim, keepdim); },
                  [&] {
                    const int d = wrapped(dim, a.tensor.dim());
                    return std::pair(
                        fuzz::slow_reduce(result, a.slow, d, keepdim, fold(false)),
                        fuzz::slow_reduce(result, a.slow, d, keepdim, fold(true)).values());
                  });
  }

  void find_largest(const Entry& a) {
    const std::int64_t dim = dim_of(a.tensor);
    if (a.tensor.dim() == 0) return;
    produce([&] { return a.tensor.argmax(dim); },
            [&] {
              return fuzz::slow_reduce(
                  kInt64, a.slow, wrapped(dim, a.tensor.dim()), false,
                  [](const std::vector<Number>& row) {
                    std::size_t best = 0;
                    for (std::size_t i = 0; i < row.size(); ++i)
                      if (row[i] > row[best] || (std::isnan(row[i]) && !std::isnan(row[best])))
                        best = i;
                    return static_cast<Number>(best);
                  });
            });
  }

  void change() {
    Entry& to = any();
    const Entry from = any();
    Tensor& x = to.tensor;
    const Tensor& y = from.tensor;
    const auto apply = [&](auto real, auto values) {
      const bool was_leaf = x.is_leaf();
      if (!attempt([&] { return real(); }).defined()) return;
      to.slow.write(values());
      if (was_leaf && !x.is_leaf()) to.leaf = 0;
    };
    const auto combine = [&](auto real, auto f) {
      apply(real, [&] { return fuzz::slow_map(x.dtype(), to.slow, from.slow, f).values(); });
    };
    const Number value = number(x.dtype());
    const Scalar plain = scalar(x.dtype(), value);
    const auto filled = [&] { return std::vector<Number>(to.slow.places.size(), value); };
    switch (in_.below(6)) {
      case 0:
        if (x.dtype() != y.dtype()) return;
        return combine([&] { return x.copy_(y); }, [](auto, auto q) { return q; });
      case 1:
        return apply([&] { return x.fill_(plain); }, filled);
      case 2:
        return combine([&] { return x.add_(y); }, Plus());
      case 3:
        return combine([&] { return x.mul_(y); }, Times());
      case 4:
        return combine([&] { return x.div_(y); }, Over());
      default:
        return apply([&] { return x.masked_fill_(y, plain); },
                     [&] {
                       std::vector<Number> values = to.slow.values();
                       const SlowTensor mask = from.slow.repeated(to.slow.sizes);
                       for (std::size_t i = 0; i < values.size(); ++i)
                         if (mask[i] != 0) values[i] = value;
                       return values;
                     });
    }
  }

  // The tape ------------------------------------------------------------------------------------

  void go_back() {
    Entry& from = any();
    if (in_.below(2) == 0) {
      const bool wanted = in_.below(8) > 0, was_leaf = from.tensor.is_leaf();
      if (attempt([&] { return from.tensor.requires_grad_(wanted); }).defined() && was_leaf)
        from.leaf = wanted ? ++leaves_ : 0;
      return;
    }
    if (in_.below(4) == 0) return from.tensor.zero_grad();
    std::vector<Tensor> before;
    for (const Entry& entry : entries_) {
      const Tensor grad = entry.tensor.grad();
      before.push_back(grad.defined() ? grad.clone() : Tensor());
    }
    const bool went = attempt([&] {
                        const Tensor sum = from.tensor.sum();
                        sum.backward();
                        return sum;
                      }).defined();
    for (std::size_t i = 0; i < entries_.size(); ++i) check_gradient(entries_[i], before[i], went);
    if (!went || from.leaf == 0) return;
    for (std::size_t i = 0; i < entries_.size(); ++i)
      if (entries_[i].leaf == from.leaf && entries_[i].tensor.is_leaf() && !before[i].defined())
        check_counts(entries_[i], from.slow);
  }

  static void check_gradient(const Entry& entry, const Tensor& before, bool went) {
    const Tensor grad = entry.tensor.grad();
    if (grad.defined())
      expect(grad.sizes() == entry.tensor.sizes() && grad.dtype() == entry.tensor.dtype(),
             "a gradient is like its tensor");
    if (went) return;
    expect(grad.defined() == before.defined(), "a refused pass leaves gradients alone");
    if (grad.defined()) expect(fuzz::same_bits(grad, before), "a refused pass changes none");
  }

  // The gradient of a sum over a view: how often the view shows each element. (Of a leaf whose own
  // elements are one place, nobody can tell which of them is shown.)
  static void check_counts(const Entry& leaf, const SlowTensor& view) {
    std::vector<std::size_t> places = leaf.slow.places;
    std::sort(places.begin(), places.end());
    if (std::adjacent_find(places.begin(), places.end()) != places.end()) return;
    const Tensor grad = leaf.tensor.grad();
    expect(grad.defined(), "a leaf has a gradient after backward");
    const std::vector<Number> given = numbers_of(grad);
    for (std::size_t i = 0; i < given.size(); ++i) {
      const auto shown = std::count(view.places.begin(), view.places.end(), leaf.slow.places[i]);
      expect(given[i] == static_cast<Number>(shown), "the gradient of element {} is {}, not {}", i,
             shown, given[i]);
    }
  }

  Bytes in_;
  std::vector<Entry> entries_;
  std::uint64_t digest_ = 0xcbf29ce484222325;
  int leaves_ = 0;
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::uint64_t first = Program(data, size).run();
  expect(Program(data, size).run() == first, "a program gives the same bits twice");
  return 0;
}
