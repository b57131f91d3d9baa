#include <doctest/doctest.h>

#include <retrace/tests/autograd/numbers.h>

using namespace retrace;
using namespace retrace::testing;

TEST_CASE("amax and amin share the gradient among ties") {
  Tensor x = leaf({1, 5, 5, 0, 0, 3}, {2, 3});
  CHECK(holds(amax(x), {}, {5}));
  CHECK(holds(gradient_of(amax(x), x, {1}), {2, 3}, {0, .5, .5, 0, 0, 0}));
  CHECK(holds(gradient_of(x.max(), x, {1}), {2, 3}, {0, .5, .5, 0, 0, 0}));
  CHECK(holds(gradient_of(x.min(), x, {3}), {2, 3}, {0, 0, 0, 1.5, 1.5, 0}));
  CHECK(holds(gradient_of(amin(x, 1), x, {2, 3}), {2, 3}, {2, 0, 0, 1.5, 1.5, 0}));
  CHECK(holds(gradient_of(amax(x, 0, true), x, {1, 2, 3}), {2, 3}, {1, 2, 3, 0, 0, 0}));
  CHECK(holds(amax(x.t(), {0, 1}, true), {1, 1}, {5}));
}

TEST_CASE("max and min along a dim choose the first of equals") {
  Tensor x = leaf({1, 5, 5, 0, 0, 3}, {2, 3});
  const auto [values, indices] = x.max(1);
  CHECK(holds(values, {5, 3}));
  CHECK(indices.equal(tensor({1, 2})));
  CHECK(holds(gradient_of(values, x, {7, 9}), {2, 3}, {0, 7, 0, 0, 0, 9}));
  const TensorPair smallest = x.min(-1, true);
  CHECK(smallest.indices.equal(tensor({{0}, {0}})));
  CHECK(holds(gradient_of(smallest.values, x, {7, 9}), {2, 3}, {7, 0, 0, 9, 0, 0}));
  CHECK(x.max(0).indices.equal(tensor({0, 0, 0})));
  CHECK(x.t().max(0).indices.equal(tensor({1, 2})));
  x = leaf({4}, {});
  CHECK(holds(gradient_of(x.max(0).values, x, {3}), {}, {3}));
}

TEST_CASE("argmax and argmin, over all elements and along a dim") {
  const Tensor x = tensor({{1, 9, 3}, {9, 0, 0}});
  CHECK(x.argmax().equal(tensor(1)));
  CHECK(x.t().argmax().equal(tensor(1)));
  CHECK(x.argmin().equal(tensor(4)));
  CHECK(x.argmax(0).equal(tensor({1, 0, 0})));
  CHECK(x.argmin(1, true).equal(tensor({{0}, {1}})));
  CHECK(tensor({false, true, true}).argmax().equal(tensor(1)));
  CHECK(arange(100000).argmax().equal(tensor(99999)));
  CHECK(tensor(4.0).argmax().equal(tensor(0)));
  const Tensor numbers = arange(2 * 3 * 4).view({2, 3, 4});
  CHECK(numbers.max(1).indices.equal(full({2, 4}, 2, kInt64)));
}

TEST_CASE("NaN is an extreme, and infinities are numbers") {
  Tensor x = leaf({1, kNan, 3, kNan});
  CHECK(holds(x.max(), {}, {kNan}));
  CHECK(holds(x.min(), {}, {kNan}));
  CHECK(x.argmax().equal(tensor(1)));
  CHECK(x.min(0).indices.equal(tensor(1)));
  CHECK(holds(gradient_of(amax(x), x, {1}), {0, .5, 0, .5}));
  CHECK(holds(tensor({-kInf, -kInf}, kFloat64).max(), {}, {-kInf}));
  CHECK(tensor({-kInf, -kInf}).argmax().equal(tensor(0)));
  const Tensor many = zeros({100});
  many.select(0, 77).fill_(kNan);
  CHECK(std::isnan(many.max().item<float>()));
  CHECK(many.argmin().equal(tensor(77)));
}

TEST_CASE("whole numbers and truth values keep their dtype") {
  const std::int64_t low = std::numeric_limits<std::int64_t>::min();
  CHECK(tensor({low, low}).max().item<std::int64_t>() == low);
  CHECK(tensor({true, false}).max().equal(tensor(true)));
  CHECK(tensor({{true, false}, {true, true}}).min(0).values.equal(tensor({true, false})));
}

TEST_CASE("an extreme of nothing is refused, unless there is nothing to give") {
  const Tensor empty = zeros({0, 3});
  for (const std::string& message : {
           message_of<ShapeError>([&] { empty.max(); }),
           message_of<ShapeError>([&] { empty.argmin(); }),
           message_of<ShapeError>([&] { amax(empty, 0); }),
           message_of<ShapeError>([&] { empty.min(0); }),
       })
    CHECK(says(message, "[0, 3]"));
  CHECK(holds(amax(empty, 1), {0}, {}));
  CHECK(empty.max(1).indices.sizes() == Shape({0}));
}
