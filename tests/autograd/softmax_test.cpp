#include <retrace/autograd/gradcheck.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>

#include <retrace/tests/autograd/pointwise.h>
#include <retrace/tests/random.h>

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

TEST_CASE("softmin, temperature and masks are softmax of something else") {
  const Tensor x = random({3, 4, 5}), g = random({3, 4, 5});
  // Keeps something of every row and column, whatever was drawn: what keeps nothing is NaN.
  const Tensor mask = logical_or(random({4, 5}) > -0.5, eye(4, 5, kFloat64) > 0.0);
  mask.narrow(1, 4, 1).fill_(true);
  for (const std::int64_t dim : {0, 1, 2}) {
    const auto same = [&](const Function& a, const Function& b) {
      const Tensor left = x.clone().requires_grad_(), right = x.clone().requires_grad_();
      const Tensor y = a(left);
      CHECK(close(numbers(y), numbers(b(right)), 1e-13, 1e-16));
      y.backward(g);
      b(right).backward(g);
      CHECK(close(numbers(left.grad()), numbers(right.grad()), 1e-11, 1e-15));
    };
    same([=](const Tensor& t) { return softmin(t, dim); },
         [=](const Tensor& t) { return softmax(-t, dim); });
    for (const double temperature : {0.1, 1.0, 30.0})
      same([=](const Tensor& t) { return softmax_temperature(t, dim, temperature); },
           [=](const Tensor& t) { return softmax(t / temperature, dim); });
    if (dim == 0) continue;  // a mask that is broadcast along dim keeps all or nothing
    same([=](const Tensor& t) { return masked_softmax(t, mask, dim); },
         [=](const Tensor& t) {
           return softmax(t.masked_fill(logical_not(mask), -kInfinity), dim);
         });
  }
}

TEST_CASE("a temperature near 0 leaves the largest alone, a high one nothing but uniform") {
  for (const DType dtype : {kFloat64, kFloat32}) {
    const Tensor x = tensor({1.0, 3.0, 2.0}, dtype);
    CHECK(numbers(softmax_temperature(x, 0, 1e-30)) == Numbers{0, 1, 0});
    CHECK(close(numbers(softmax_temperature(x, 0, 1e9)), {1. / 3, 1. / 3, 1. / 3}, 1e-6));
  }
  for (const double bad : {0., -1., kNaN})
    CHECK(says(message_of<ValueError>([=] { softmax_temperature(ones({2}), 0, bad); }),
               "softmax_temperature: the temperature is "));
}

TEST_CASE("a mask that keeps nothing of a row gives NaN, and must be bool and broadcast to x") {
  Tensor x = doubles({1, 2, 3, 4}).view({2, 2});
  const Tensor y = masked_softmax(x, tensor({{true, false}, {false, false}}), 1);
  CHECK(close(numbers(y), {1, 0, kNaN, kNaN}));
  x.requires_grad_();
  masked_softmax(x, tensor({{true, false}, {false, false}}), 1).backward(ones({2, 2}, kFloat64));
  CHECK(close(numbers(x.grad()), {0, 0, kNaN, kNaN}));
  CHECK(says(message_of<DTypeError>([&] {
               masked_softmax(x, ones({2, 2}), 1);
             }),
             "float32 [2, 2]"));
  CHECK(says(message_of<ShapeError>([&] {
               masked_softmax(x, ones({3, 2, 2}, kBool), 1);
             }),
             "x is [2, 2], the mask [3, 2, 2]"));
}

TEST_CASE("gumbel_softmax chooses as often as softmax says") {
  constexpr std::int64_t kDraws = 40000;
  Generator generator(11);
  const Tensor logits = doubles({1, 0, -1, 2}), p = softmax(logits, 0);
  const Tensor choices =
      gumbel_softmax(logits.expand({kDraws, 4}), {.tau = 0.7, .hard = true}, &generator);
  CHECK(choices.sum(1).equal(ones({kDraws}, kFloat64)));
  CHECK(logical_or(choices == 0.0, choices == 1.0).all().item<bool>());
  const Numbers often = numbers(choices.mean(0));
  for (std::size_t i = 0; i < 4; ++i) {
    const double expected = numbers(p)[i];
    CHECK(std::fabs(often[i] - expected) <
          4 * std::sqrt(expected * (1 - expected) / static_cast<double>(kDraws)));
  }
  const Tensor soft = gumbel_softmax(logits.to(kFloat32).expand({50, 4}), {.tau = 0.5}, &generator);
  CHECK(allclose(soft.sum(1), ones({50}), 1e-6));
  CHECK(!soft.select(0, 0).equal(soft.select(0, 1)));
  Generator again(11);
  CHECK(gumbel_softmax(logits.expand({kDraws, 4}), {.tau = 0.7, .hard = true}, &again)
            .equal(choices));
}

