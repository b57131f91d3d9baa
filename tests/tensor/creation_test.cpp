#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include <retrace/tensor/creation.h>
#include <retrace/tensor/pool.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

TEST_CASE("empty takes one storage and one handle from the pool, and gives them back") {
  empty({3, 4});
  const MemoryStats before = memory_stats();
  {
    const Tensor x = empty({3, 4});
    CHECK(x.sizes() == Shape{3, 4});
    CHECK(x.strides() == Shape{4, 1});
    CHECK(x.dtype() == kFloat32);
    CHECK(x.is_contiguous());
    CHECK(x.is_leaf());
    CHECK_FALSE(x.requires_grad());
    CHECK(x.version() == 0);
    CHECK(reinterpret_cast<std::uintptr_t>(x.data_ptr<float>()) % 64 == 0);
    CHECK(memory_stats().live_blocks == before.live_blocks + 2);
  }
  CHECK(memory_stats().live_blocks == before.live_blocks);
  CHECK(memory_stats().live_bytes == before.live_bytes);
}

TEST_CASE("tensors without elements and huge sizes around a 0") {
  CHECK(zeros({0}).numel() == 0);
  CHECK(zeros({3, 0, 2}, kBool).strides() == Shape{2, 2, 1});
  CHECK(empty({std::int64_t{1} << 40, 0}).numel() == 0);
  CHECK(empty({}).numel() == 1);
}

TEST_CASE("sizes that cannot be are refused with the shape") {
  CHECK(says(message_of<ShapeError>([] { empty({-1, 3}); }), "[-1, 3]"));
  CHECK(says(message_of<ShapeError>([] {
               empty({std::int64_t{1} << 40, std::int64_t{1} << 40});
             }),
             "[1099511627776, 1099511627776]"));
  CHECK(says(message_of<ShapeError>([] { empty({std::int64_t{1} << 61}, kFloat64); }),
             "[2305843009213693952]"));
  const std::string huge = message_of<ValueError>([] { zeros({1 << 22, 1 << 22}, kFloat32); });
  CHECK(says(huge, "70368744177664 bytes"));
  CHECK(says(huge, "[4194304, 4194304]"));
  CHECK(zeros({2}).equal(zeros({2})));  // the process goes on
}

TEST_CASE("full, ones and zeros in every dtype") {
  for (const DType dtype : {kFloat32, kFloat64, kInt64, kBool}) {
    CHECK(ones({2, 3}, dtype).to_vector<double>() == std::vector<double>(6, 1.0));
    CHECK(zeros({2, 3}, dtype).to_vector<double>() == std::vector<double>(6, 0.0));
    CHECK(full({}, 1, dtype).item<double>() == 1.0);
    CHECK(ones_like(empty({2}), dtype).dtype() == dtype);
  }
  CHECK(full({3}, 2.5).to_vector<float>() == std::vector<float>(3, 2.5f));
  CHECK(full({2}, std::int64_t{9007199254740993}, kInt64).to_vector<std::int64_t>()[1] ==
        9007199254740993);
  CHECK(says(message_of<DTypeError>([] { full({2}, 0.5, kInt64); }), "full"));
  CHECK(full_like(zeros({2}, kFloat64), 3).dtype() == kFloat64);
  CHECK(full_like(zeros({2}, kFloat64), 3, kInt64).equal(tensor({3, 3})));
  CHECK(zeros_like(ones({2}), kInt64).equal(tensor({0, 0})));
  CHECK(empty_like(ones({2, 3}), kBool).dtype() == kBool);
  CHECK(zeros({1 << 20}, kFloat64).to_vector<double>() == std::vector<double>(1 << 20, 0.0));
}

TEST_CASE("arange") {
  CHECK(arange(4).equal(tensor({0, 1, 2, 3})));
  CHECK(arange(2, 9, 3).equal(tensor({2, 5, 8})));
  CHECK(arange(2, 8, 3).equal(tensor({2, 5})));
  CHECK(arange(3, -3, -2).equal(tensor({3, 1, -1})));
  CHECK(arange(3.0).dtype() == kFloat32);
  CHECK(arange(0, 1, 0.25).equal(tensor({0.0, 0.25, 0.5, 0.75})));
  CHECK(arange(0, 3, kFloat64).equal(tensor({0.0, 1.0, 2.0}, kFloat64)));
  CHECK(arange(5, 5).numel() == 0);
  const auto most = std::numeric_limits<std::int64_t>::max();
  const auto least = std::numeric_limits<std::int64_t>::min();
  CHECK(arange(most - 1, most).equal(full({1}, most - 1, kInt64)));
  CHECK(arange(least, most, most).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{least, -1, most - 1});
  CHECK(arange(most, least, least).to_vector<std::int64_t>() ==
        std::vector<std::int64_t>{most, -1});
  CHECK(says(message_of<ValueError>([] { arange(0, 3, 0); }), "step is 0"));
  CHECK(says(message_of<ValueError>([] { arange(0, 3, -1); }), "leads away"));
  CHECK(says(message_of<ValueError>([] { arange(3, 0); }), "leads away"));
  CHECK(says(message_of<ValueError>([] { arange(0.0, INFINITY); }), "finite"));
  CHECK(says(message_of<ValueError>([] { arange(NAN); }), "finite"));
  CHECK(says(message_of<DTypeError>([] { arange(0, 1, 0.5, kInt64); }), "arange"));
  CHECK(says(message_of<DTypeError>([] { arange(3, kBool); }), "arange"));
  CHECK_THROWS_AS(arange(0.0, 1e300), ShapeError);
  CHECK_THROWS_AS(arange(least, most), ShapeError);
}

