#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <retrace/retrace.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();

Tensor of(double value) { return tensor(value, kFloat64); }

template <class T>
std::string refusal(const Tensor& x) {
  return message_of<ValueError>([&] { x.item<T>(); });
}

}  // namespace

TEST_CASE("item gives whole numbers to the ends of their type, fractions cut off") {
  CHECK(of(2147483647.9).item<int>() == 2147483647);
  CHECK(of(-2147483648.9).item<int>() == -2147483647 - 1);
  CHECK(of(-0x1p63).item<std::int64_t>() == kLeast);
  CHECK(of(0x1.fffffffffffffp62).item<std::int64_t>() == kMost - 1023);
  CHECK(of(0x1.fffffffffffffp63).item<std::uint64_t>() == ~std::uint64_t{0} - 2047);
  CHECK(of(-0.9).item<std::uint8_t>() == 0);
  CHECK(tensor(255).item<std::uint8_t>() == 255);
  CHECK(tensor(-128).item<std::int8_t>() == -128);
  CHECK(tensor(kMost).item<std::uint64_t>() == std::uint64_t{kMost});
  CHECK(tensor(kLeast).item<std::int64_t>() == kLeast);
  CHECK(tensor(true).item<int>() == 1);
  CHECK(tensor(-2.5).item<int>() == -2);
}

TEST_CASE("item refuses what does not fit, with the number and the type") {
  CHECK(refusal<int>(of(3e9)) ==
        "item: 3000000000 does not fit int32; ask for a type that holds it, or for double");
  CHECK(says(refusal<int>(of(2147483648.0)), "2147483648 does not fit int32"));
  CHECK(says(refusal<int>(of(-2147483649.0)), "-2147483649 does not fit int32"));
  CHECK(says(refusal<std::uint8_t>(tensor(300)), "300 does not fit uint8"));
  CHECK(says(refusal<std::int8_t>(tensor(128)), "128 does not fit int8"));
  CHECK(says(refusal<int>(tensor(kMost)), "9223372036854775807 does not fit int32"));
  CHECK(says(refusal<std::uint64_t>(tensor(-1)), "-1 does not fit uint64"));
  CHECK(says(refusal<std::uint64_t>(of(-1)), "-1 does not fit uint64"));
  CHECK(says(refusal<std::uint64_t>(of(0x1p64)), "does not fit uint64"));
  CHECK(says(refusal<std::int64_t>(of(0x1p63)), "does not fit int64"));
  CHECK(says(refusal<std::int64_t>(of(1e30)), "1e+30 does not fit int64"));
  CHECK(says(refusal<std::int64_t>(of(std::nan(""))), "nan does not fit int64"));
  CHECK(says(refusal<int>(full({}, -kInfinity)), "-inf does not fit int32"));
}

TEST_CASE("to_vector converts as item does, and names the element that does not fit") {
  const Tensor x = tensor({{0x1.fffffep62, -2.5}, {-0x1p63, 0.9}});
  CHECK(x.to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{0x7fffff8000000000, -2, kLeast, 0});
  CHECK(says(message_of<ValueError>([&] { (x * 2).t().to_vector<std::int64_t>(); }),
             "to_vector: element 0 of shape [2, 2] is"));
  for (const double beyond : {0x1p63, -0x1.000002p63, std::nan(""), kInfinity, -kInfinity})
    for (const DType dtype : {kFloat32, kFloat64})
      CHECK(says(message_of<ValueError>([&] {
                   tensor({1.0, beyond}, dtype).to_vector<std::int64_t>();
                 }),
                 "to_vector: element 1 of shape [2] is"));
  CHECK(tensor({std::nan(""), 0.0}).to_vector<bool>() == std::vector<bool>{true, false});
  CHECK(tensor({kMost}).to_vector<std::int64_t>() == std::vector{kMost});
  CHECK(empty({0}).to_vector<std::int64_t>().empty());
}

TEST_CASE("item as a fraction type or bool converts as C++ does") {
  CHECK(of(0.1).item<float>() == 0.1F);
  CHECK(of(1e300).item<float>() == std::numeric_limits<float>::infinity());
  CHECK(std::isnan(of(std::nan("")).item<float>()));
  CHECK(tensor(kMost).item<double>() == 0x1p63);
  CHECK(of(1e300).item<bool>());
  CHECK(of(std::nan("")).item<bool>());
}

TEST_CASE("as int64 what does not fit is the smallest number, by to and copy_") {
  const Tensor x = tensor({std::nan(""), kInfinity, -kInfinity, 1e30, -2.5});
  const Tensor expected = tensor({kLeast, kLeast, kLeast, kLeast, std::int64_t{-2}});
  CHECK(x.to(kInt64).equal(expected));
  CHECK(zeros({5}, kInt64).copy_(x).equal(expected));
}
