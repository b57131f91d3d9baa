// "What is different, and why" in docs/pytorch.md is so here; tests/pytorch/traps.py says what
// PyTorch does.
#include <doctest/doctest.h>

#include <retrace/retrace.h>

using namespace retrace;

TEST_CASE("what docs/pytorch.md says is different here, is") {
  const Tensor one = ones({1}), two = ones({1}, kFloat64), whole = tensor({7, -7});
  CHECK_THROWS_AS(one + two, DTypeError);
  CHECK_THROWS_AS(whole * 0.5, DTypeError);
  CHECK_THROWS_AS(where(one > 0, one, two), DTypeError);
  CHECK_THROWS_AS(cat({whole, one}), DTypeError);
  CHECK_THROWS_AS(eq(whole, whole.to(kFloat32)), DTypeError);
  CHECK_THROWS_AS(losses::mse_loss(one, tensor({1})), DTypeError);
  CHECK((whole / 2).equal(tensor({3, -3})));
  CHECK(full({2}, 1).dtype() == kFloat32);
  CHECK_THROWS_AS(tensor({true}) + tensor({true}), DTypeError);
  CHECK(tensor({true, true}).sum().equal(tensor(2)));
  CHECK_THROWS_AS(losses::mse_loss(zeros({3, 1}), zeros({3})), ShapeError);
  CHECK_THROWS_AS(losses::hinge_embedding_loss(one, zeros({1})), ValueError);

  nn::Linear model(2, 2), other(2, 2);
  other.to(kFloat64);
  CHECK_THROWS_AS(model.load_state_dict(other.state_dict()), ValueError);

  const Tensor q = ones({1, 2}), k = ones({3, 2}), v = tensor({{1.0}, {2.0}, {6.0}});
  const Tensor nothing = zeros({1, 3}) > 0;
  CHECK(scaled_dot_product_attention(q, k, v, {.attn_mask = nothing}).equal(zeros({1, 1})));
  CHECK(scaled_dot_product_attention(q, k, v, {.is_causal = true}).item<double>() ==
        doctest::Approx(3));

  const Tensor tied = ones({2}).requires_grad_();
  amax(tied).backward();
  CHECK(tied.grad().equal(full({2}, 0.5)));

  const Tensor weight = ones({1}).requires_grad_();
  optim::SGD optimizer({weight}, {.lr = 0.1, .weight_decay = 1});
  weight.sum().backward();
  optimizer.zero_grad();
  optimizer.step();
  CHECK(weight.equal(one));  // not decayed
}
