#include <retrace/autograd/autograd.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/losses/losses.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

namespace {

using namespace retrace;
using losses::l1_loss;
using losses::mse_loss;

Tensor random(const Shape& sizes, DType dtype = kFloat64) {
  static Generator generator(23);
  return randn(sizes, dtype, &generator);
}

TEST_CASE("squared and absolute errors") {
  CHECK(mse_loss(tensor({4.0}), tensor({0.0})).item<float>() == 16.0f);
  CHECK(l1_loss(tensor({4.0}), tensor({0.0})).item<float>() == 4.0f);
  const Tensor x = tensor({{1.0, -2.0}, {0.0, 3.0}}), t = tensor({{0.0, 2.0}, {0.0, 1.0}});
  CHECK(mse_loss(x, t, {Reduction::none}).equal(tensor({{1.0, 16.0}, {0.0, 4.0}})));
  CHECK(mse_loss(x, t).equal(tensor(5.25)));
  CHECK(mse_loss(x, t, {.reduction = Reduction::sum}).equal(tensor(21.0)));
  CHECK(l1_loss(x, t, {Reduction::none}).equal(tensor({{1.0, 4.0}, {0.0, 2.0}})));
  CHECK(l1_loss(x, t).equal(tensor(1.75)));
  CHECK(mse_loss(tensor(3.0), tensor(1.0)).equal(tensor(4.0)));
  CHECK(mse_loss(x.t(), t.t(), {Reduction::none}).equal(mse_loss(x, t, {Reduction::none}).t()));
  CHECK(mse_loss(x.t(), t, {Reduction::sum}).equal(tensor(1.0 + 4.0 + 4.0 + 4.0)));
}

TEST_CASE("gradients of both arguments, first and second") {
  for (const Reduction reduction : {Reduction::none, Reduction::mean, Reduction::sum}) {
    const auto f = [reduction](const std::vector<Tensor>& in) {
      return mse_loss(in[0], in[1], {reduction});
    };
    const auto g = [reduction](const std::vector<Tensor>& in) {
      return l1_loss(in[0], in[1].t(), {reduction});
    };
    const Tensor x = random({3, 4}).requires_grad_();
    CHECK(gradcheck(f, {x, random({3, 4}).requires_grad_()}));
    CHECK(gradgradcheck(f, {x, random({3, 4}).requires_grad_()}));
    CHECK(gradcheck(f, {x, random({3, 4})}));
    CHECK(gradcheck(g, {x, random({4, 3}).requires_grad_()}));
  }
  Tensor x = tensor({1.0, 2.0}).requires_grad_();
  l1_loss(x, tensor({1.0, 5.0}), {Reduction::sum}).backward();
  CHECK(x.grad().equal(tensor({0.0, -1.0})));
}

TEST_CASE("many elements: float32's digits, and the same bits with any number of threads") {
  const std::int64_t n = 1000003;
  const Tensor x = full({n}, 0.1f), t = zeros({n});
  const double exact = static_cast<double>(0.1f * 0.1f);
  CHECK(std::abs(mse_loss(x, t).item<double>() - exact) <= 1e-7 * exact);
  const int before = num_threads();
  const Tensor a = random({n}, kFloat32), b = random({n}, kFloat32);
  std::vector<Tensor> results[2];
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    Tensor in = a.clone().requires_grad_();
    const Tensor loss = mse_loss(in, b);
    loss.backward();
    results[threads - 1] = {loss.detach(), in.grad()};
  }
  set_num_threads(before);
  CHECK(results[0][0].equal(results[1][0]));
  CHECK(results[0][1].equal(results[1][1]));
}

TEST_CASE("of nothing the mean is NaN, the sum 0") {
  const Tensor x = zeros({0, 2});
  CHECK(std::isnan(mse_loss(x, x).item<float>()));
  CHECK(mse_loss(x, x, {Reduction::sum}).item<float>() == 0.0f);
  CHECK(mse_loss(x, x, {Reduction::none}).sizes() == Shape({0, 2}));
  Tensor in = zeros({0, 2}).requires_grad_();
  mse_loss(in, x).backward();
  CHECK(in.grad().sizes() == Shape({0, 2}));
}

TEST_CASE("shapes and dtypes must agree: nothing is broadcast") {
  CHECK_THROWS_AS(mse_loss(zeros({5, 1}), zeros({5})), ShapeError);
  CHECK_THROWS_WITH(mse_loss(zeros({5}), zeros({4})),
                    "mse_loss: input is [5], target [4]; they must be equal, nothing is "
                    "broadcast: reshape one of them");
  CHECK_THROWS_AS(mse_loss(zeros({5}), zeros({5}, kFloat64)), DTypeError);
  CHECK_THROWS_AS(l1_loss(zeros({5}, kInt64), zeros({5}, kInt64)), DTypeError);
  CHECK_THROWS_AS(l1_loss(Tensor(), zeros({5})), ValueError);
}

}  // namespace
