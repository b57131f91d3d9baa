#include <doctest/doctest.h>

#include <retrace/tensor/random.h>
#include <retrace/tests/autograd/numbers.h>

using namespace retrace;
using namespace retrace::testing;

TEST_CASE("sort keeps the order of equals and puts NaN last") {
  const Tensor x = tensor({2.0, kNan, 1.0, 2.0, -kInf, kNan, 1.0}, kFloat64);
  const TensorPair up = x.sort();
  CHECK(holds(up.values, {-kInf, 1, 1, 2, 2, kNan, kNan}));
  CHECK(up.indices.equal(tensor({4, 2, 6, 0, 3, 1, 5})));
  const TensorPair down = x.sort(0, true);
  CHECK(holds(down.values, {kNan, kNan, 2, 2, 1, 1, -kInf}));
  CHECK(down.indices.equal(tensor({1, 5, 0, 3, 2, 6, 4})));
  CHECK(argsort(x, 0, true).equal(down.indices));
}

TEST_CASE("sort along any dim, with its gradient") {
  Tensor x = leaf({3, 1, 2, 0, 5, 4}, {2, 3});
  const TensorPair rows = x.sort(1), columns = x.sort(0);
  CHECK(holds(rows.values, {2, 3}, {1, 2, 3, 0, 4, 5}));
  CHECK(holds(columns.values, {2, 3}, {0, 1, 2, 3, 5, 4}));
  CHECK(holds(gradient_of(rows.values, x, {1, 2, 3, 4, 5, 6}), {2, 3}, {3, 1, 2, 4, 6, 5}));
  CHECK(holds(gradient_of(columns.values, x, {1, 2, 3, 4, 5, 6}), {2, 3}, {4, 2, 3, 1, 5, 6}));
  CHECK(holds(x.t().sort(0).values, {3, 2}, {1, 0, 2, 4, 3, 5}));
  CHECK(tensor({3, 1, 2}).sort().values.equal(tensor({1, 2, 3})));
  CHECK(tensor({true, false}).sort().values.equal(tensor({false, true})));
  CHECK(zeros({2, 0}).sort(0).indices.sizes() == Shape({2, 0}));
  CHECK(holds(tensor(4.0).sort().values, {}, {4}));
}

TEST_CASE("sorting many elements") {
  manual_seed(3);
  const Tensor order = randperm(5000);
  CHECK(order.sort().values.equal(arange(5000)));
  CHECK(gather(order, 0, argsort(order)).equal(arange(5000)));
  CHECK(order.topk(3).values.equal(tensor({4999, 4998, 4997})));
  CHECK(order.topk(4000, 0, false).values.equal(arange(4000)));
  CHECK(zeros({5000}).sort(0, true).indices.equal(arange(5000)));
}

TEST_CASE("topk") {
  Tensor x = leaf({1, 4, 4, 2, kNan, 0}, {2, 3});
  const TensorPair largest = x.topk(2);
  CHECK(holds(largest.values, {2, 2}, {4, 4, kNan, 2}));
  CHECK(largest.indices.equal(tensor({{1, 2}, {1, 0}})));
  CHECK(holds(gradient_of(largest.values, x, {1, 2, 3, 4}), {2, 3}, {0, 1, 2, 4, 3, 0}));
  CHECK(holds(x.topk(1, 0, false).values, {1, 3}, {1, 4, 0}));
  CHECK(x.topk(0).values.sizes() == Shape({2, 0}));
  const std::string message = message_of<IndexError>([&] { x.topk(4); });
  CHECK(says(message, "topk: k = 4"));
  CHECK(says(message, "[2, 3]"));
  CHECK_THROWS_AS(x.topk(-1), IndexError);
  CHECK_THROWS_AS(x.topk(1, 2), IndexError);
}
