// Values that are a choice, with the numbers of the list that they come from: what PyTorch gives.
// V01 to V04 throw here (bad_calls_test.cpp), V06 is a checksum's (there, too).
#include <doctest/doctest.h>

#include <retrace/retrace.h>

#include <cmath>
#include <limits>

using namespace retrace;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor doubles(const NestedList& values) { return tensor(values, kFloat64); }

template <class F>
Tensor gradient(const NestedList& values, F f) {
  const Tensor x = doubles(values).requires_grad_();
  f(x).sum().backward();
  return x.grad();
}

bool is_nan(const Tensor& x) { return isnan(x).all().item<bool>(); }

}  // namespace

TEST_CASE("V05: an empty Sequential returns its input") {
  const Tensor x = doubles({1.0});
  CHECK(nn::Sequential()(x).is_same(x));
}

TEST_CASE("V07: the NaN of a logarithm going forward is found where it is made") {
  const AnomalyMode anomaly;
  CHECK_THROWS_AS(doubles({-1.0}).log(), AutogradError);
}

TEST_CASE("V08 to V15: slopes at 0 and out of the domain") {
  CHECK(gradient({0.0, 0.0}, [](const Tensor& x) { return x.norm(); }).equal(doubles({0.0, 0.0})));
  CHECK(gradient({0.0}, [](const Tensor& x) { return x.sqrt(); }).equal(doubles({kInfinity})));
  CHECK(is_nan(gradient({0.0}, [](const Tensor& x) { return where(x > 0, x.log(), 0); })));
  CHECK(gradient({0.0}, [](const Tensor& x) { return x.pow(0.5); }).equal(doubles({kInfinity})));
  CHECK(gradient({0.0}, [](const Tensor& x) { return x.pow(0); }).equal(doubles({0.0})));
  CHECK(is_nan(gradient({-1.0}, [](const Tensor& x) { return x.pow(1.5); })));
  CHECK(gradient({0.0}, [](const Tensor& x) { return x.abs(); }).equal(doubles({0.0})));
  CHECK(gradient({0.0}, [](const Tensor& x) { return x.relu(); }).equal(doubles({0.0})));
}

TEST_CASE("the branch that is not taken is made safe before, not after") {
  const auto safe = [](const Tensor& x) { return where(x > 0, where(x > 0, x, 1.0).log(), 0); };
  CHECK(gradient({0.0, 2.0}, safe).equal(doubles({0.0, 0.5})));
}

TEST_CASE("V16 to V19: who gets the gradient of equals") {
  const NestedList tied = {1.0, 3.0, 3.0};
  CHECK(gradient(tied, [](const Tensor& x) { return x.max(); }).equal(doubles({0.0, 0.5, 0.5})));
  CHECK(gradient(tied, [](const Tensor& x) {
          return x.max(0).values;
        }).equal(doubles({0.0, 1.0, 0.0})));
  CHECK(gradient(tied, [](const Tensor& x) { return amax(x, 0); }).equal(doubles({0.0, 0.5, 0.5})));
  const Tensor a = doubles({1.0}).requires_grad_(), b = doubles({1.0}).requires_grad_();
  maximum(a, b).backward();
  CHECK(a.grad().equal(doubles({0.5})));
  CHECK(b.grad().equal(doubles({0.5})));
}

TEST_CASE("V20 to V22: products with zeros, bounds of a clamp") {
  const auto product = [](const Tensor& x) { return x.prod(); };
  CHECK(gradient({0.0, 0.0, 2.0}, product).equal(doubles({0.0, 0.0, 0.0})));
  CHECK(gradient({0.0, 3.0, 2.0}, product).equal(doubles({6.0, 0.0, 0.0})));
  CHECK(gradient({-1.0, 0.0, 1.0}, [](const Tensor& x) {
          return x.clamp(0, 1);
        }).equal(doubles({0.0, 1.0, 1.0})));
}

TEST_CASE("V23 to V29: of nothing, and of nothing finite") {
  CHECK(zeros({0}).sum().item<float>() == 0.0f);
  CHECK(zeros({0}).prod().item<float>() == 1.0f);
  CHECK(std::isnan(zeros({0}).mean().item<float>()));
  CHECK(zeros({2, 0}).matmul(zeros({0, 3})).equal(zeros({2, 3})));
  CHECK(is_nan(doubles({-kInfinity, -kInfinity}).softmax(0)));
  CHECK(doubles({-kInfinity, -kInfinity}).logsumexp(0).item<double>() == -kInfinity);
  CHECK(is_nan(losses::cross_entropy(zeros({2, 3}), tensor({-100, -100}))));
}

TEST_CASE("B139: the deviation of one number is not a number, and neither is its slope") {
  CHECK(is_nan(doubles({3.0}).std()));
  CHECK(is_nan(gradient({3.0}, [](const Tensor& x) { return x.std(); })));
}
