#include <retrace/tensor/stored_type.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace retrace {
namespace {

static_assert(std::endian::native == std::endian::little, "files are read as little-endian");

template <class T>
T load(const std::byte* from, std::endian order) {
  std::byte bytes[sizeof(T)];
  std::memcpy(bytes, from, sizeof(T));
  if (order == std::endian::big) std::reverse(bytes, bytes + sizeof(T));
  return std::bit_cast<T>(bytes);
}

template <class From, class To, class F>
void convert(std::endian order, const std::byte* from, std::int64_t count, std::byte* to, F&& f) {
  for (std::int64_t i = 0; i < count; ++i) {
    const To value = f(load<From>(from + i * static_cast<std::int64_t>(sizeof(From)), order));
    std::memcpy(to + i * static_cast<std::int64_t>(sizeof(To)), &value, sizeof(To));
  }
}

template <class From>
std::int64_t widen(std::endian order, const std::byte* from, std::int64_t count, std::byte* to) {
  convert<From, std::int64_t>(order, from, count, to,
                              [](From x) { return static_cast<std::int64_t>(x); });
  return count;
}

template <class T>
std::int64_t copy(std::endian order, const std::byte* from, std::int64_t count, std::byte* to) {
  if (order == std::endian::native) {
    std::copy_n(from, count * static_cast<std::int64_t>(sizeof(T)), to);
  } else {
    convert<T, T>(order, from, count, to, [](T x) { return x; });
  }
  return count;
}

// IEEE 754 binary16 to the bits of a binary32; every half is exactly a float.
std::uint32_t half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 31u, fraction = half & 1023u;
  if (exponent == 31) return sign | 0x7f800000u | fraction << 13;  // infinity, NaN with its payload
  if (exponent != 0) return sign | (exponent + 112) << 23 | fraction << 13;
  // Zero or subnormal: fraction · 2^-24.
  return sign | std::bit_cast<std::uint32_t>(static_cast<float>(fraction) * 0x1p-24f);
}

std::int64_t decode_booleans(const std::byte* from, std::int64_t count, std::byte* to) {
  const std::byte* end =
      std::find_if(from, from + count, [](std::byte b) { return b > std::byte{1}; });
  std::copy(from, end, to);
  return end - from;
}

std::int64_t decode_u64(std::endian order, const std::byte* from, std::int64_t count,
                        std::byte* to) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (load<std::uint64_t>(from + i * 8, order) >> 63 != 0) return i;
    widen<std::uint64_t>(order, from + i * 8, 1, to + i * 8);
  }
  return count;
}

}  // namespace

std::int64_t decode(StoredType type, std::endian order, const std::byte* from, std::int64_t count,
                    std::byte* to) {
  switch (type) {
    case StoredType::boolean:
      return decode_booleans(from, count, to);
    case StoredType::u8:
      return widen<std::uint8_t>(order, from, count, to);
    case StoredType::i8:
      return widen<std::int8_t>(order, from, count, to);
    case StoredType::u16:
      return widen<std::uint16_t>(order, from, count, to);
    case StoredType::i16:
      return widen<std::int16_t>(order, from, count, to);
    case StoredType::u32:
      return widen<std::uint32_t>(order, from, count, to);
    case StoredType::i32:
      return widen<std::int32_t>(order, from, count, to);
    case StoredType::u64:
      return decode_u64(order, from, count, to);
    case StoredType::f16:
      convert<std::uint16_t, std::uint32_t>(order, from, count, to, half_to_float);
      return count;
    case StoredType::bf16:
      convert<std::uint16_t, std::uint32_t>(order, from, count, to, [](std::uint16_t x) {
        return static_cast<std::uint32_t>(x) << 16;
      });
      return count;
    case StoredType::f32:
      return copy<std::uint32_t>(order, from, count, to);
    case StoredType::i64:
    case StoredType::f64:
      break;
  }
  return copy<std::uint64_t>(order, from, count, to);
}

}  // namespace retrace
