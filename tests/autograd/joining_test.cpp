#include <doctest/doctest.h>

#include <retrace/tests/autograd/numbers.h>

using namespace retrace;
using namespace retrace::testing;

TEST_CASE("cat joins along any dim and takes the gradient apart") {
  Tensor a = leaf({1, 2}, {2, 1}), b = leaf({3, 4, 5, 6}, {2, 2});
  const Tensor y = cat({a, b}, -1);
  CHECK(holds(y, {2, 3}, {1, 3, 4, 2, 5, 6}));
  y.backward(arange(6, kFloat64).view({2, 3}));
  CHECK(holds(a.grad(), {2, 1}, {0, 3}));
  CHECK(holds(b.grad(), {2, 2}, {1, 2, 4, 5}));
  CHECK(holds(cat({b.t(), b}).detach(), {4, 2}, {3, 5, 4, 6, 3, 4, 5, 6}));
  CHECK(cat({tensor({1}), tensor({2, 3})}).equal(tensor({1, 2, 3})));
  Tensor c = leaf({1, 2});
  CHECK(holds(gradient_of(cat({c, c, c.detach()}), c, {1, 2, 3, 4, 5, 6}), {4, 6}));
}

TEST_CASE("cat leaves out tensors of shape [0], and joins empty ones") {
  Tensor none = zeros({0}, kFloat64).requires_grad_();
  Tensor b = leaf({3, 4}, {1, 2});
  const Tensor y = cat({none, b, none});
  CHECK(holds(y, {1, 2}, {3, 4}));
  y.sum().backward();
  CHECK(none.grad().sizes() == Shape({0}));
  CHECK(holds(b.grad(), {1, 2}, {1, 1}));
  CHECK(cat({zeros({2, 0}), zeros({2, 3})}, 1).sizes() == Shape({2, 3}));
  CHECK(cat({zeros({0, 3}), zeros({2, 3})}).sizes() == Shape({2, 3}));
  CHECK(cat({zeros({0}), zeros({0})}).sizes() == Shape({0}));
}

TEST_CASE("a thousand tensors are one node") {
  std::vector<Tensor> parts;
  for (int i = 0; i < 1000; ++i) parts.push_back(leaf({double(i)}));
  const Tensor y = cat(parts);
  y.backward(arange(1000, kFloat64));
  CHECK(parts[999].grad().item<double>() == 999);
  CHECK(Backprop(cat(parts).sum()).size() == 2);
}

TEST_CASE("stack") {
  Tensor a = leaf({1, 2}), b = leaf({3, 4});
  CHECK(holds(stack({a, b}), {2, 2}, {1, 2, 3, 4}));
  const Tensor y = stack({a, b}, -1);
  CHECK(holds(y, {2, 2}, {1, 3, 2, 4}));
  CHECK(holds(gradient_of(y, a, {1, 2, 3, 4}), {1, 3}));
  CHECK(holds(stack({tensor(1.0), tensor(2.0)}), {1, 2}));
}

TEST_CASE("what cat and stack refuse") {
  std::string message = message_of<ShapeError>([] { cat({zeros({2, 3}), zeros({2, 4})}); });
  CHECK(says(message, "cat: tensor 1 is [2, 4], the first [2, 3]"));
  message = message_of<ShapeError>([] { cat({zeros({2, 3}), zeros({2})}); });
  CHECK(says(message, "[2]"));
  message = message_of<ShapeError>([] { stack({zeros({2}), zeros({3})}); });
  CHECK(says(message, "stack: tensor 1 is [3], the first [2]"));
  CHECK(says(message_of<ValueError>([] { cat({}); }), "empty"));
  CHECK_THROWS_AS(stack({}), ValueError);
  CHECK(says(message_of<DTypeError>([] { cat({zeros({2}), zeros({2}, kInt64)}); }), "int64"));
  CHECK(says(message_of<ShapeError>([] { cat({tensor(1.0), tensor(2.0)}); }), "stack"));
  CHECK_THROWS_AS(cat({zeros({2}), Tensor()}), ValueError);
  CHECK_THROWS_AS(cat({zeros({2}), zeros({2})}, 1), IndexError);
  CHECK_THROWS_AS(stack({zeros({2}), zeros({2})}, 2), IndexError);
}