TEST_CASE("linspace ends exactly at its end and is symmetric") {
  CHECK(linspace(0, 1, 5).equal(tensor({0.0, 0.25, 0.5, 0.75, 1.0})));
  CHECK(linspace(3, 3, 1).equal(tensor({3.0})));
  CHECK(linspace(0, 1, 0).numel() == 0);
  CHECK(linspace(1e16, 1, 2, kFloat64).equal(tensor({1e16, 1.0}, kFloat64)));
  CHECK(linspace(0, 10, 6, kInt64).equal(tensor({0, 2, 4, 6, 8, 10})));
  const auto row = linspace(-0.1, 0.1, 1001, kFloat64).to_vector<double>();
  CHECK(row.front() == -0.1);
  CHECK(row.back() == 0.1);
  for (std::size_t i = 0; i < row.size(); ++i) CHECK(row[i] == -row[row.size() - 1 - i]);
  CHECK(says(message_of<ValueError>([] { linspace(0, 1, -1); }), "-1 steps"));
  CHECK_THROWS_AS(linspace(0, 1, 3, kBool), DTypeError);
}

TEST_CASE("linspace between ends that are far apart, and ends that do not fit") {
  const double most = std::numeric_limits<double>::max();
  CHECK(linspace(-most, most, 2, kFloat64).equal(tensor({-most, most}, kFloat64)));
  CHECK(linspace(most, -most, 5, kFloat64)
            .equal(tensor({most, most / 2, 0.0, -most / 2, -most}, kFloat64)));
  CHECK(linspace(0, 10, 4, kInt64).equal(tensor({0, 3, 6, 10})));
  const double infinity = std::numeric_limits<double>::infinity();
  for (const double end : {infinity, -infinity, std::nan("")}) {
    for (const DType dtype : {kFloat32, kFloat64, kInt64}) {
      CHECK(says(message_of<ValueError>([&] { linspace(0, end, 3, dtype); }), "linspace: 0 to "));
      CHECK(says(message_of<ValueError>([&] { linspace(end, 0, 3, dtype); }), "must be finite"));
    }
  }
  CHECK(says(message_of<DTypeError>([] { linspace(0.5, 3, 3, kInt64); }), "linspace: 0.5"));
  CHECK(says(message_of<DTypeError>([] { linspace(0, 2.5, 3, kInt64); }), "linspace: 2.5"));
  CHECK(says(message_of<DTypeError>([] { linspace(0, 1e30, 3, kInt64); }), "linspace: 1e+30"));
  CHECK(says(message_of<ValueError>([] { linspace(0, 1e300, 3); }), "too large for float32"));
}

TEST_CASE("eye") {
  CHECK(eye(2).equal(tensor({{1.0, 0.0}, {0.0, 1.0}})));
  CHECK(eye(2, 3, kInt64).equal(tensor({{1, 0, 0}, {0, 1, 0}})));
  CHECK(eye(3, 2, kBool).equal(tensor({{true, false}, {false, true}, {false, false}})));
  CHECK(eye(0).sizes() == Shape{0, 0});
  CHECK_THROWS_AS(eye(-1), ShapeError);
}

TEST_CASE("tensor takes its dtype from the kinds of numbers") {
  CHECK(tensor({1.0, 2.0}).dtype() == kFloat32);
  CHECK(tensor({1, 2}).dtype() == kInt64);
  CHECK(tensor({true, false}).dtype() == kBool);
  CHECK(tensor({1.5, 2}).equal(tensor({1.5, 2.0})));
  CHECK(tensor({true, 2}).equal(tensor({1, 2})));
  CHECK(tensor(2.5).dim() == 0);
  CHECK(tensor(7).item<int>() == 7);
  CHECK(tensor({}).sizes() == Shape{0});
  CHECK(tensor({}).dtype() == kFloat32);
  CHECK(tensor({{}, {}}).sizes() == Shape{2, 0});
  CHECK(tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}).sizes() == Shape{2, 3});
  CHECK(tensor({{{1}}, {{2}}}).sizes() == Shape{2, 1, 1});
  CHECK(tensor({1, 2}, kFloat64).equal(arange(1, 3, kFloat64)));
  CHECK(tensor({0.1}, kFloat64).item<double>() == 0.1);
  CHECK(tensor(std::vector<double>{1, 2}).equal(tensor({1.0, 2.0})));
  CHECK(tensor(std::vector<bool>{true, false}).equal(tensor({true, false})));
  CHECK(tensor(std::vector<std::vector<int>>{{1, 2}, {3, 4}}).equal(tensor({{1, 2}, {3, 4}})));
  CHECK(tensor({std::numeric_limits<std::int64_t>::max()}).item<std::int64_t>() ==
        std::numeric_limits<std::int64_t>::max());
}

