#include <retrace/autograd/autograd.h>
#include <retrace/autograd/gradcheck.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tests/messages.h>
#include <retrace/tests/random.h>

#include <doctest/doctest.h>

#include <cmath>
#include <string>
#include <vector>

namespace {

using namespace retrace;
using testing::message_of;

// y of one slice by the definition, in long double.
std::vector<double> naive(const std::vector<double>& x, std::size_t n, double eps) {
  std::vector<double> y(x.size());
  for (std::size_t row = 0; row < x.size(); row += n) {
    long double mean = 0, var = 0;
    for (std::size_t i = 0; i < n; ++i) mean += x[row + i];
    mean /= static_cast<long double>(n);
    for (std::size_t i = 0; i < n; ++i) var += (x[row + i] - mean) * (x[row + i] - mean);
    var /= static_cast<long double>(n);
    for (std::size_t i = 0; i < n; ++i)
      y[row + i] = static_cast<double>((x[row + i] - mean) / std::sqrt(var + eps));
  }
  return y;
}

double largest_difference(const Tensor& a, const std::vector<double>& b) {
  const auto x = a.to_vector<double>();
  REQUIRE(x.size() == b.size());
  double largest = 0;
  for (std::size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - b[i]));
  return largest;
}

TEST_CASE("layer_norm brings every slice to mean 0 and variance 1") {
  for (const std::int64_t n : {1, 2, 7, 16, 33, 100, 1023, 1024, 5000}) {
    CAPTURE(n);
    const Tensor x = random({3, n}) * 3.0 + 2.0;
    CHECK(largest_difference(layer_norm(x, {n}), naive(x.to_vector<double>(), n, 1e-5)) <= 1e-12);
    const Tensor single = x.to(kFloat32);
    CHECK(largest_difference(layer_norm(single, {n}), naive(single.to_vector<double>(), n, 1e-5)) <=
          2e-6);
  }
}

TEST_CASE("float32 statistics stay right far from 0, with outliers and for long slices") {
  for (const double offset : {1e4, -1e6, 3e7}) {
    CAPTURE(offset);
    const Tensor x = (random({2, 999}, kFloat64) * 10.0 + offset).to(kFloat32);
    CHECK(largest_difference(layer_norm(x, {999}), naive(x.to_vector<double>(), 999, 1e-5)) <=
          5e-6);
  }
  Tensor outlier = random({1, 999}, kFloat32);
  outlier[0][0] = 1e6;
  const auto expected = naive(outlier.to_vector<double>(), 999, 1e-5);
  CHECK(largest_difference(layer_norm(outlier, {999}), expected) <= 1e-5);
  const Tensor mean_one = random({1, 1000000}, kFloat32) + 1.0;
  CHECK(largest_difference(layer_norm(mean_one, {1000000}),
                           naive(mean_one.to_vector<double>(), 1000000, 1e-5)) <= 5e-6);
  const Tensor extreme = tensor({{1e4, -1e4, 1e4, -1e4}});
  CHECK(layer_norm(extreme, {4}).equal(tensor({{1.0, -1.0, 1.0, -1.0}})));
}

TEST_CASE("float64 slices far from 0 are what they are near it") {
  const Tensor near = round(random({3, 17}) * 1000.0).requires_grad_(), g = random({3, 17});
  const auto norms = {+[](const Tensor& x) { return layer_norm(x, {17}); },
                      +[](const Tensor& x) { return batch_norm(x, {}, {}, {}, {}, true); }};
  for (const auto& norm : norms) {
    const Tensor far = (near.detach() + 1e12).requires_grad_();
    const Tensor y = norm(near), shifted = norm(far);
    CHECK(largest_difference(shifted, y.to_vector<double>()) <= 1e-14);
    for (const bool recorded : {false, true})
      CHECK(largest_difference(grad({shifted}, {far}, {g}, true, recorded)[0],
                               grad({y}, {near}, {g}, true)[0].to_vector<double>()) <= 1e-16);
  }
}