TEST_CASE("hard gumbel_softmax is one-hot with the gradient of the soft one, once") {
  const Tensor noise = random({3, 4}), g = random({3, 4});
  for (const std::int64_t dim : {0, 1}) {
    const Tensor hard = random({3, 4}).requires_grad_(),
                 soft = hard.detach().clone().requires_grad_();
    const Tensor y = gumbel_softmax(hard, noise, {.tau = 0.5, .hard = true, .dim = dim});
    const Tensor p = gumbel_softmax(soft, noise, {.tau = 0.5, .dim = dim});
    CHECK(y.sum(dim).equal(ones({dim == 0 ? 4 : 3}, kFloat64)));
    CHECK(y.argmax(dim).equal(p.argmax(dim)));
    y.backward(g);
    p.backward(g);
    CHECK(hard.grad().equal(soft.grad()));
  }
  const Tensor x = doubles({1, 2}).requires_grad_();
  const Tensor y = gumbel_softmax(x, doubles({0, 0}), {.hard = true});
  CHECK(says(message_of<AutogradError>([&] {
               y.backward(doubles({1, 0}), true, true);
             }),
             "second derivatives of the hard form"));
  CHECK(
      says(message_of<ShapeError>([&] { gumbel_softmax(x, doubles({0})); }), "[2], the noise [1]"));
  CHECK(says(message_of<ValueError>([&] { gumbel_softmax(x, x, {.tau = 0}); }), "tau is 0"));
}

TEST_CASE("entropy is ln n of equal logits, 0 of a certain choice, and that of softmax between") {
  for (const DType dtype : {kFloat64, kFloat32}) {
    const double tolerance = dtype == kFloat64 ? 1e-13 : 2e-6;
    for (const std::int64_t n : {1, 7, 40, 5000}) {
      CHECK(entropy_from_logits(full({n}, -3, dtype)).item<double>() ==
            doctest::Approx(std::log(n)).epsilon(tolerance));
      const Tensor x = random({n}, dtype) * 3.0, log_p = log_softmax(x.to(kFloat64), 0);
      const double expected = -(log_p.exp() * log_p).sum().item<double>();
      CHECK(entropy_from_logits(x).item<double>() ==
            doctest::Approx(expected).epsilon(1e-15 + tolerance * static_cast<double>(n > 1)));
    }
    const Tensor x = tensor({{1e4, -1e4, 0.0}, {-kInfinity, 2.0, 2.0}}, dtype);
    CHECK(close(numbers(entropy_from_logits(x)), {0, std::log(2.0)}, 1e-6, 0));
    CHECK(close(numbers(slope_of([](const Tensor& t) { return entropy_from_logits(t); }, x)),
                {0, 0, 0, 0, 0, 0}, 0, 1e-6));
  }
  const Tensor x = random({2, 3, 4});
  CHECK(entropy_from_logits(x, 1).sizes() == Shape{2, 4});
  CHECK(entropy_from_logits(x, 1, true).sizes() == Shape{2, 1, 4});
  CHECK(
      entropy_from_logits(x, 0).equal(entropy_from_logits(x.transpose(0, 2).contiguous(), 2).t()));
  CHECK(numbers(entropy_from_logits(zeros({2, 0}))) == Numbers{0, 0});
  CHECK(entropy_from_logits(tensor(3.0)).item<double>() == 0);
}

TEST_CASE("the gradient of an entropy has its digits where the logits are almost equal") {
  for (const DType dtype : {kFloat64, kFloat32}) {
    for (const double shift : {0.0, dtype == kFloat32 ? 0x1p20 : 0x1p45}) {
      const double small = shift == 0 ? 0x1p-17 : dtype == kFloat32 ? 0x1p-3 : 0x1p-7;
      Tensor x = tensor({shift + small, shift + 2 * small, shift + 4 * small}, dtype);
      const Numbers logits = {1 * small, 2 * small, 4 * small};
      double sum = 0, mean = 0;
      for (const double z : logits) sum += std::exp(z);
      for (const double z : logits) mean += std::exp(z) / sum * z;
      Numbers expected;
      for (const double z : logits) expected.push_back(-std::exp(z) / sum * (z - mean));
      const double tolerance = dtype == kFloat64 ? 1e-14 : 2e-6;
      const auto entropy = [](const Tensor& t) { return entropy_from_logits(t, 0); };
      CHECK(close(numbers(slope_of(entropy, x)), expected, tolerance, 0));
      x.requires_grad_();
      CHECK(close(numbers(grad({entropy(x)}, {x}, {}, /*retain_graph=*/true,
                               /*create_graph=*/true)[0]
                              .detach()),
                  expected, tolerance, 0));
    }
  }
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
