#include <doctest/doctest.h>

#include <retrace/tests/autograd/numbers.h>

using namespace retrace;
using namespace retrace::testing;

TEST_CASE("cumsum and cumprod along any dim") {
  Tensor x = leaf({1, 2, 3, 4, 5, 6}, {2, 3});
  CHECK(holds(cumsum(x, 0), {2, 3}, {1, 2, 3, 5, 7, 9}));
  CHECK(holds(cumsum(x, -1), {2, 3}, {1, 3, 6, 4, 9, 15}));
  CHECK(holds(x.t().cumsum(0), {3, 2}, {1, 4, 3, 9, 6, 15}));
  CHECK(holds(cumprod(x, 1), {2, 3}, {1, 2, 6, 4, 20, 120}));
  CHECK(holds(cumprod_exclusive(x, 1), {2, 3}, {1, 1, 2, 1, 4, 20}));
  CHECK(holds(gradient_of(cumsum(x, 1), x, {1, 10, 100, 2, 20, 200}), {2, 3},
              {111, 110, 100, 222, 220, 200}));
  CHECK(cumsum(tensor({true, true}), 0).equal(tensor({1, 2})));
  CHECK(cumprod(tensor({3, 4}), 0).equal(tensor({3, 12})));
  CHECK(holds(cumsum(tensor(3.0), 0), {}, {3}));
  CHECK(holds(cumprod_exclusive(tensor(3.0), 0), {}, {1}));
  CHECK(cumsum(zeros({2, 0}), 1).sizes() == Shape({2, 0}));
  CHECK(cumprod_exclusive(zeros({2, 0}), 1).sizes() == Shape({2, 0}));
  CHECK_THROWS_AS(cumsum(x, 2), IndexError);
}

TEST_CASE("cumsum over more columns than are carried side by side") {
  const Tensor x = ones({3, 200});
  CHECK(holds(cumsum(x, 0).select(0, 2), Numbers(200, 3.0)));
  CHECK(cumsum(full({100000}, 0.1f), 0).select(0, -1).item<float>() == 10000.0f);
}

TEST_CASE("cumprod has the right gradient with zeros") {
  // y = a, ab, abc, abcd
  const auto check = [](double a, double b, double c, double d) {
    Tensor x = leaf({a, b, c, d});
    const Tensor g = gradient_of(cumprod(x, 0), x, {1, 10, 100, 1000});
    CHECK(holds(
        g, {1 + 10 * b + 100 * b * c + 1000 * b * c * d, 10 * a + 100 * a * c + 1000 * a * c * d,
            100 * a * b + 1000 * a * b * d, 1000 * a * b * c}));
  };
  check(2, 3, 4, 5);
  check(2, 0, 4, 5);
  check(0, 3, 0, 5);
  check(0, 0, 0, 0);
  check(2, 3, 4, 0);
}

TEST_CASE("the gradient of cumprod where its parts leave the range of float32") {
  Tensor x = tensor({1e-30, 1e-30, 1e30, 1e30}).requires_grad_();
  const Tensor g = gradient_of(cumprod(x, 0), x, {0, 0, 0, 1});
  CHECK(allclose(g, tensor({1e30, 1e30, 1e-30, 1e-30}), 1e-7, 0));
}

TEST_CASE("a linear recurrence and its gradient") {
  // h = p, bp' ... with h0 = p, h1 = b p + q, h2 = c h1 + r
  Tensor a = leaf({kInf, 2, 3}), b = leaf({1, 10, 100});
  const Tensor h = linear_recurrence(a, b, 0);
  CHECK(holds(h, {1, 12, 136}));
  h.backward(tensor({1.0, 1.0, 1.0}, kFloat64));
  CHECK(holds(b.grad(), {9, 4, 1}));   // u2 = 1, u1 = 1 + 3, u0 = 1 + 2 · 4
  CHECK(holds(a.grad(), {0, 4, 12}));  // u_i h_{i-1}
  CHECK_THROWS_AS(linear_recurrence(zeros({2}), zeros({3}), 0), ShapeError);
  CHECK_THROWS_AS(linear_recurrence(zeros({2}), zeros({2}, kFloat64), 0), DTypeError);
  CHECK_THROWS_AS(linear_recurrence(tensor({1}), tensor({1}), 0), DTypeError);
}
