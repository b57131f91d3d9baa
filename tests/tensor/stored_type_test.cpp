#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include <retrace/tensor/stored_type.h>
#include <retrace/tensor/utf8.h>

using namespace retrace;

namespace {

// Each element of `values` as `type`, in both byte orders.
template <class To, class From>
std::vector<To> decoded(StoredType type, std::vector<From> values) {
  const auto count = static_cast<std::int64_t>(values.size());
  std::vector<To> little(values.size()), big(values.size());
  REQUIRE(static_cast<std::int64_t>(sizeof(From)) == size_of(type));
  REQUIRE(static_cast<std::int64_t>(sizeof(To)) == size_of(dtype_for(type)));
  const auto run = [&](std::endian order, std::vector<To>& out) {
    CHECK(decode(type, order, reinterpret_cast<const std::byte*>(values.data()), count,
                 reinterpret_cast<std::byte*>(out.data())) == count);
  };
  run(std::endian::little, little);
  for (From& value : values) {
    auto* bytes = reinterpret_cast<char*>(&value);
    std::reverse(bytes, bytes + sizeof(From));
  }
  run(std::endian::big, big);
  CHECK(std::memcmp(little.data(), big.data(), little.size() * sizeof(To)) == 0);
  return little;
}

}  // namespace

TEST_CASE("whole numbers become int64 with their sign") {
  using Whole = std::vector<std::int64_t>;
  CHECK(decoded<std::int64_t>(StoredType::u8, std::vector<std::uint8_t>{0, 127, 255}) ==
        Whole{0, 127, 255});
  CHECK(decoded<std::int64_t>(StoredType::i8, std::vector<std::int8_t>{-128, -1, 127}) ==
        Whole{-128, -1, 127});
  CHECK(decoded<std::int64_t>(StoredType::u16, std::vector<std::uint16_t>{1, 65535}) ==
        Whole{1, 65535});
  CHECK(decoded<std::int64_t>(StoredType::i16, std::vector<std::int16_t>{-32768, 5}) ==
        Whole{-32768, 5});
  CHECK(decoded<std::int64_t>(StoredType::u32, std::vector<std::uint32_t>{1, 4294967295}) ==
        Whole{1, 4294967295});
  CHECK(decoded<std::int64_t>(StoredType::i32, std::vector<std::int32_t>{-2147483647, 7}) ==
        Whole{-2147483647, 7});
  const auto most = std::numeric_limits<std::int64_t>::max();
  CHECK(decoded<std::int64_t>(StoredType::i64, std::vector<std::int64_t>{-most, most}) ==
        Whole{-most, most});
  CHECK(decoded<std::int64_t>(StoredType::u64,
                              std::vector<std::uint64_t>{3, std::uint64_t{1} << 62}) ==
        Whole{3, std::int64_t{1} << 62});
}

TEST_CASE("every half is the float that it stands for") {
  std::vector<std::uint16_t> halves(65536);
  for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<std::uint16_t>(i);
  const auto floats = decoded<float>(StoredType::f16, halves);
  for (std::size_t i = 0; i < halves.size(); ++i) {
    const int exponent = static_cast<int>(i >> 10 & 31), fraction = static_cast<int>(i & 1023);
    const double size =
        exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    const float value = floats[i];
    REQUIRE(std::signbit(value) == (i >= 32768));
    if (exponent == 31) {
      REQUIRE((fraction == 0 ? std::isinf(value) : std::isnan(value)));
      REQUIRE((std::bit_cast<std::uint32_t>(value) & 0x7fffffu) ==
              static_cast<std::uint32_t>(fraction) << 13);
    } else {
      REQUIRE(std::abs(static_cast<double>(value)) == size);
    }
  }
}

TEST_CASE("bfloat16 is the upper half of a float; floats keep every bit") {
  CHECK(decoded<float>(StoredType::bf16,
                       std::vector<std::uint16_t>{0x3f80, 0xc049, 0x0001, 0xff80}) ==
        std::vector<float>{1.0f, -3.140625f, std::bit_cast<float>(0x00010000u),
                           -std::numeric_limits<float>::infinity()});
  CHECK(
      decoded<std::uint32_t>(StoredType::f32, std::vector<std::uint32_t>{0x7fa00001, 0x80000000}) ==
      std::vector<std::uint32_t>{0x7fa00001, 0x80000000});
  CHECK(decoded<std::uint64_t>(StoredType::f64, std::vector<std::uint64_t>{0x7ff4000000000001}) ==
        std::vector<std::uint64_t>{0x7ff4000000000001});
}

TEST_CASE("what has no value of ours stops the decoding") {
  const std::uint64_t numbers[] = {1, std::uint64_t{1} << 63, 2};
  std::int64_t out[3] = {};
  CHECK(decode(StoredType::u64, std::endian::little, reinterpret_cast<const std::byte*>(numbers), 3,
               reinterpret_cast<std::byte*>(out)) == 1);
  const std::byte flags[] = {std::byte{0}, std::byte{1}, std::byte{2}};
  bool truths[3] = {};
  CHECK(decode(StoredType::boolean, std::endian::little, flags, 3,
               reinterpret_cast<std::byte*>(truths)) == 2);
  CHECK(truths[1]);
}

TEST_CASE("UTF-8 is told from what is not") {
  CHECK(is_utf8(""));
  CHECK(is_utf8("plain text of more than eight bytes"));
  CHECK(is_utf8("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80 \xed\x9f\xbf \xf4\x8f\xbf\xbf"));
  CHECK(find_invalid_utf8("12345678\x80") == 8);
  CHECK(utf8_prefix("gr\xc3\xbcn", 9) == "gr\xc3\xbcn");
  CHECK(utf8_prefix("gr\xc3\xbcn", 4) == "gr\xc3\xbc");
  CHECK(utf8_prefix("gr\xc3\xbcn", 3) == "gr");
  CHECK(utf8_prefix("\xf0\x9f\x98\x80", 3).empty());
  CHECK(find_invalid_utf8("\xc0\xaf") == 0);          // overlong
  CHECK(find_invalid_utf8("\xe0\x80\xaf") == 0);      // overlong
  CHECK(find_invalid_utf8("a\xed\xa0\x80") == 1);     // surrogate
  CHECK(find_invalid_utf8("\xf0\x8f\xbf\xbf") == 0);  // overlong
  CHECK(find_invalid_utf8("\xf4\x90\x80\x80") == 0);  // beyond U+10FFFF
  CHECK(find_invalid_utf8("abc\xe2\x82") == 3);       // cut short
  CHECK(find_invalid_utf8("\xff") == 0);
}