TEST_CASE("a constant slice gives the bias, and a finite gradient") {
  Tensor x = full({2, 5}, 7.3f).requires_grad_();
  const Tensor bias = tensor({1.0, 2.0, 3.0, 4.0, 5.0});
  const Tensor y = layer_norm(x, {5}, ones({5}), bias);
  CHECK(y[0].detach().equal(bias));
  CHECK(y[1].detach().equal(bias));
  y.backward(random({2, 5}, kFloat32));
  for (const double g : x.grad().to_vector<double>()) CHECK(std::isfinite(g));
}

TEST_CASE("without eps, too, equal numbers give the bias, and no gradient") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    const Tensor x = full({2, 7}, 0.1, dtype).requires_grad_(), none = zeros({2, 7}, dtype);
    const Tensor bias = random({7}, dtype), g = random({2, 7}, dtype);
    const auto check = [&](const Tensor& y, const Tensor& expected) {
      CHECK(y.detach().equal(expected));
      CHECK(grad({y}, {x}, {g}, /*retain_graph=*/true)[0].equal(none));
      CHECK(grad({y}, {x}, {g}, false, /*create_graph=*/true)[0].detach().equal(none));
    };
    check(layer_norm(x, {7}, {}, bias, 0.0), bias.expand({2, 7}));
    check(rms_norm(x * 0, {7}, {}, 0.0), none);
    check(batch_norm(x, {}, {}, {}, bias, /*training=*/true, 0.1, 0.0), bias.expand({2, 7}));
    check(group_norm(x, 1, {}, bias, 0.0), bias.expand({2, 7}));
    check(batch_norm(x, x[0].detach(), zeros({7}, dtype), {}, bias, false, 0.1, 0.0),
          bias.expand({2, 7}));
  }
}

TEST_CASE("layer_norm over several dims, with weight and bias or one of them") {
  const Tensor x = random({2, 3, 4}), w = random({3, 4}), b = random({3, 4});
  const Tensor n = layer_norm(x, {3, 4});
  CHECK(largest_difference(n, naive(x.to_vector<double>(), 12, 1e-5)) <= 1e-13);
  CHECK(largest_difference(layer_norm(x, {3, 4}, w, b), (n * w + b).to_vector<double>()) <= 1e-13);
  CHECK(largest_difference(layer_norm(x, {3, 4}, w), (n * w).to_vector<double>()) <= 1e-13);
  CHECK(largest_difference(layer_norm(x, {3, 4}, {}, b), (n + b).to_vector<double>()) <= 1e-13);
  CHECK(largest_difference(layer_norm(x.transpose(0, 2).contiguous().transpose(0, 2), {3, 4}, w, b),
                           (n * w + b).to_vector<double>()) <= 1e-13);
  CHECK(layer_norm(zeros({0, 4}), {4}).sizes() == Shape({0, 4}));
  CHECK(layer_norm(zeros({3, 0}), {0}).sizes() == Shape({3, 0}));
}

TEST_CASE("gradients of layer_norm") {
  const auto full_form = [](const std::vector<Tensor>& in) {
    return layer_norm(in[0], {4}, in[1], in[2]);
  };
  const std::vector<Tensor> inputs = {random({3, 2, 4}).requires_grad_(),
                                      random({4}).requires_grad_(), random({4}).requires_grad_()};
  CHECK(gradcheck(full_form, inputs));
  for (std::size_t wanted = 0; wanted < 3; ++wanted) {
    std::vector<Tensor> some = {random({3, 2, 4}), random({4}), random({4})};
    some[wanted].requires_grad_();
    CHECK(gradcheck(full_form, some));
  }
  CHECK(gradcheck(
      [](const std::vector<Tensor>& in) {
        return layer_norm(in[0], {3, 37});
      },
      {random({2, 3, 37}).requires_grad_()}));
  CHECK(gradcheck([](const std::vector<Tensor>& in) { return layer_norm(in[0].t(), {3}, in[1]); },
                  {random({3, 5}).requires_grad_(), random({3}).requires_grad_()}));
  // More rows than one block, and a slice longer than one.
  CHECK(gradcheck(full_form, {random({150, 4}).requires_grad_(), random({4}).requires_grad_(),
                              random({4}).requires_grad_()}));
  Tensor empty = zeros({0, 4}).requires_grad_(), w = ones({4}).requires_grad_();
  sum(layer_norm(empty, {4}, w)).backward();
  CHECK(w.grad().equal(zeros({4})));
  CHECK(empty.grad().sizes() == Shape({0, 4}));
}