TEST_CASE("ragged and too deep lists are refused") {
  CHECK(says(message_of<ShapeError>([] { tensor({{1, 2}, {3}}); }), "ragged"));
  CHECK(says(message_of<ShapeError>([] { tensor({{1, 2}, 3}); }), "ragged"));
  CHECK(says(message_of<ShapeError>([] { tensor({1, {2, 3}}); }), "ragged"));
  CHECK(says(message_of<ShapeError>([] { tensor({{}, {1}}); }), "ragged"));
  CHECK(says(message_of<ShapeError>([] { tensor({{{1}, {2}}, {{3}, {4, 5}}}); }), "ragged"));
  NestedList deep(1);
  for (int i = 0; i < kMaxDims; ++i) deep = NestedList(std::vector<NestedList>{deep});
  CHECK(tensor(deep).dim() == kMaxDims);
  deep = NestedList(std::vector<NestedList>{deep});
  CHECK(says(message_of<ShapeError>([&] { tensor(deep); }), "at most 8"));
  CHECK(says(message_of<DTypeError>([] { tensor({1.5}, kInt64); }), "tensor"));
}

TEST_CASE("from_vector copies in the given shape") {
  std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const Tensor x = from_vector(values, Shape{2, 3});
  values[0] = 9;
  CHECK(x.equal(tensor({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}})));
  CHECK(from_vector(values, Shape{-1, 2}).sizes() == Shape{3, 2});
  CHECK(from_vector(std::vector<int>{1, 2}).dtype() == kInt64);
  CHECK(from_vector(std::vector<bool>{true, false}).equal(tensor({true, false})));
  CHECK(from_vector(std::vector<double>{}).sizes() == Shape{0});
  CHECK(says(message_of<ShapeError>([&] { from_vector(values, Shape{4}); }), "from_vector"));
}

TEST_CASE("from_blob looks at other people's memory and keeps its owner alive") {
  auto owner = std::make_shared<std::vector<double>>(std::vector<double>{1, 2, 3, 4});
  const std::weak_ptr<std::vector<double>> watched = owner;
  {
    Tensor x = from_blob(owner->data(), {2, 2}, kFloat64, owner);
    (*owner)[3] = 9;
    owner.reset();
    CHECK_FALSE(watched.expired());
    CHECK(x.equal(tensor({{1.0, 2.0}, {3.0, 9.0}}, kFloat64)));
  }
  CHECK(watched.expired());

  const MemoryStats before = memory_stats();
  float numbers[3] = {1, 2, 3};
  { CHECK(from_blob(numbers, {3}, kFloat32).data_ptr<float>() == numbers); }
  CHECK(memory_stats().live_bytes == before.live_bytes);
  CHECK(from_blob(nullptr, {0}, kFloat32).numel() == 0);
  CHECK_THROWS_AS(from_blob(nullptr, {1}, kFloat32), ValueError);
  CHECK(says(message_of<ValueError>(
                 [&] { from_blob(reinterpret_cast<char*>(numbers) + 1, {1}, kFloat32); }),
             "aligned"));
}

TEST_CASE("a number that float32 cannot hold does not become infinity in full") {
  const double infinity = std::numeric_limits<double>::infinity();
  const double most = std::numeric_limits<float>::max();
  for (const double number : {1e39, -1e300}) {
    const std::string message = message_of<ValueError>([&] { full({2}, number); });
    CHECK(message.starts_with("full: "));
    CHECK(says(message, "too large for float32"));
    CHECK(!message_of<ValueError>([&] { full_like(ones({2}), number); }).empty());
    CHECK(full({}, number, kFloat64).item<double>() == number);
  }
  for (const double number : {most, -most, infinity, -infinity, 1e-300})
    CHECK(full({}, number).item<float>() == static_cast<float>(number));
  CHECK(std::isnan(full({}, std::nan("")).item<float>()));
}

TEST_CASE("an unsigned number above 2^63 - 1 is refused, not made negative") {
  const std::uint64_t most = std::numeric_limits<std::int64_t>::max();
  CHECK(tensor({most}).item<std::uint64_t>() == most);
  CHECK(full({}, std::uint32_t{0xffffffff}, kInt64).item<std::int64_t>() == 0xffffffff);
  CHECK(
      says(message_of<ValueError>([&] { tensor({most + 1}); }), "number: 9223372036854775808 is"));
  CHECK(says(message_of<ValueError>([&] { full({}, ~std::uint64_t{0}); }), "18446744073709551615"));
}