TEST_CASE("repeat and tile") {
  Tensor x = leaf({1, 2, 3, 4}, {2, 2});
  CHECK(holds(repeat(x, {1, 2}), {2, 4}, {1, 2, 1, 2, 3, 4, 3, 4}));
  CHECK(holds(repeat(x, {2, 1, 1}), {2, 2, 2}, {1, 2, 3, 4, 1, 2, 3, 4}));
  CHECK(holds(repeat(x.t(), {2, 1}), {4, 2}, {1, 3, 2, 4, 1, 3, 2, 4}));
  CHECK(holds(gradient_of(repeat(x, {2, 2}), x, Numbers(16, 1.0)), {2, 2}, {4, 4, 4, 4}));
  CHECK(holds(tile(x, {2}), {2, 4}, {1, 2, 1, 2, 3, 4, 3, 4}));
  CHECK(repeat(x, {0, 2}).sizes() == Shape({0, 4}));
  CHECK(holds(repeat(tensor(5.0), {3}), {5, 5, 5}));
  CHECK(repeat(zeros({1, 1, 1, 1, 1, 1, 1, 2}), {1, 1, 1, 1, 1, 1, 2, 2}).numel() == 8);
  Tensor copy = repeat(x.detach(), {1, 1});
  copy.fill_(0);
  CHECK(holds(x, {2, 2}, {1, 2, 3, 4}));
  CHECK_THROWS_AS(repeat(x, {2}), ShapeError);
  CHECK_THROWS_AS(repeat(x, {2, -1}), ValueError);
  CHECK_THROWS_AS(repeat(x, {std::int64_t{1} << 40, std::int64_t{1} << 40}), ShapeError);
}

TEST_CASE("repeat_interleave") {
  Tensor x = leaf({1, 2, 3, 4}, {2, 2});
  CHECK(holds(repeat_interleave(x, 2, 0), {4, 2}, {1, 2, 1, 2, 3, 4, 3, 4}));
  CHECK(holds(repeat_interleave(x, 2, 1), {2, 4}, {1, 1, 2, 2, 3, 3, 4, 4}));
  CHECK(holds(repeat_interleave(x, 2), {1, 1, 2, 2, 3, 3, 4, 4}));
  CHECK(holds(gradient_of(repeat_interleave(x, 3, 1), x, Numbers(12, 1.0)), {2, 2}, {3, 3, 3, 3}));
  CHECK(holds(repeat_interleave(x, tensor({3, 0}), 0), {3, 2}, {1, 2, 1, 2, 1, 2}));
  CHECK(repeat_interleave(x, 0, 1).sizes() == Shape({2, 0}));
  CHECK_THROWS_AS(repeat_interleave(x, -1, 1), ValueError);
  CHECK_THROWS_AS(repeat_interleave(x, tensor({1, -1}), 0), ValueError);
  CHECK_THROWS_AS(repeat_interleave(x, tensor({1}), 0), ShapeError);
  CHECK_THROWS_AS(repeat_interleave(x, tensor({1.0, 2.0}), 0), DTypeError);
}

TEST_CASE("meshgrid") {
  const std::vector<Tensor> grids = meshgrid({tensor({1, 2}), tensor({3, 4, 5})});
  CHECK(grids[0].equal(tensor({{1, 1, 1}, {2, 2, 2}})));
  CHECK(grids[1].equal(tensor({{3, 4, 5}, {3, 4, 5}})));
  CHECK(meshgrid({tensor({1, 2}), tensor({3, 4, 5})}, "xy")[1].sizes() == Shape({3, 2}));
  CHECK_THROWS_AS(meshgrid({zeros({2, 2})}), ShapeError);
  CHECK_THROWS_AS(meshgrid({zeros({2})}, "ji"), ValueError);
}

