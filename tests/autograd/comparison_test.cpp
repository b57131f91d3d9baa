#include <retrace/tests/autograd/pointwise.h>

namespace {

using namespace retrace;
using namespace retrace::testing;

TEST_CASE("comparisons of two tensors, by name and by operator") {
  const Tensor a = tensor({1.0, 2.0, 3.0, 0.0}), b = tensor({2.0, 2.0, 2.0, -0.0});
  CHECK(eq(a, b).equal(tensor({false, true, false, true})));
  CHECK(ne(a, b).equal(tensor({true, false, true, false})));
  CHECK(lt(a, b).equal(tensor({true, false, false, false})));
  CHECK(le(a, b).equal(tensor({true, true, false, true})));
  CHECK(gt(a, b).equal(tensor({false, false, true, false})));
  CHECK(ge(a, b).equal(tensor({false, true, true, true})));
  CHECK((a == b).equal(eq(a, b)));
  CHECK((a != b).equal(ne(a, b)));
  CHECK((a < b).equal(lt(a, b)));
  CHECK((a <= b).equal(le(a, b)));
  CHECK((a > b).equal(gt(a, b)));
  CHECK((a >= b).equal(ge(a, b)));
}

TEST_CASE("comparisons with numbers, on either side") {
  const Tensor a = tensor({1, 2, 3});
  CHECK((a == 2).equal(tensor({false, true, false})));
  CHECK((2 == a).equal(tensor({false, true, false})));
  CHECK((a != 2).equal(tensor({true, false, true})));
  CHECK((2 != a).equal(tensor({true, false, true})));
  CHECK((a < 2).equal(tensor({true, false, false})));
  CHECK((2 < a).equal(tensor({false, false, true})));
  CHECK((a <= 2).equal(tensor({true, true, false})));
  CHECK((2 <= a).equal(tensor({false, true, true})));
  CHECK((a > 2).equal(tensor({false, false, true})));
  CHECK((2 > a).equal(tensor({true, false, false})));
  CHECK((a >= 2).equal(tensor({false, true, true})));
  CHECK((2 >= a).equal(tensor({true, true, false})));
  CHECK((tensor({0.1, 0.2}) == 0.1).equal(tensor({true, false})));  // the number becomes float32
  CHECK((tensor({true, false}) == true).equal(tensor({true, false})));
  CHECK(says(message_of<DTypeError>([&] { gt(a, 0.5); }), "gt: "));
  CHECK(says(message_of<DTypeError>([] { eq(tensor({true}), 2); }), "eq: "));
}

TEST_CASE("comparisons keep large whole numbers apart and know NaN") {
  const std::int64_t big = (std::int64_t{1} << 62) + 1;
  CHECK((tensor({big}) == tensor({big - 1})).item<bool>() == false);
  CHECK((tensor({big}) > big - 1).item<bool>());
  const Tensor nan = doubles({kNaN});
  for (const Tensor& result : {nan == nan, nan<nan, nan <= nan, nan> 0.0, nan >= nan})
    CHECK(result.item<bool>() == false);
  CHECK((nan != nan).item<bool>());
}

TEST_CASE("comparisons broadcast, take any layout and refuse what does not fit") {
  const Tensor a = tensor({{1.0, 5.0, 3.0}, {4.0, 2.0, 6.0}}), row = tensor({3.0, 3.0, 3.0});
  const Tensor expected = tensor({{false, true, false}, {true, false, true}});
  for (const Tensor& laid : layouts(a)) {
    CHECK((laid > row).equal(expected));
    CHECK((laid > 3.0).equal(expected));
    CHECK((tensor({{3.5}, {2.5}}) < laid).equal(laid > tensor({{3.5}, {2.5}})));
  }
  CHECK((zeros({0, 3}) < row).sizes() == Shape({0, 3}));
  CHECK((tensor(1.0) < tensor(2.0)).dim() == 0);
  const std::string shapes = message_of<ShapeError>([&] { static_cast<void>(a < zeros({4})); });
  CHECK(says(shapes, "lt: "));
  CHECK(says(shapes, "[2, 3]"));
  CHECK(says(shapes, "[4]"));
  const std::string dtypes =
      message_of<DTypeError>([&] { static_cast<void>(a >= ones({3}, kFloat64)); });
  CHECK(says(dtypes, "ge: "));
  CHECK(says(dtypes, "float64"));
  CHECK(says(message_of<ValueError>([&] { static_cast<void>(a == Tensor()); }), "eq: argument 1"));
  CHECK(!(a.clone().requires_grad_() > row).requires_grad());
}

TEST_CASE("logic of any dtype") {
  const Tensor a = tensor({true, true, false, false}), b = tensor({true, false, true, false});
  CHECK((a && b).equal(tensor({true, false, false, false})));
  CHECK((a || b).equal(tensor({true, true, true, false})));
  CHECK(logical_xor(a, b).equal(tensor({false, true, true, false})));
  CHECK((!a).equal(tensor({false, false, true, true})));
  CHECK(logical_not(tensor({0, 2, -1})).equal(tensor({true, false, false})));
  CHECK(logical_and(doubles({kNaN, 0.5, -0.0}), doubles({1, 1, 1}))
            .equal(tensor({true, true, false})));
  CHECK(says(message_of<DTypeError>([&] { a&& tensor({1, 2, 3, 4}); }), "logical_and: "));
}

TEST_CASE("isnan, isinf, isfinite") {
  const Tensor x = doubles({kNaN, kInfinity, -kInfinity, 0, 1e308});
  CHECK(isnan(x).equal(tensor({true, false, false, false, false})));
  CHECK(isinf(x).equal(tensor({false, true, true, false, false})));
  CHECK(isfinite(x).equal(tensor({false, false, false, true, true})));
  CHECK(isfinite(x.to(kFloat32)).equal(tensor({false, false, false, true, false})));
  CHECK(isfinite(tensor({1, 2})).equal(tensor({true, true})));
  CHECK(isnan(tensor({true})).equal(tensor({false})));
}

TEST_CASE("isclose and allclose") {
  const Tensor a = doubles({1, 1, kInfinity, kInfinity, kNaN, 0});
  const Tensor b = doubles({1 + 1e-6, 1 + 1e-4, kInfinity, 5, kNaN, 1e-9});
  CHECK(isclose(a, b).equal(tensor({true, false, true, false, false, true})));
  CHECK(isclose(a, b, 1e-5, 1e-8, /*equal_nan=*/true)
            .equal(tensor({true, false, true, false, true, true})));
  // The second one is the yardstick, and no tolerance reaches infinity.
  CHECK(!isclose(doubles({5}), doubles({kInfinity})).item<bool>());
  CHECK(isclose(doubles({9}), doubles({10}), 0.1, 0).item<bool>());
  CHECK(!isclose(doubles({10}), doubles({9}), 0.1, 0).item<bool>());
  CHECK(allclose(a.slice(0, 0, 1), b.slice(0, 0, 1)));
  CHECK(!allclose(a, b));
  CHECK(allclose(ones({2, 3}), ones({3})));
  CHECK(allclose(zeros({0}), zeros({0})));
  CHECK(allclose(tensor({3, 4}), tensor({3, 4})));
  CHECK(says(message_of<DTypeError>([] { allclose(ones({1}), ones({1}, kFloat64)); }), "allclose"));
  CHECK(says(message_of<ShapeError>([] { allclose(ones({2}), ones({3})); }), "[3]"));
  CHECK(says(message_of<ValueError>([] { allclose(ones({2}), ones({2}), -1); }), "rtol"));
}

TEST_CASE("isclose tells large whole numbers apart") {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max(), kLeast = -kMost - 1;
  constexpr std::int64_t kWide = std::int64_t{1} << 53;  // doubles are 2 apart from here
  const Tensor a = tensor({kWide, kMost, kMost, kLeast, kLeast});
  const Tensor b = tensor({kWide + 1, kMost - 1, kMost, kMost, kLeast + 1});
  CHECK(isclose(a, b, 0, 0).equal(tensor({false, false, true, false, false})));
  CHECK(isclose(b, a, 0, 0.5).equal(tensor({false, false, true, false, false})));
  CHECK(isclose(a, b, 0, 1).equal(tensor({true, true, true, false, true})));
  CHECK(allclose(a, b, 0, 0x1p64));
  CHECK(!allclose(a, b, 0, 0x1p63));
}

}  // namespace
