#include <doctest/doctest.h>

#include <retrace/tests/autograd/numbers.h>

using namespace retrace;
using namespace retrace::indexing;
using namespace retrace::testing;

namespace {
Tensor numbers() { return arange(24, kFloat64).view({2, 3, 4}); }
}  // namespace

TEST_CASE("whole numbers, slices, None and Ellipsis give views") {
  Tensor x = numbers();
  CHECK(holds(x.index({1, 2}), {20, 21, 22, 23}));
  CHECK(holds(x.index({-1, -1, -1}), {}, {23}));
  CHECK(holds(x.index({Slice(), 0, Slice(None, None, 2)}), {2, 2}, {0, 2, 12, 14}));
  CHECK(holds(x.index({0, Slice(1, None), Slice(-2, None)}), {2, 2}, {6, 7, 10, 11}));
  CHECK(holds(x.index({Ellipsis, 3}), {2, 3}, {3, 7, 11, 15, 19, 23}));
  CHECK(holds(x.index({1, Ellipsis, 0}), {12, 16, 20}));
  CHECK(x.index({None, 0, None, Ellipsis}).sizes() == Shape({1, 1, 3, 4}));
  CHECK(x.index({Ellipsis, None}).sizes() == Shape({2, 3, 4, 1}));
  CHECK(x.index({}).sizes() == Shape({2, 3, 4}));
  CHECK(tensor(1.0).index({None}).sizes() == Shape({1}));
  x.index({0, Slice(), 1}).fill_(-1);
  CHECK(holds(x.index({0, 2}), {8, -1, 10, 11}));
}

TEST_CASE("index tensors pick elements, and broadcast against each other") {
  const Tensor x = numbers();
  const Tensor rows = tensor({1, 0, -1});
  CHECK(holds(x.index({rows, 0, 0}), {12, 0, 12}));
  CHECK(holds(x.index({rows, tensor({2, 1, 0}), tensor({3})}), {23, 7, 15}));
  CHECK(x.index({tensor({{0}, {1}}), tensor({0, 2})}).sizes() == Shape({2, 2, 4}));
  CHECK(holds(x.index({tensor({{0}, {1}}), tensor({0, 2}), 1}), {2, 2}, {1, 9, 13, 21}));
  CHECK(holds(x.index({Slice(), tensor({2, 0}), 1}), {2, 2}, {9, 1, 21, 13}));
  CHECK(holds(x.index({tensor(1), tensor(2)}), {20, 21, 22, 23}));
  CHECK(x.index({zeros({0}, kInt64)}).sizes() == Shape({0, 3, 4}));
  // Neighbours: their dims stay where they were. Not neighbours: in front.
  CHECK(x.index({Slice(), tensor({0, 1, 2, 0, 1}), tensor({0, 1, 2, 0, 1})}).sizes() ==
        Shape({2, 5}));
  const Tensor apart = x.index({tensor({0, 1}), Slice(), tensor({1, 2})});
  CHECK(holds(apart, {2, 3}, {1, 5, 9, 14, 18, 22}));
  CHECK(x.index({Slice(), None, tensor({0, 1})}).sizes() == Shape({2, 1, 2, 4}));
  CHECK(holds(x.transpose(0, 2).index({tensor({3, 0}), Slice(), 1}), {2, 3},
              {15, 19, 23, 12, 16, 20}));
}

TEST_CASE("masks pick what holds") {
  const Tensor x = numbers();
  CHECK(holds(x.index({tensor({false, true}), 0, 0}), {12}));
  const Tensor mask = tensor({{true, false, false}, {false, false, true}});
  CHECK(holds(x.index({mask}), {2, 4}, {0, 1, 2, 3, 20, 21, 22, 23}));
  CHECK(holds(x.index({mask, 0}), {0, 20}));
  CHECK(holds(x.index({mask, tensor({3, 2})}), {3, 22}));
  CHECK(holds(x.index({Ellipsis, tensor({true, false, false, false})}), {2, 3, 1},
              {0, 4, 8, 12, 16, 20}));
  CHECK(x.index({zeros({2, 3, 4}, kBool)}).sizes() == Shape({0}));
  CHECK(x.index({true}).sizes() == Shape({1, 2, 3, 4}));
  CHECK(x.index({tensor(false)}).sizes() == Shape({0, 2, 3, 4}));
}

