#include <retrace/autograd/gradcheck.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>

#include <retrace/tests/autograd/pointwise.h>

namespace {

using namespace retrace;
using namespace retrace::testing;

/// Straight from the definition, in long double, along the last dim.
Numbers reference(const Tensor& x, bool logarithm) {
  const Numbers values = numbers(x);
  const auto n = static_cast<std::size_t>(x.size(-1));
  Numbers result(values.size());
  for (std::size_t row = 0; row < values.size(); row += n) {
    const double largest = *std::max_element(&values[row], &values[row] + n);
    long double sum = 0;
    for (std::size_t i = 0; i < n; ++i)
      sum += std::exp(static_cast<long double>(values[row + i] - largest));
    for (std::size_t i = 0; i < n; ++i) {
      const long double log_p = values[row + i] - largest - std::log(sum);
      result[row + i] = static_cast<double>(logarithm ? log_p : std::exp(log_p));
    }
  }
  return result;
}

Tensor random(const Shape& sizes, DType dtype = kFloat64) {
  static Generator generator(5);
  return randn(sizes, dtype, &generator);
}

TEST_CASE("softmax and log_softmax of rows of any length") {
  for (const std::int64_t n : {1, 2, 3, 15, 16, 17, 31, 32, 33, 100, 1024, 50257}) {
    CAPTURE(n);
    const Tensor x = random({3, n}) * 3.0;
    CHECK(close(numbers(softmax(x, -1)), reference(x, false), 1e-12, 1e-15));
    CHECK(close(numbers(log_softmax(x, -1)), reference(x, true), 1e-13, 1e-15));
    const Tensor f = x.to(kFloat32);
    CHECK(close(numbers(softmax(f, -1)), reference(f, false), 2e-6, 1e-12));
    CHECK(close(numbers(log_softmax(f, -1)), reference(f, true), 1e-6, 1e-6));
    CHECK(softmax(f, 1).sum(1).to(kFloat64).sub(1).abs().sum().item<double>() < 1e-5);
  }
}

TEST_CASE("any dim and any layout gives what the last one gives") {
  const Tensor x = random({2, 3, 4, 5});
  for (const std::int64_t dim : {0, 1, 2, 3, -1, -2, -3, -4}) {
    CAPTURE(dim);
    const Tensor rows = x.transpose(dim, -1).contiguous();
    for (auto* op : {softmax, log_softmax}) {
      const Tensor expected = op(rows, -1).transpose(dim, -1);
      CHECK(op(x, dim).equal(expected));
      for (const Tensor& laid : layouts(x)) CHECK(op(laid, dim).equal(expected));
    }
  }
  CHECK(
      softmax(x.select(0, 0).expand({6, 3, 4, 5}), 0).equal(full({6, 3, 4, 5}, 1.0 / 6, kFloat64)));
}

TEST_CASE("a shift changes nothing, and ±1e4 stay finite") {
  for (const DType dtype : {kFloat64, kFloat32}) {
    const Tensor x = tensor({{1e4, -1e4, 0.0}, {-1e4, -1e4, -1e4}, {800.0, 799.0, 798.5}}, dtype);
    const Tensor p = softmax(x, -1), log_p = log_softmax(x, -1);
    CHECK(close(numbers(p), reference(x, false), 1e-6, 1e-30));
    CHECK(close(numbers(log_p), reference(x, true), 1e-6, 1e-7));
    CHECK(numbers(p)[0] == 1);
    CHECK(numbers(log_p)[1] == -2e4);
    for (auto* op : {softmax, log_softmax}) {
      const Tensor g = slope_of([&](const Tensor& t) { return op(t, -1) * op(t, -1); }, x);
      for (const double v : numbers(g)) CHECK(std::isfinite(v));
    }
  }
  const Tensor x = doubles({1, 2, 3});
  CHECK(close(numbers(softmax(x + 1000.0, 0)),
              {0.09003057317038046, 0.24472847105479764, 0.6652409557748219}));
}

TEST_CASE("entries of -infinity have probability and gradient 0; a row of nothing else is NaN") {
  const Tensor x = doubles({1, -kInfinity, 3, -kInfinity}).view({2, 2}).requires_grad_();
  const Tensor p = softmax(x, -1);
  CHECK(numbers(p) == Numbers{1, 0, 1, 0});
  p.backward(doubles({1, 2, 3, 4}).view({2, 2}));
  CHECK(numbers(x.grad()) == Numbers{0, 0, 0, 0});
  CHECK(numbers(log_softmax(x, -1)) == Numbers{0, -kInfinity, 0, -kInfinity});
  const Tensor none = full({2}, -kInfinity);
  CHECK(close(numbers(softmax(none, 0)), {kNaN, kNaN}));
  CHECK(close(numbers(log_softmax(none, 0)), {kNaN, kNaN}));
  CHECK(close(numbers(softmax(doubles({1, kNaN, 2}), 0)), {kNaN, kNaN, kNaN}));
}

TEST_CASE("one class, 0-d and empty tensors") {
  const Tensor x = random({3, 1}).requires_grad_();
  softmax(x, -1).backward(random({3, 1}));
  CHECK(softmax(x, -1).equal(ones({3, 1}, kFloat64)));
  CHECK(numbers(x.grad()) == Numbers{0, 0, 0});
  CHECK(softmax(tensor(3.0), 0).item<double>() == 1);
  CHECK(softmax(tensor(3.0), -1).dim() == 0);
  for (const Shape& sizes : {Shape{0}, Shape{0, 3}, Shape{3, 0}, Shape{2, 0, 3}})
    for (std::int64_t dim = 0; dim < sizes.size(); ++dim)
      for (auto* op : {softmax, log_softmax}) {
        CHECK(op(zeros(sizes), dim).sizes() == sizes);
        CHECK(slope_of([&](const Tensor& t) { return op(t, dim); }, zeros(sizes)).sizes() == sizes);
      }
}

TEST_CASE("gradients of first and second order") {
  for (const std::int64_t dim : {0, 1, 2})
    for (auto* op : {softmax, log_softmax}) {
      const Tensor x = random({2, 3, 4});
      const auto f = [&](const std::vector<Tensor>& in) { return op(in[0], dim); };
      for (const Tensor& laid : layouts(x)) CHECK(gradcheck(f, {laid.detach().requires_grad_()}));
      CHECK(gradgradcheck(f, {x.detach().requires_grad_()}));
    }
  // Long rows, against the formulas as tensor ops.
  const Tensor x = random({4, 3000}).requires_grad_(), g = random({4, 3000});
  const Tensor p = softmax(x, 1);
  p.backward(g);
  const Tensor expected = p.detach() * (g - (g * p.detach()).sum(1, true));
  CHECK(allclose(x.grad(), expected, 1e-12, 1e-16));
  x.zero_grad();
  log_softmax(x, 1).backward(g);
  CHECK(allclose(x.grad(), g - p.detach() * g.sum(1, true), 1e-12, 1e-14));
}

TEST_CASE("one and two threads give the same bits") {
  const Tensor x = random({300, 700}, kFloat32), g = random({300, 700}, kFloat32);
  const int before = num_threads();
  std::vector<Tensor> results[2];
  for (const int threads : {1, 2}) {
    set_num_threads(threads);
    for (auto* op : {softmax, log_softmax})
      for (const std::int64_t dim : {0, 1}) {
        const Tensor leaf = x.clone().requires_grad_();
        const Tensor y = op(leaf, dim);
        y.backward(g);
        results[threads - 1].push_back(y.detach());
        results[threads - 1].push_back(leaf.grad());
      }
  }
  set_num_threads(before);
  for (std::size_t i = 0; i < results[0].size(); ++i) CHECK(results[0][i].equal(results[1][i]));
}

TEST_CASE("wrong dims and dtypes") {
  for (auto* op : {softmax, log_softmax}) {
    const std::string name = op == softmax ? "softmax: " : "log_softmax: ";
    const std::string dim = message_of<IndexError>([&] { op(zeros({2, 3}), 2); });
    CHECK(says(dim, name.c_str()));
    CHECK(says(dim, "[2, 3]"));
    const std::string dtype = message_of<DTypeError>([&] { op(zeros({2, 3}, kInt64), 1); });
    CHECK(says(dtype, name.c_str()));
    CHECK(says(dtype, "int64"));
    CHECK(says(message_of<ValueError>([&] { op(Tensor(), 0); }), name.c_str()));
  }
}

}  // namespace