TEST_CASE("gradients of layer_norm for long slices agree with float64") {
  const std::int64_t rows = 130, n = 3000;
  const Tensor x64 = random({rows, n}), w64 = random({n}), b64 = random({n}),
               u64 = random({rows, n});
  std::vector<Tensor> gradients[2];
  for (const DType dtype : {kFloat64, kFloat32}) {
    Tensor x = x64.clone().to(dtype).requires_grad_(), w = w64.clone().to(dtype).requires_grad_(),
           b = b64.clone().to(dtype).requires_grad_();
    layer_norm(x, {n}, w, b).backward(u64.to(dtype));
    gradients[dtype == kFloat32] = {x.grad(), w.grad(), b.grad()};
  }
  for (std::size_t i = 0; i < 3; ++i)
    CHECK(largest_difference(gradients[1][i], gradients[0][i].to_vector<double>()) <= 3e-5);
}

TEST_CASE("layer_norm gives the same bits with one thread and two, and adds to gradients") {
  const int before = num_threads();
  const Tensor x0 = random({700, 96}, kFloat32), u = random({700, 96}, kFloat32);
  std::vector<Tensor> results[2];
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    Tensor x = x0.clone().requires_grad_(), w = ones({96}).requires_grad_(),
           b = zeros({96}).requires_grad_();
    const Tensor y = layer_norm(x, {96}, w, b);
    y.backward(u);
    layer_norm(x, {96}, w, b).backward(u);
    results[threads - 1] = {y.detach(), x.grad(), w.grad(), b.grad()};
  }
  set_num_threads(before);
  for (std::size_t i = 0; i < 4; ++i) CHECK(results[0][i].equal(results[1][i]));
  Tensor b = zeros({96}).requires_grad_();
  layer_norm(x0, {96}, {}, b).backward(u);
  CHECK(largest_difference(results[0][3], (b.grad() * 2.0).to_vector<double>()) <= 1e-4);
}

TEST_CASE("layer_norm refuses what does not fit") {
  CHECK(message_of([] {
          layer_norm(zeros({2, 3}), {4});
        }).starts_with("layer_norm: x is [2, 3], normalized_shape [4]"));
  CHECK_THROWS_AS(layer_norm(zeros({2, 3}), {}), ShapeError);
  CHECK_THROWS_AS(layer_norm(zeros({3}), {2, 3}), ShapeError);
  CHECK_THROWS_AS(layer_norm(zeros({2, 3}), {3}, zeros({2})), ShapeError);
  CHECK_THROWS_AS(layer_norm(zeros({2, 3}), {3}, zeros({3}), zeros({1, 3})), ShapeError);
  CHECK_THROWS_AS(layer_norm(zeros({2, 3}), {3}, zeros({3}, kFloat64)), DTypeError);
  CHECK_THROWS_AS(layer_norm(zeros({2, 3}, kInt64), {3}), DTypeError);
  CHECK_THROWS_AS(layer_norm(zeros({2, 3}), {3}, {}, {}, -1.0), ValueError);
  CHECK_THROWS_AS(layer_norm(zeros({2, 3}), {3}, {}, {}, std::nan("")), ValueError);
}

}  // namespace
