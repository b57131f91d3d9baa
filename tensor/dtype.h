#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace retrace {

/// Element type of a tensor: float32 to train, float64 to check, int64 for indices, bool for masks.
enum class DType : std::uint8_t { float32, float64, int64, boolean };

/// The names of libtorch.
inline constexpr DType kFloat32 = DType::float32, kFloat = DType::float32;
inline constexpr DType kFloat64 = DType::float64, kDouble = DType::float64;
inline constexpr DType kInt64 = DType::int64, kLong = DType::int64;
inline constexpr DType kBool = DType::boolean;

/// "float32", "float64", "int64" or "bool".
constexpr std::string_view name_of(DType dtype) {
  constexpr std::string_view names[] = {"float32", "float64", "int64", "bool"};
  return names[static_cast<std::size_t>(dtype)];
}

/// Bytes of one element.
constexpr std::int64_t size_of(DType dtype) {
  constexpr std::int64_t sizes[] = {4, 8, 8, 1};
  return sizes[static_cast<std::size_t>(dtype)];
}

/// float32 or float64.
constexpr bool is_floating(DType dtype) { return dtype <= DType::float64; }

/// The DType of a C++ element type: float, double, int64_t or bool.
template <class T>
inline constexpr DType dtype_of = [] {
  using U = std::remove_cv_t<T>;
  static_assert(std::is_same_v<U, float> || std::is_same_v<U, double> ||
                    std::is_same_v<U, std::int64_t> || std::is_same_v<U, bool>,
                "tensor elements are float, double, int64_t or bool");
  if constexpr (std::is_same_v<U, float>) return DType::float32;
  if constexpr (std::is_same_v<U, double>) return DType::float64;
  if constexpr (std::is_same_v<U, std::int64_t>) return DType::int64;
  return DType::boolean;
}();

/// Calls `f.template operator()<T>()` with the C++ type of `dtype`.
template <class F>
decltype(auto) visit(DType dtype, F&& f) {
  switch (dtype) {
    case DType::float32:
      return f.template operator()<float>();
    case DType::float64:
      return f.template operator()<double>();
    case DType::int64:
      return f.template operator()<std::int64_t>();
    case DType::boolean:
      break;
  }
  return f.template operator()<bool>();
}

/// DTypeError: `op` takes what is `needed`, not this.
[[noreturn]] void refuse_dtype(std::string_view op, DType dtype, std::string_view needed);

/// As visit, for ops on numbers: bool is refused in the name of `op`.
template <class F>
decltype(auto) visit_number(DType dtype, std::string_view op, F&& f) {
  switch (dtype) {
    case DType::float32:
      return f.template operator()<float>();
    case DType::float64:
      return f.template operator()<double>();
    case DType::int64:
      return f.template operator()<std::int64_t>();
    case DType::boolean:
      break;
  }
  refuse_dtype(op, dtype, "float32, float64 or int64");
}

/// As visit, for ops on floating tensors: int64 and bool are refused in the name of `op`.
template <class F>
decltype(auto) visit_float(DType dtype, std::string_view op, F&& f) {
  if (dtype == DType::float32) return f.template operator()<float>();
  if (dtype == DType::float64) return f.template operator()<double>();
  refuse_dtype(op, dtype, "float32 or float64");
}

}  // namespace retrace