TEST_CASE("index has the gradient of what it picks") {
  Tensor x = leaf({1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(holds(gradient_of(x.index({tensor({1, 1, 0})}), x, {1, 2, 3, 4, 5, 6, 7, 8, 9}), {2, 3},
              {7, 8, 9, 5, 7, 9}));
  CHECK(holds(gradient_of(x.index({tensor({1, 1, 0}), tensor({0, 0, 2})}), x, {1, 2, 3}), {2, 3},
              {0, 0, 3, 3, 0, 0}));
  CHECK(holds(gradient_of(x.index({Slice(), tensor({false, true, false})}), x, {1, 2}), {2, 3},
              {0, 1, 0, 0, 2, 0}));
}

TEST_CASE("index_put_ writes everywhere that index reads") {
  Tensor x = numbers();
  x.index_put_({0, 0}, tensor({-1.0, -2.0, -3.0, -4.0}, kFloat64));
  CHECK(holds(x.index({0, 0}), {-1, -2, -3, -4}));
  x.index_put_({tensor({0, 1}), tensor({-1, 0})}, 7);
  CHECK(holds(x.index({0, 2}), {7, 7, 7, 7}));
  CHECK(holds(x.index({1, 0}), {7, 7, 7, 7}));
  x.index_put_({tensor({0, 1}), Slice(), tensor({1, 2})}, tensor({{1.0}, {2.0}}, kFloat64));
  CHECK(holds(x.index({0, Slice(), 1}), {1, 1, 1}));
  CHECK(holds(x.index({1, Slice(), 2}), {2, 2, 2}));
  Tensor y = arange(6, kFloat64).view({2, 3});
  y.t().index_put_({tensor({2, 2, 0})}, tensor({{1.0}, {2.0}, {3.0}}, kFloat64));
  CHECK(holds(y, {2, 3}, {3, 1, 2, 3, 4, 2}));  // of two values for one place the last stays
  y.index_put_({y.index({Slice()}).to(kBool)}, 0);
  CHECK(holds(y, {2, 3}, {0, 0, 0, 0, 0, 0}));
  Tensor z = tensor({1, 2, 3});
  z.index_put_({tensor({0, 1})}, z.slice(0, 1));
  CHECK(z.equal(tensor({2, 3, 3})));
  z.index_put_({tensor({false, false, false})}, 9);
  CHECK(z.equal(tensor({2, 3, 3})));
  const std::uint32_t version = z.version();
  z.index_put_(
      {
          Slice(),
      },
      1);
  CHECK(z.version() > version);
}

TEST_CASE("index_put_ is recorded") {
  Tensor x = leaf({1, 2, 3, 4}), value = leaf({10, 20});
  Tensor y = x * 2;
  y.index_put_({tensor({0, 2})}, value);
  CHECK(holds(y, {10, 4, 20, 8}));
  y.backward(tensor({1.0, 2.0, 3.0, 4.0}, kFloat64));
  CHECK(holds(x.grad(), {0, 4, 0, 8}));
  CHECK(holds(value.grad(), {1, 3}));
  Tensor z = x * 1, scalar = leaf({5}, {});
  z.index_put_({Slice(0, 3)}, scalar);
  z.backward(tensor({1.0, 2.0, 3.0, 4.0}, kFloat64));
  CHECK(holds(scalar.grad(), {}, {6}));
  CHECK(holds(index_put(x, {tensor({true, false, true, false})}, value), {10, 2, 20, 4}));
  CHECK_THROWS_AS(x.index_put_({0}, 1), AutogradError);
  CHECK(holds(x, {1, 2, 3, 4}));
}

TEST_CASE("what index refuses") {
  Tensor x = numbers();
  std::string message = message_of<IndexError>([&] { x.index({0, 0, 0, 0}); });
  CHECK(says(message, "index: 4 indices for shape [2, 3, 4]"));
  message = message_of<IndexError>([&] { x.index({2}); });
  CHECK(says(message, "2"));
  message = message_of<IndexError>([&] { x.index({tensor({0, 5})}); });
  CHECK(says(message, "index: index 5 at [1] is out of range for dim 0 of shape [2, 3, 4]"));
  CHECK_THROWS_AS(x.index({tensor({-3})}), IndexError);
  message = message_of<ShapeError>([&] { x.index({tensor({true})}); });
  CHECK(says(message, "mask of shape [1]"));
  CHECK_THROWS_AS(x.index({zeros({2, 2}, kBool)}), ShapeError);
  CHECK_THROWS_AS(x.index({tensor({0, 1}), tensor({0, 1, 2})}), ShapeError);
  CHECK_THROWS_AS(x.index({zeros({2})}), DTypeError);
  CHECK_THROWS_AS(x.index({Ellipsis, Ellipsis}), IndexError);
  CHECK_THROWS_AS(x.index({Slice(0, 1, 0)}), ValueError);
  CHECK_THROWS_AS(x.index({Slice(0, 1, -1)}), ValueError);
  CHECK_THROWS_AS(tensor(1.0).index({0}), IndexError);
  CHECK_THROWS_AS(x.index({Tensor()}), ValueError);
  CHECK_THROWS_AS(Tensor().index({0}), ValueError);
}

TEST_CASE("a refused index_put_ changes nothing") {
  Tensor x = numbers();
  const Tensor before = x.clone();
  const std::uint32_t version = x.version();
  CHECK_THROWS_AS(x.index_put_({tensor({0, 1, 2})}, 1), IndexError);
  CHECK_THROWS_AS(x.index_put_({0}, zeros({3}, kFloat64)), ShapeError);
  CHECK_THROWS_AS(x.index_put_({0}, zeros({4})), DTypeError);
  CHECK_THROWS_AS(x.index_put_({0}, Tensor()), ValueError);
  CHECK_THROWS_AS(tensor({1, 2}).index_put_({0}, 0.5), DTypeError);
  CHECK(x.equal(before));
  CHECK(x.version() == version);
  Tensor repeated = zeros({1}).expand({3});
  CHECK_THROWS_AS(repeated.index_put_({tensor({0})}, 1), ValueError);
}
