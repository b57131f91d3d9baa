#include <doctest/doctest.h>

#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/autograd/numbers.h>

using namespace retrace;
using namespace retrace::testing;

TEST_CASE("index_select along any dim, with its gradient") {
  Tensor x = leaf({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor index = tensor({2, 0, 2});
  const Tensor y = x.index_select(1, index);
  CHECK(holds(y, {2, 3}, {3, 1, 3, 6, 4, 6}));
  CHECK(holds(gradient_of(y, x, {1, 2, 3, 4, 5, 6}), {2, 3}, {2, 0, 4, 5, 0, 10}));
  CHECK(holds(x.t().index_select(0, index), {3, 2}, {3, 6, 1, 4, 3, 6}));
  CHECK(holds(x.index_select(0, tensor(1)), {1, 3}, {4, 5, 6}));
  CHECK(x.index_select(0, zeros({0}, kInt64)).sizes() == Shape({0, 3}));
  CHECK(holds(index_select(tensor(7.0), 0, tensor({0})), {}, {7}));
  CHECK(holds(x.index_select(1, arange(6).slice(0, 0, 3, 2)), {2, 2}, {1, 3, 4, 6}));
  CHECK(tensor({true, false}).index_select(0, tensor({1, 1})).equal(tensor({false, false})));
}

TEST_CASE("gather and scatter_add are each other's gradient") {
  Tensor x = leaf({1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor index = tensor({{0, 0}, {2, 1}});
  const Tensor y = x.gather(1, index);
  CHECK(holds(y, {2, 2}, {1, 1, 6, 5}));
  CHECK(holds(gradient_of(y, x, {1, 2, 3, 4}), {2, 3}, {3, 0, 0, 0, 4, 3}));
  CHECK(holds(x.gather(0, tensor({{1, 0}})), {1, 2}, {4, 2}));
  CHECK(holds(x.t().gather(0, tensor({{2, 1}, {0, 0}})), {2, 2}, {3, 5, 1, 4}));
  CHECK(holds(gather(tensor(7.0), 0, tensor(0)), {}, {7}));
  CHECK(x.gather(1, zeros({2, 0}, kInt64)).sizes() == Shape({2, 0}));

  x.zero_grad();
  Tensor src = leaf({10, 20, 30, 40}, {2, 2});
  const Tensor sum = scatter_add(x, 1, index, src);
  CHECK(holds(sum, {2, 3}, {31, 2, 3, 4, 45, 36}));
  CHECK(holds(gradient_of(sum, src, {1, 2, 3, 4, 5, 6}), {2, 2}, {1, 1, 6, 5}));
  CHECK(holds(x.grad(), {2, 3}, {1, 2, 3, 4, 5, 6}));
  // More values than indices: the others are left out.
  CHECK(holds(gradient_of(scatter_add(x, 1, tensor({{2}}), src), src, {1, 2, 3, 4, 5, 6}), {2, 2},
              {3, 0, 0, 0}));
  CHECK(scatter_add(tensor({1, 2}), 0, tensor({1, 1}), tensor({3, 4})).equal(tensor({1, 9})));
  const Tensor truth = zeros({2}, kBool);
  CHECK_THROWS_AS(scatter_add(truth, 0, tensor({1, 1}), truth), DTypeError);
}

TEST_CASE("take_along_dim broadcasts") {
  const Tensor x = arange(6, kFloat64).view({2, 3});
  CHECK(holds(take_along_dim(x, tensor({{2}}), 1), {2, 1}, {2, 5}));
  CHECK(holds(take_along_dim(x, tensor({{1, 0, 1}}), 0), {1, 3}, {3, 1, 5}));
  CHECK_THROWS_AS(take_along_dim(x, tensor({2}), 1), ShapeError);
}

TEST_CASE("scatter: the last value for a place stays, and it alone has a gradient") {
  Tensor x = leaf({1, 2, 3}), src = leaf({10, 20, 30});
  const Tensor y = scatter(x, 0, tensor({1, 0, 1}), src);
  CHECK(holds(y, {20, 30, 3}));
  CHECK(holds(gradient_of(y, x, {1, 2, 3}), {0, 0, 3}));
  CHECK(holds(src.grad(), {0, 1, 2}));
  CHECK(holds(scatter(x, 0, tensor({2}), 9), {1, 2, 9}));
  CHECK(scatter(zeros({2, 2}, kBool), 1, tensor({{1}, {0}}), true)
            .equal(tensor({{false, true}, {true, false}})));
}

TEST_CASE("index_add") {
  Tensor x = leaf({1, 2, 3, 4}, {2, 2}), src = leaf({1, 2, 3, 4, 5, 6}, {3, 2});
  const Tensor y = index_add(x, 0, tensor({1, 1, 0}), src, 10);
  CHECK(holds(y, {2, 2}, {51, 62, 43, 64}));
  CHECK(holds(gradient_of(y, src, {1, 2, 3, 4}), {3, 2}, {30, 40, 30, 40, 10, 20}));
  CHECK(holds(x.grad(), {2, 2}, {1, 2, 3, 4}));
  CHECK(holds(index_add(x, -1, tensor({1, 1, 0}), src.t()), {2, 2}, {6, 6, 9, 10}));
  CHECK(index_add(tensor({1, 2}), 0, tensor({1}), tensor({5}), 2).equal(tensor({1, 12})));
  CHECK(holds(index_add(x, 0, zeros({0}, kInt64), zeros({0, 2}, kFloat64)), {2, 2}, {1, 2, 3, 4}));
  CHECK_THROWS_AS(index_add(x, 0, tensor({0}), src), ShapeError);
  CHECK_THROWS_AS(index_add(tensor({1}), 0, tensor({0}), tensor({1}), 0.5), DTypeError);
}

TEST_CASE("sums into one element keep float32's accuracy and do not depend on the threads") {
  const std::int64_t n = 2'000'000;
  const Tensor index = zeros({n}, kInt64), values = full({n}, 0.1f);
  CHECK(index_add(zeros({3}), 0, index, values).select(0, 0).item<float>() == 200000.0f);
  CHECK(scatter_add(zeros({3}), 0, index, values).select(0, 0).item<float>() == 200000.0f);

  manual_seed(5);
  const Tensor rows = randint(0, 50, {20000}), source = randn({20000, 70});
  const Tensor places = rows.unsqueeze(1).expand({20000, 70});
  const int before = num_threads();
  Tensor added[2], scattered[2];
  for (int threads : {1, 2}) {
    set_num_threads(threads);
    added[threads - 1] = index_add(zeros({50, 70}), 0, rows, source);
    scattered[threads - 1] = scatter_add(zeros({50, 70}), 0, places, source);
  }
  set_num_threads(before);
  CHECK(added[0].equal(added[1]));
  CHECK(scattered[0].equal(scattered[1]));
  CHECK(added[0].equal(scattered[0]));
}

TEST_CASE("embedding looks rows up and adds their gradients") {
  Tensor table = leaf({0, 1, 10, 11, 20, 21}, {3, 2});
  const Tensor index = tensor({{2, 0}, {2, 1}});
  const Tensor y = embedding(table, index);
  CHECK(holds(y, {2, 2, 2}, {20, 21, 0, 1, 20, 21, 10, 11}));
  CHECK(holds(gradient_of(y, table, {1, 2, 3, 4, 5, 6, 7, 8}), {3, 2}, {3, 4, 7, 8, 6, 8}));
  for (const std::int64_t padding : {2, -1}) {
    const Tensor padded = embedding(table, index, padding);
    CHECK(padded.equal(y));
    CHECK(holds(gradient_of(padded, table, {1, 2, 3, 4, 5, 6, 7, 8}), {3, 2}, {3, 4, 7, 8, 0, 0}));
  }
  CHECK(holds(embedding(table, tensor(1)), {10, 11}));
  CHECK(embedding(table, zeros({0, 3}, kInt64)).sizes() == Shape({0, 3, 2}));
  CHECK(holds(embedding(table.t(), tensor({1})), {1, 3}, {1, 11, 21}));
}

TEST_CASE("gradients of a table add up over lookups and over backward passes") {
  Tensor table = leaf({0, 1, 10, 11}, {2, 2});
  const auto loss = [&] {
    return embedding(table, tensor({0, 1})).sum() + embedding(table, tensor({1, 1})).sum();
  };
  loss().backward();
  CHECK(holds(table.grad(), {2, 2}, {1, 1, 3, 3}));
  loss().backward();
  CHECK(holds(table.grad(), {2, 2}, {2, 2, 6, 6}));
}

TEST_CASE("embedding can be gone back through twice") {
  Tensor table = leaf({1, 2, 3, 4}, {2, 2});
  const Tensor y = embedding(table, tensor({0, 1, 0}), 1);
  const Tensor g = grad({(y * y * y).sum()}, {table}, {}, false, true)[0];
  CHECK(holds(g, {2, 2}, {6, 24, 0, 0}));  // 2 · 3 x²
  CHECK(holds(grad({g.sum()}, {table})[0], {2, 2}, {12, 24, 0, 0}));
}

TEST_CASE("masked_select and nonzero") {
  Tensor x = leaf({1, 2, 3, 4}, {2, 2});
  const Tensor mask = tensor({{true, false}, {true, true}});
  CHECK(holds(masked_select(x, mask), {1, 3, 4}));
  CHECK(holds(masked_select(x.t(), mask), {1, 2, 4}));
  CHECK(holds(gradient_of(masked_select(x, mask), x, {5, 6, 7}), {2, 2}, {5, 0, 6, 7}));
  CHECK(
      holds(gradient_of(masked_select(x, tensor({false, true})), x, {5, 6}), {2, 2}, {0, 5, 0, 6}));
  Tensor row = leaf({1, 2});
  CHECK(holds(gradient_of(masked_select(row, mask), row, {5, 6, 7}), {11, 7}));
  CHECK(masked_select(x, zeros({2, 2}, kBool)).sizes() == Shape({0}));
  CHECK_THROWS_AS(masked_select(x, tensor({1, 0})), DTypeError);
  CHECK_THROWS_AS(masked_select(x, zeros({3}, kBool)), ShapeError);

  CHECK(nonzero(tensor({{0, 3}, {kNan, 0}})).equal(tensor({{0, 1}, {1, 0}})));
  CHECK(nonzero(mask.t()).equal(tensor({{0, 0}, {0, 1}, {1, 1}})));
  CHECK(nonzero(tensor(1)).sizes() == Shape({1, 0}));
  CHECK(nonzero(zeros({2, 0})).sizes() == Shape({0, 2}));
}

TEST_CASE("one_hot") {
  CHECK(one_hot(tensor({1, 0}), 3).equal(tensor({{0, 1, 0}, {1, 0, 0}})));
  CHECK(one_hot(tensor({{2}})).equal(tensor({{{0, 0, 1}}})));
  CHECK(one_hot(tensor(1), 2).equal(tensor({0, 1})));
  CHECK(one_hot(zeros({0}, kInt64), 2).sizes() == Shape({0, 2}));
  CHECK(says(message_of<IndexError>([] { one_hot(tensor({0, -1}), 3); }), "class -1 at [1]"));
  CHECK(says(message_of<IndexError>([] { one_hot(tensor({0, -1})); }), "class -1"));
  CHECK(says(message_of<IndexError>([] { one_hot(tensor({{0}, {3}}), 3); }), "class 3 at [1, 0]"));
  CHECK_THROWS_AS(one_hot(tensor({0}), 0), ValueError);
  CHECK_THROWS_AS(one_hot(zeros({0}, kInt64)), ValueError);
  CHECK_THROWS_AS(one_hot(zeros({2}), 2), DTypeError);
}

TEST_CASE("indices out of range are refused with index, position and sizes") {
  const Tensor x = zeros({2, 3}), table = zeros({4, 2});
  std::string message = message_of<IndexError>([&] { x.gather(1, tensor({{0, 3}})); });
  CHECK(says(message, "gather: index 3 at [0, 1] is out of range for dim 1 of shape [2, 3]"));
  message = message_of<IndexError>([&] { x.index_select(0, tensor({0, 2})); });
  CHECK(says(message, "index_select: index 2 at [1]"));
  message = message_of<IndexError>([&] { embedding(table, tensor({{0, 1}, {9, 0}})); });
  CHECK(says(message, "embedding: index 9 at [1, 0]"));
  CHECK(says(message, "4 rows [4, 2]"));
  message = message_of<IndexError>([&] { embedding(table, tensor({-1})); });
  CHECK(says(message, "index -1 at [0]"));
  const Tensor ones_in = ones({1, 1});
  CHECK_THROWS_AS(scatter_add(x, 1, tensor({{3}}), ones_in), IndexError);
  CHECK_THROWS_AS(scatter(x, 1, tensor({{-1}}), ones_in), IndexError);
  CHECK_THROWS_AS(index_add(x, 0, tensor({2}), zeros({1, 3})), IndexError);
  CHECK_THROWS_AS(embedding(table, tensor({0}), 4), IndexError);
  CHECK(x.equal(zeros({2, 3})));
}

TEST_CASE("indices of the wrong dtype or shape are refused") {
  const Tensor x = zeros({2, 3});
  CHECK(says(message_of<DTypeError>([&] { x.index_select(0, zeros({1})); }), "must be int64"));
  CHECK_THROWS_AS(x.index_select(0, zeros({1, 1}, kInt64)), ShapeError);
  CHECK(says(message_of<ShapeError>([&] { x.gather(1, tensor({0})); }), "[1]"));
  CHECK_THROWS_AS(x.gather(1, zeros({3, 1}, kInt64)), ShapeError);
  CHECK_THROWS_AS(x.gather(2, zeros({2, 1}, kInt64)), IndexError);
  CHECK(says(message_of<DTypeError>([&] { embedding(x, zeros({1})); }), "embedding"));
  CHECK_THROWS_AS(embedding(zeros({3}), tensor({0})), ShapeError);
  CHECK_THROWS_AS(scatter_add(x, 1, zeros({2, 2}, kInt64), zeros({2, 1})), ShapeError);
  CHECK_THROWS_AS(scatter_add(x, 1, zeros({2, 1}, kInt64), zeros({2, 1}, kFloat64)), DTypeError);
  CHECK_THROWS_AS(scatter_add(zeros({1}, kBool), 0, tensor({0}), zeros({1}, kBool)), DTypeError);
}

TEST_CASE("changing an index before backward is an error") {
  Tensor x = leaf({1, 2, 3}), index = tensor({0, 1});
  const Tensor y = x.gather(0, index);
  index.fill_(2);
  CHECK_THROWS_AS(y.sum().backward(), AutogradError);
}
