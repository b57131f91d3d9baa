#include <retrace/autograd/autograd.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tests/difference.h>
#include <retrace/tests/messages.h>
#include <retrace/tests/random.h>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

namespace {

using namespace retrace;
using testing::message_of;

TEST_CASE("linear is x Wᵀ + b for any leading dims") {
  const Tensor w = random({5, 4}), b = random({5});
  for (const Shape& sizes :
       {Shape{4}, Shape{3, 4}, Shape{2, 3, 4}, Shape{2, 1, 3, 4}, Shape{0, 4}}) {
    const Tensor x = random(sizes);
    CHECK(largest_difference(linear(x, w), matmul(x, w.t())) <= 1e-14);
    CHECK(largest_difference(linear(x, w, b), matmul(x, w.t()) + b) <= 1e-14);
  }
  CHECK(linear(zeros({3, 0}), zeros({2, 0}), tensor({1.0, 2.0}))
            .equal(tensor({{1.0, 2.0}, {1.0, 2.0}, {1.0, 2.0}})));
  CHECK(linear(zeros({3, 2}), zeros({0, 2})).sizes() == Shape({3, 0}));
}

TEST_CASE("linear reads strided operands") {
  const Tensor w = random({5, 4}), b = random({5});
  const std::vector<Tensor> inputs = {
      random({4, 3}).t(), random({3, 8}).slice(1, 0, 8, 2), random({2, 4, 3}).transpose(1, 2),
      random({3, 2, 4}).transpose(0, 1), random({1, 4}).expand({6, 4})};
  for (const Tensor& x : inputs) {
    const Tensor plain = linear(x.contiguous(), w, b);
    CHECK(largest_difference(linear(x, w, b), plain) <= 1e-14);
    CHECK(largest_difference(linear(x, w.t().contiguous().t(), b), plain) <= 1e-14);
    CHECK(largest_difference(linear(x, w, random({5, 2}).select(1, 0) * 0.0 + b), plain) <= 1e-14);
  }
}

TEST_CASE("gradients of linear, first and second, of those inputs that want one") {
  const auto f = [](const std::vector<Tensor>& in) { return linear(in[0], in[1], in[2]); };
  const auto without_bias = [](const std::vector<Tensor>& in) { return linear(in[0], in[1]); };
  for (const Shape& sizes : {Shape{4}, Shape{3, 4}, Shape{2, 3, 4}}) {
    const std::vector<Tensor> inputs = {random(sizes).requires_grad_(),
                                        random({5, 4}).requires_grad_(),
                                        random({5}).requires_grad_()};
    CHECK(gradcheck(f, inputs));
    CHECK(gradgradcheck(f, inputs));
    CHECK(gradcheck(without_bias, {inputs[0], inputs[1]}));
    CHECK(gradgradcheck(without_bias, {inputs[0], inputs[1]}));
    for (std::size_t wanted = 0; wanted < 3; ++wanted) {
      std::vector<Tensor> some = {random(sizes), random({5, 4}), random({5})};
      some[wanted].requires_grad_();
      CHECK(gradcheck(f, some));
    }
  }
  CHECK(gradcheck([](const std::vector<Tensor>& in) { return linear(in[0].t(), in[1].t(), in[2]); },
                  {random({4, 3}).requires_grad_(), random({4, 5}).requires_grad_(),
                   random({5}).requires_grad_()}));
}

TEST_CASE("gradients of linear add up in the buffers that are there") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    const double tolerance = dtype == kFloat32 ? 1e-4 : 1e-13;
    Tensor w = random({6, 4}, dtype).requires_grad_(), b = random({6}, dtype).requires_grad_();
    const Tensor x = random({2, 5, 4}, dtype), u = random({2, 5, 6}, dtype);
    linear(x, w, b).backward(u);
    const Tensor dw = w.grad().clone(), db = b.grad().clone();
    linear(x, w, b).backward(u);
    linear(x, w, b).backward(u);
    CHECK(largest_difference(w.grad(), dw * 3.0) <= tolerance);
    CHECK(largest_difference(b.grad(), db * 3.0) <= tolerance);
    // A gradient that somebody holds does not change under them.
    const Tensor seen = w.grad(), before = seen.clone();
    linear(x, w, b).backward(u);
    CHECK(seen.equal(before));
    CHECK(largest_difference(w.grad(), dw * 4.0) <= tolerance);
  }
  // An inner tensor used twice: the second product adds to what the first gave.
  Tensor x = random({3, 4}).requires_grad_();
  const Tensor w = random({4, 4}), v = random({2, 4});
  const Tensor h = linear(x, w);
  (sum(linear(h, w)) + sum(linear(h, v)) + sum(h)).backward();
  Tensor y = x.detach().clone().requires_grad_();
  const Tensor k = matmul(y, w.t());
  (sum(matmul(k, w.t())) + sum(matmul(k, v.t())) + sum(k)).backward();
  CHECK(largest_difference(x.grad(), y.grad()) <= 1e-13);
}

TEST_CASE("the bias gradient of many rows keeps float32's digits") {
  const std::int64_t rows = 300000;
  Tensor w = zeros({2, 1}), b = zeros({2}).requires_grad_();
  linear(zeros({rows, 1}), w, b).backward(full({rows, 2}, 0.1f));
  const double exact = static_cast<double>(rows) * static_cast<double>(0.1f);
  CHECK(std::abs(b.grad()[0].item<double>() - exact) <= exact * 2e-7);
}

TEST_CASE("any number of threads gives the same bits in linear") {
  const int before = num_threads();
  const Tensor x = random({300, 200}, kFloat32), u = random({300, 150}, kFloat32);
  const Tensor w0 = random({150, 200}, kFloat32), b0 = random({150}, kFloat32);
  std::vector<Tensor> results[2];
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    Tensor w = w0.clone().requires_grad_(), b = b0.clone().requires_grad_(),
           in = x.clone().requires_grad_();
    const Tensor y = linear(in, w, b);
    y.backward(u);
    results[threads - 1] = {y.detach(), w.grad(), b.grad(), in.grad()};
  }
  set_num_threads(before);
  for (std::size_t i = 0; i < 4; ++i) CHECK(results[0][i].equal(results[1][i]));
}

TEST_CASE("linear refuses what does not fit, and changes nothing") {
  CHECK(message_of([] {
          linear(zeros({3, 4}), zeros({2, 5}));
        }).starts_with("linear: x is [3, 4], weight [2, 5]"));
  CHECK_THROWS_AS(linear(zeros({3, 4}), zeros({2, 5})), ShapeError);
  CHECK_THROWS_AS(linear(zeros({3, 4}), zeros({4})), ShapeError);
  CHECK_THROWS_AS(linear(tensor(1.0), zeros({4, 1})), ShapeError);
  CHECK_THROWS_AS(linear(zeros({3, 4}), zeros({2, 4}), zeros({3})), ShapeError);
  CHECK_THROWS_AS(linear(zeros({3, 4}), zeros({2, 4}), zeros({1, 2})), ShapeError);
  CHECK(message_of([] {
          linear(zeros({3, 4}, kInt64), zeros({2, 4}));
        }) ==
        "linear: x is int64 [3, 4], weight float32 [2, 4]; both must be float32 or both float64: "
        "convert x with .to(float32)");
  CHECK_THROWS_AS(linear(zeros({3, 4}), zeros({2, 4}, kFloat64)), DTypeError);
  CHECK_THROWS_AS(linear(zeros({3, 4}), zeros({2, 4}), zeros({2}, kFloat64)), DTypeError);
  CHECK_THROWS_AS(linear(zeros({3, 4}), Tensor()), ValueError);
}

}  // namespace