TEST_CASE("flip and roll") {
  Tensor x = leaf({1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(holds(flip(x, {0}), {2, 3}, {4, 5, 6, 1, 2, 3}));
  CHECK(holds(flip(x, {0, -1}), {2, 3}, {6, 5, 4, 3, 2, 1}));
  CHECK(holds(flip(x.t(), {0}), {3, 2}, {3, 6, 2, 5, 1, 4}));
  CHECK(holds(gradient_of(flip(x, {1}), x, {1, 2, 3, 4, 5, 6}), {2, 3}, {3, 2, 1, 6, 5, 4}));
  CHECK(flip(zeros({0, 2}), {0}).sizes() == Shape({0, 2}));
  CHECK(holds(flip(tensor(1.0), {0}), {}, {1}));
  CHECK_THROWS_AS(flip(x, {0, 0}), IndexError);

  CHECK(holds(roll(x, 1, 1), {2, 3}, {3, 1, 2, 6, 4, 5}));
  CHECK(holds(roll(x, -7, 1), {2, 3}, {2, 3, 1, 5, 6, 4}));
  CHECK(holds(roll(x, {1, 1}, {0, 1}), {2, 3}, {6, 4, 5, 3, 1, 2}));
  CHECK(holds(roll(x, 1), {2, 3}, {6, 1, 2, 3, 4, 5}));
  CHECK(holds(roll(x.t(), 1, 0), {3, 2}, {3, 6, 1, 4, 2, 5}));
  CHECK(holds(gradient_of(roll(x, 1, 1), x, {1, 2, 3, 4, 5, 6}), {2, 3}, {2, 3, 1, 5, 6, 4}));
  CHECK(roll(zeros({0, 2}), 1, 0).sizes() == Shape({0, 2}));
  CHECK_THROWS_AS(roll(x, 1, 2), IndexError);
  CHECK_THROWS_AS(roll(x, {1, 2}, {0}), ShapeError);
}

TEST_CASE("pad adds a frame or cuts off") {
  Tensor x = leaf({1, 2, 3, 4}, {2, 2});
  CHECK(holds(pad(x, {1, 0}), {2, 3}, {0, 1, 2, 0, 3, 4}));
  CHECK(holds(pad(x, {0, 1, 1, 0}, 9), {3, 3}, {9, 9, 9, 1, 2, 9, 3, 4, 9}));
  CHECK(holds(pad(x, {-1, 2}), {2, 3}, {2, 0, 0, 4, 0, 0}));
  CHECK(holds(pad(x.t(), {0, 0, 0, -1}), {1, 2}, {1, 3}));
  CHECK(holds(gradient_of(pad(x, {1, 1, 0, 1}), x, {0, 1, 2, 0, 0, 3, 4, 0, 9, 9, 9, 9}), {2, 2},
              {1, 2, 3, 4}));
  CHECK(holds(gradient_of(pad(x, {-1, 1}), x, {1, 2, 3, 4}), {2, 2}, {0, 1, 0, 3}));
  CHECK(holds(pad(zeros({0}), {1, 1}, 2), {2, 2}));
  CHECK(pad(tensor({true}), {0, 1}, true).equal(tensor({true, true})));
  CHECK_THROWS_AS(pad(x, {1}), ShapeError);
  CHECK_THROWS_AS(pad(x, {1, 1, 1, 1, 1, 1}), ShapeError);
  CHECK(says(message_of<ShapeError>([&] { pad(x, {-1, -2}); }), "[2, 2]"));
  CHECK_THROWS_AS(pad(tensor({1}), {0, 1}, 0.5), DTypeError);
}

TEST_CASE("tril and triu") {
  Tensor x = leaf({1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(holds(tril(x), {2, 3}, {1, 0, 0, 4, 5, 0}));
  CHECK(holds(triu(x, 1), {2, 3}, {0, 2, 3, 0, 0, 6}));
  CHECK(holds(tril(x.t(), -1), {3, 2}, {0, 0, 2, 0, 3, 6}));
  CHECK(holds(triu(x, std::numeric_limits<std::int64_t>::min()), {2, 3}, {1, 2, 3, 4, 5, 6}));
  CHECK(holds(tril(x, std::numeric_limits<std::int64_t>::max()), {2, 3}, {1, 2, 3, 4, 5, 6}));
  CHECK(holds(gradient_of(triu(x), x, {1, 1, 1, 1, 1, 1}), {2, 3}, {1, 1, 1, 0, 1, 1}));
  CHECK(tril(ones({2, 2, 2}, kBool))
            .equal(tensor({{{true, false}, {true, true}}, {{true, false}, {true, true}}})));
  CHECK(tril(zeros({0, 3})).sizes() == Shape({0, 3}));
  CHECK(triu(zeros({3, 0})).sizes() == Shape({3, 0}));
  CHECK(says(message_of<ShapeError>([] { tril(zeros({3})); }), "tril: shape [3]"));
}
