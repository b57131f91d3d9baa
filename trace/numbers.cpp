#include <retrace/trace/numbers.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <limits>

#include <retrace/tensor/check.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/json.h>
#include <retrace/tensor/view.h>

namespace retrace::trace {
namespace {

void summarize(const Tensor& dense, Numbers& result) {
  double least = std::numeric_limits<double>::infinity(), most = -least, sum = 0, squares = 0;
  std::int64_t count = 0;
  visit(dense.dtype(), [&]<class T>() {
    const T* x = elements<T>(dense);
    for (std::int64_t i = 0; i < dense.numel(); ++i) {
      const auto value = static_cast<double>(x[i]);
      if (!std::isfinite(value)) continue;
      ++count;
      least = std::min(least, value);
      most = std::max(most, value);
      sum += value;
      squares += value * value;
    }
  });
  const double none = std::numeric_limits<double>::quiet_NaN();
  result.min = count > 0 ? least : none;
  result.max = count > 0 ? most : none;
  result.mean = count > 0 ? sum / static_cast<double>(count) : none;
  result.norm = count > 0 ? std::sqrt(squares) : none;
}

template <class T>
std::uint64_t bits_of(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    using Bits = std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>;
    return std::bit_cast<Bits>(std::isnan(value) ? std::numeric_limits<T>::quiet_NaN() : value);
  } else {
    return static_cast<std::uint64_t>(value);
  }
}

template <class T>
std::string text_of(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
    return fmt::format("{}", value);
  } else {
    return fmt::format("{}", static_cast<std::int64_t>(value));
  }
}

// std::from_chars knows more spellings of NaN and Infinity than we write. A bool is 0 or 1.
template <class T>
bool read(std::string_view word, T& value) {
  using Read = std::conditional_t<std::is_same_v<T, bool>, std::uint8_t, T>;
  Read number{};
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  value = static_cast<T>(number);
  if constexpr (std::is_floating_point_v<T>)
    if (!std::isfinite(value)) return word == text_of(value);
  return error == std::errc() && end == word.data() + word.size() &&
         (!std::is_same_v<T, bool> || number <= Read(1));
}

}  // namespace

// The product carries a bit upwards, the shift brings it down again: no step loses one.
std::uint64_t hash_of(const Tensor& dense) {
  constexpr std::uint64_t kFactor = 0x9E3779B97F4A7C15u;
  std::uint64_t hash = kFactor;
  visit(dense.dtype(), [&]<class T>() {
    const T* x = elements<T>(dense);
    for (std::int64_t i = 0; i < dense.numel(); ++i) {
      hash = (hash ^ bits_of(x[i])) * kFactor;
      hash ^= hash >> 32;
    }
  });
  return hash;
}

std::string hash_text(std::uint64_t hash) { return fmt::format("{:016x}", hash); }

std::int64_t count_non_finite(const Tensor& dense) {
  if (!dense.is_floating_point()) return 0;
  return visit_float(dense.dtype(), "trace", [&]<class T>() {
    const T* x = elements<T>(dense);
    return static_cast<std::int64_t>(
        std::count_if(x, x + dense.numel(), [](T value) { return !std::isfinite(value); }));
  });
}

Shape corner_sizes(const Shape& sizes, std::int64_t corner) {
  Shape result = sizes;
  for (int d = 0; d < sizes.size(); ++d)
    result[d] = std::min(sizes[d], d + 2 >= sizes.size() ? corner : std::int64_t{1});
  return result;
}

Tensor corner_of(const Tensor& x, const Shape& sizes) { return make_view(x, sizes, x.strides()); }

Numbers keep_numbers(const Tensor& dense, bool complete, std::int64_t corner) {
  Numbers result;
  result.sizes = dense.sizes();
  result.dtype = dense.dtype();
  result.complete = complete;
  result.non_finite = count_non_finite(dense);
  if (complete) {
    result.values = contiguous_copy(dense);
  } else {
    result.values = contiguous_copy(corner_of(dense, corner_sizes(dense.sizes(), corner)));
    summarize(dense, result);
  }
  return result;
}

std::string number_text(double value) { return text_of(value); }

std::string number_text(const Tensor& dense, std::int64_t index) {
  return visit(dense.dtype(), [&]<class T>() { return text_of(elements<T>(dense)[index]); });
}

std::string values_text(const Tensor& dense) {
  std::string text;
  visit(dense.dtype(), [&]<class T>() {
    const T* x = elements<T>(dense);
    for (std::int64_t i = 0; i < dense.numel(); ++i) {
      if (i > 0) text += ' ';
      text += text_of(x[i]);
    }
  });
  return text;
}

Tensor parse_values(std::string_view text, const Shape& sizes, DType dtype) {
  const std::int64_t count = sizes.numel();
  // Each number takes a character at least: nothing is allocated for what cannot be there.
  const auto most = static_cast<std::int64_t>(text.size() / 2 + 1);
  require<IoError>(count <= most, "values: there cannot be {} numbers in {} characters", count,
                   text.size());
  Tensor result = empty(sizes, dtype);
  std::int64_t found = 0;
  visit(dtype, [&]<class T>() {
    T* x = elements<T>(result);
    while (!text.empty() && found < count) {
      if (found > 0) text.remove_prefix(1);  // the space
      const std::string_view word = text.substr(0, text.find(' '));
      require<IoError>(read(word, x[found]), "values: {} is not a {}", json_excerpt(word), dtype);
      ++found;
      text.remove_prefix(word.size());
    }
  });
  require<IoError>(found == count && text.empty(), "values: there are {} {}, the shape is {}",
                   text.empty() ? found : found + 1, text.empty() ? "numbers" : "numbers or more",
                   sizes);
  return result;
}

}  // namespace retrace::trace
