#pragma once

// Element types that occur in files, and which of ours they become.

#include <bit>
#include <cstddef>
#include <cstdint>

#include <retrace/tensor/dtype.h>

namespace retrace {

/// Of an element in a file; more than tensors have.
enum class StoredType : std::uint8_t {
  boolean,
  u8,
  i8,
  u16,
  i16,
  u32,
  i32,
  u64,
  i64,
  f16,
  bf16,
  f32,
  f64
};

/// Bytes of one stored element.
constexpr std::int64_t size_of(StoredType type) {
  constexpr std::int64_t sizes[] = {1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8};
  return sizes[static_cast<std::size_t>(type)];
}

/// The dtype that holds all its values: whole numbers become int64, half precision float32.
constexpr DType dtype_for(StoredType type) {
  if (type == StoredType::boolean) return kBool;
  if (type == StoredType::f64) return kFloat64;
  return type >= StoredType::f16 ? kFloat32 : kInt64;
}

/// The type in which a dtype is stored without change.
constexpr StoredType stored_type_of(DType dtype) {
  constexpr StoredType types[] = {StoredType::f32, StoredType::f64, StoredType::i64,
                                  StoredType::boolean};
  return types[static_cast<std::size_t>(dtype)];
}

/// Turns `count` stored elements into elements of dtype_for(type) at `to`. Returns how many were
/// turned: fewer than `count` when the next one has no value there (a u64 above 2^63 - 1, a boolean
/// byte other than 0 and 1).
std::int64_t decode(StoredType type, std::endian order, const std::byte* from, std::int64_t count,
                    std::byte* to);

}  // namespace retrace
