#pragma once

// Programs on tensors, decoded from bytes: what their steps have in common. A step says what its
// call must come to, from what its arguments are; the call is made, and its result held against
// that of a slow tensor.

#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include <retrace/autograd/autograd.h>
#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/fuzz/slow_tensor.h>
#include <retrace/tests/fuzz/target.h>

namespace retrace::fuzz {

inline constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();
inline constexpr std::int64_t kSmallest = std::numeric_limits<std::int64_t>::min();

class Bytes {
 public:
  Bytes(const std::uint8_t* data, std::size_t size) : rest_(text_of(data, size)) {}
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

/// What a call must come to: a result, a refusal, or one of them.
enum class Verdict { right, wrong, either };

inline Verdict right_if(bool holds) { return holds ? Verdict::right : Verdict::wrong; }

/// How many elements sizes have, dims of none counted as of one: whether strides fit, too.
inline Number extent(const Shape& sizes) {
  Number result = 1;
  for (const std::int64_t size : sizes)
    result *= static_cast<Number>(std::max<std::int64_t>(size, 1));
  return result;
}
/// Of sizes that may be too many for memory or for 63 bits no more is asked than an answer.
inline Verdict within_reason(Verdict verdict, const Shape& result) {
  return verdict == Verdict::right && extent(result) > 0x1p20L ? Verdict::either : verdict;
}
inline Verdict right_if(bool holds, const Shape& result) {
  return within_reason(right_if(holds), result);
}

/// Whether a tensor of these sizes is small, or refused at once: of those between memory is asked
/// for, and fuzzing gives none.
inline bool is_affordable(const Shape& sizes) {
  const bool is_empty = std::find(sizes.begin(), sizes.end(), 0) != sizes.end();
  return is_empty || extent(sizes) <= 0x1p20L || extent(sizes) >= 0x1p45L;
}

/// Whether `dim` names one of so many dims. A 0-d tensor counts as having one.
inline bool is_dim(std::int64_t dim, int rank) {
  return dim >= -std::max(rank, 1) && dim < std::max(rank, 1);
}
inline int wrapped(std::int64_t dim, int rank) {
  return static_cast<int>(dim < 0 ? dim + std::max(rank, 1) : dim);
}

/// Whether both repeat to joint_sizes(a, b).
inline bool broadcast(const Shape& a, const Shape& b) {
  for (int i = 1; i <= std::min(a.size(), b.size()); ++i) {
    const std::int64_t p = a[a.size() - i], q = b[b.size() - i];
    if (p != q && p != 1 && q != 1) return false;
  }
  return true;
}

/// Of zeros the sign counts, too: dividing by them shows it.
inline bool same_number(Number a, Number b) {
  return (a == b && std::signbit(a) == std::signbit(b)) || (std::isnan(a) && std::isnan(b));
}

inline std::vector<Number> numbers_of(const Tensor& x) {
  std::vector<Number> result;
  visit(x.dtype(), [&]<class T>() {
    for (const T value : x.detach().to_vector<T>()) result.push_back(static_cast<Number>(value));
  });
  return result;
}

/// Where the elements lie, counted from the first, in row-major order.
inline std::vector<std::int64_t> places_of(const Tensor& x) {
  std::vector<std::int64_t> result;
  for_each_index(x.sizes(), [&](const Index& i) {
    std::int64_t place = 0;
    for (int d = 0; d < x.dim(); ++d) place += i[d] * x.strides()[d];
    result.push_back(place);
  });
  return result;
}

class Program {
 public:
  static constexpr std::int64_t kMostElements = 256;  // of a tensor that is kept
  static constexpr unsigned kMostTensors = 6;

  Program(const std::uint8_t* data, std::size_t size) : in(data, size) {}

  Bytes in;
  std::vector<Entry> entries;
  std::uint64_t digest = 0xcbf29ce484222325;  // of the bits of all results
  int leaves = 0;
  bool tape_is_fresh = true;  // nothing was changed in place, and no pass has used it up

  // Arguments -------------------------------------------------------------------------------------

  Entry& any() { return entries[in.below(static_cast<unsigned>(entries.size()))]; }
  std::int64_t dim_of(const Tensor& x) {
    const unsigned byte = in.next();
    if (byte >= 250 || x.dim() == 0) return in.whole();
    return static_cast<std::int64_t>(byte % (2 * static_cast<unsigned>(x.dim()))) - x.dim();
  }
  Shape sizes() {
    Shape result;
    for (unsigned rank = in.below(5); rank > 0; --rank) {
      const unsigned byte = in.next();
      result.push_back(byte >= 250 ? in.whole() : byte % 5);
    }
    return result;
  }
  DType dtype() {
    constexpr DType all[] = {kFloat32, kFloat64, kInt64, kBool};
    return all[in.below(4)];
  }
  Number number(DType dtype) {
    constexpr Number wholes[] = {kLargest, kSmallest, 1 << 20, -1};
    constexpr Number fractions[] = {std::numeric_limits<Number>::infinity(), -0.0L, 1e30L, 0.25L};
    const unsigned byte = in.next();
    if (dtype == kBool) return byte & 1;
    const Number usual = static_cast<Number>(byte % 9) - 4;
    if (dtype == kInt64) return byte >= 248 ? wholes[byte % 4] : usual;
    const Number fraction = byte >= 248 ? fractions[byte % 4] : usual / 2;
    return dtype == kFloat32 ? static_cast<float>(fraction) : static_cast<double>(fraction);
  }

  // Results ---------------------------------------------------------------------------------------

  void check(const Entry& entry) const {
    const std::vector<Number> numbers = numbers_of(entry.tensor);
    expect(entry.tensor.sizes() == entry.slow.sizes, "the sizes are {}, not {}", entry.slow.sizes,
           entry.tensor.sizes());
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
      digest = (digest ^ std::to_integer<std::uint64_t>(dense.get().data[i])) * 0x100000001b3;
    if (entries.size() < kMostTensors) return entries.push_back(std::move(entry));
    entries[in.below(kMostTensors)] = std::move(entry);
  }

  /// What call() gives, or an undefined tensor when it is refused; against the verdict.
  template <class Call>
  static Tensor made(Verdict verdict, Call&& call) {
    try {
      Tensor result = call();
      expect(verdict != Verdict::wrong, "what is wrong is refused, not answered with {} {}",
             result.dtype(), result.sizes());
      return result;
    } catch (const Error& error) {
      expect_line(error.what());
      expect(verdict != Verdict::right, "what is right is not refused: {}", error.what());
      return {};
    }
  }
  /// What is too large to be looked at is dropped.
  template <class Call>
  static Tensor small(Verdict verdict, Call&& call) {
    Tensor result = made(verdict, call);
    return result.defined() && result.numel() <= kMostElements ? result : Tensor();
  }
  /// Keeps the result with what slow() gives.
  template <class Call, class Slow>
  void produce(Verdict verdict, Call&& call, Slow&& slow, int leaf = 0) {
    if (Tensor result = small(verdict, call); result.defined()) keep({result, slow(), leaf});
  }
  /// The same for what is rounded: as close as the numbers that it is made of, `scale`, allow.
  template <class Call, class Slow>
  void produce_close(Verdict verdict, Call&& call, Slow&& slow) {
    const Tensor result = small(verdict, call);
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
};

}  // namespace retrace::fuzz
