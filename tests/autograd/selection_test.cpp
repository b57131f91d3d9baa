#include <retrace/autograd/gradcheck.h>

#include <retrace/tensor/random.h>
#include <retrace/tests/autograd/pointwise.h>

namespace {

using namespace retrace;
using namespace retrace::testing;

TEST_CASE("where chooses, with numbers too") {
  const Tensor c = tensor({true, false, true});
  const Tensor a = tensor({1.0, 2.0, 3.0}), b = tensor({-1.0, -2.0, -3.0});
  CHECK(where(c, a, b).equal(tensor({1.0, -2.0, 3.0})));
  CHECK(where(c, a, 0).equal(tensor({1.0, 0.0, 3.0})));
  CHECK(where(c, 7.5, b).equal(tensor({7.5, -2.0, 7.5})));
  CHECK(where(c, 1, 2).equal(tensor({1, 2, 1})));
  CHECK(where(c, 1.0, 2).equal(tensor({1.0, 2.0, 1.0})));
  CHECK(where(c, c, !c).equal(tensor({true, true, true})));
  CHECK(where(c, tensor({1, 2, 3}), 9).equal(tensor({1, 9, 3})));
}

TEST_CASE("where broadcasts all three and gives each branch its gradient") {
  const Tensor c = tensor({{true}, {false}, {true}});
  const Tensor a = doubles({1, 2, 3, 4}).view({1, 4}).requires_grad_();
  const Tensor b = tensor(0.5, kFloat64).requires_grad_();
  const Tensor y = where(c, a, b);
  CHECK(y.sizes() == Shape({3, 4}));
  y.backward(ones({3, 4}, kFloat64));
  CHECK(numbers(a.grad()) == Numbers{2, 2, 2, 2});
  CHECK(numbers(b.grad()) == Numbers{4});
  CHECK(gradcheck([&](const std::vector<Tensor>& in) { return where(c, in[0], in[1]); },
                  {a.detach().clone().requires_grad_(), b.detach().clone().requires_grad_()}));
  CHECK(gradgradcheck([&](const std::vector<Tensor>& in) { return square(where(c, in[0], in[1])); },
                      {a.detach().clone().requires_grad_(), b.detach().clone().requires_grad_()}));
  CHECK(where(c, a, 1.0).requires_grad());
  CHECK(!where(c, a.detach(), 1.0).requires_grad());
}

TEST_CASE("an element that is not taken stops even an infinite gradient") {
  const Tensor x = doubles({1, 2}).requires_grad_();
  where(tensor({true, false}), x, 0).backward(doubles({3, kInfinity}));
  CHECK(numbers(x.grad()) == Numbers{3, 0});
  x.zero_grad();
  masked_fill(x, tensor({true, false}), 5).backward(doubles({kNaN, 2}));
  CHECK(numbers(x.grad()) == Numbers{0, 2});
  x.zero_grad();
  clamp(x, 0.0, 1.5).backward(doubles({2, kInfinity}));
  CHECK(numbers(x.grad()) == Numbers{2, 0});
}

TEST_CASE("a branch with an infinite slope gives NaN even where it is not taken") {
  CHECK(close(slopes([](const Tensor& x) { return where(x > 0.0, log(x), 0.0); }, {0, 2}),
              {kNaN, 0.5}));
}

TEST_CASE("where and masked_fill refuse other masks, dtypes and shapes") {
  const Tensor x = ones({2, 3});
  for (const Tensor& mask : {ones({2, 3}), ones({2, 3}, kInt64)}) {
    CHECK(says(message_of<DTypeError>([&] { where(mask, x, x); }), "where: "));
    CHECK(says(message_of<DTypeError>([&] { where(mask, x, 0); }), "where: "));
    const std::string filled = message_of<DTypeError>([&] { masked_fill(x, mask, 0); });
    CHECK(says(filled, "masked_fill: "));
    CHECK(says(filled, "bool"));
    CHECK(says(message_of<DTypeError>([&] { x.clone().masked_fill_(mask, 0); }), "masked_fill_"));
  }
  const Tensor c = zeros({2, 3}, kBool);
  CHECK(says(message_of<DTypeError>([&] { where(c, x, ones({2, 3}, kFloat64)); }), "float64"));
  CHECK(says(message_of<ShapeError>([&] { where(c, x, ones({4})); }), "[4]"));
  CHECK(says(message_of<ShapeError>([&] { masked_fill(x, zeros({4}, kBool), 0); }), "[4]"));
  CHECK(says(message_of<DTypeError>([&] {
               masked_fill(tensor({1, 2}), zeros({2}, kBool), 0.5);
             }),
             "masked_fill: "));
  CHECK(says(message_of<ValueError>([&] { where(c, x, Tensor()); }), "argument 2"));
}

TEST_CASE("masked_fill of any layout, with masks that broadcast") {
  const Tensor x = doubles({1, 2, 3, 4, 5, 6}).view({2, 3});
  const Tensor mask = tensor({true, false, true});
  for (const Tensor& laid : layouts(x))
    CHECK(numbers(laid.masked_fill(mask, -kInfinity)) ==
          Numbers{-kInfinity, 2, -kInfinity, -kInfinity, 5, -kInfinity});
  CHECK(
      masked_fill(tensor({true, false}), tensor({false, true}), true).equal(tensor({true, true})));
  CHECK(masked_fill(tensor(1.0), mask, 2).equal(tensor({2.0, 1.0, 2.0})));
  CHECK(masked_fill(zeros({0, 3}), mask, 1).sizes() == Shape({0, 3}));
  const Tensor big = randn({300, 257});
  const Tensor upper = big > 0.0;
  const Tensor filled = masked_fill(big.t(), upper.t(), 0).t();
  CHECK(filled.equal(minimum(big, zeros_like(big))));
}

TEST_CASE("clamp") {
  const Tensor x = doubles({-2, -1, 0, 1, 2, kNaN});
  CHECK(close(numbers(clamp(x, -1.0, 1.0)), {-1, -1, 0, 1, 1, kNaN}));
  CHECK(close(numbers(clamp(x, {}, 0.5)), {-2, -1, 0, 0.5, 0.5, kNaN}));
  CHECK(close(numbers(x.clamp(0.5)), {0.5, 0.5, 0.5, 1, 2, kNaN}));
  CHECK(slopes([](const Tensor& t) { return clamp(t, -1, 1); }, {-2, -1, 0, 1, 2}) ==
        Numbers{0, 1, 1, 1, 0});
  CHECK(clamp(tensor({-5, 0, 5}), -1, 3).equal(tensor({-1, 0, 3})));
  const std::int64_t big = (std::int64_t{1} << 62) + 1;
  CHECK(clamp(tensor({big}), 0).item<std::int64_t>() == big);
  CHECK(clamp(tensor({big}), {}, big - 1).item<std::int64_t>() == big - 1);
  CHECK(clamp(doubles({3}), 1, 1).item<double>() == 1);

  const std::string none = message_of<ValueError>([&] { clamp(x, {}); });
  CHECK(says(none, "clamp: "));
  CHECK(says(none, "[6]"));
  CHECK(says(message_of<ValueError>([&] { clamp(x, 2, 1); }), "min 2"));
  CHECK(says(message_of<ValueError>([&] { clamp(x, kNaN); }), "clamp: "));
  CHECK(says(message_of<DTypeError>([&] { clamp(tensor({1, 2}), 0.5); }), "clamp: "));
  CHECK(says(message_of<DTypeError>([&] { clamp(tensor({true}), 0); }), "bool"));
}

TEST_CASE("clamp_ and masked_fill_ write over the tensor and count it") {
  Tensor x = doubles({-2, 0, 2});
  const auto version = x.version();
  CHECK(x.clamp_(-1, 1).is_same(x));
  CHECK(numbers(x) == Numbers{-1, 0, 1});
  CHECK(x.version() == version + 1);
  x.masked_fill_(x > 0.5, 9);
  CHECK(numbers(x) == Numbers{-1, 0, 9});
  Tensor matrix = zeros({2, 3});
  matrix.t().masked_fill_(tensor({{true, false}}), 1);
  CHECK(matrix.equal(tensor({{1.0, 1.0, 1.0}, {0.0, 0.0, 0.0}})));
  // A mask that shares its memory with what it changes.
  Tensor bits = tensor({{true, false}, {true, true}});
  bits.masked_fill_(bits.t(), false);
  CHECK(bits.equal(tensor({{false, false}, {true, false}})));

  const Tensor before = x.clone();
  CHECK(says(message_of<ShapeError>([&] { x.masked_fill_(zeros({2, 3}, kBool), 1); }), "[2, 3]"));
  CHECK(says(message_of<ValueError>([&] { x.clamp_({}); }), "clamp: "));
  Tensor leaf = doubles({1}).requires_grad_();
  CHECK(says(message_of<AutogradError>([&] { leaf.clamp_(0, 1); }), "clamp_: "));
  CHECK(x.equal(before));
}

TEST_CASE("clamp_ and masked_fill_ of a recorded tensor are recorded") {
  const Tensor x = doubles({-2, 0.5, 2}).requires_grad_();
  Tensor y = x * 3.0;
  y.clamp_(-3, 3);
  CHECK(numbers(y) == Numbers{-3, 1.5, 3});
  y.masked_fill_(tensor({false, false, true}), 7);
  y.backward(ones({3}, kFloat64));
  CHECK(numbers(x.grad()) == Numbers{0, 3, 0});
}

}  // namespace
