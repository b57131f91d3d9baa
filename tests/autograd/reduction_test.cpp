#include <doctest/doctest.h>

#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/autograd/numbers.h>

using namespace retrace;
using namespace retrace::testing;

TEST_CASE("sum and mean over all, one dim, several dims") {
  const Tensor x = arange(24, kFloat64).view({2, 3, 4});
  CHECK(holds(x.sum(), {}, {276}));
  CHECK(holds(x.mean(), {}, {11.5}));
  CHECK(holds(x.sum(1), {2, 4}, {12, 15, 18, 21, 48, 51, 54, 57}));
  CHECK(holds(x.mean(-3, true), {1, 3, 4}, {6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}));
  CHECK(holds(x.mean({0, -1}), {3}, {7.5, 11.5, 15.5}));
  CHECK(holds(x.transpose(0, 2).mean({0, -1}, true), {1, 3, 1}, {7.5, 11.5, 15.5}));
  CHECK(holds(x.slice(2, 0, 4, 3).sum(0), {3, 2}, {12, 18, 20, 26, 28, 34}));
  CHECK(
      holds(x.select(0, 1).unsqueeze(0).expand({5, 3, 4}).mean(0).select(0, 2), {20, 21, 22, 23}));
  CHECK(holds(tensor(3.0).mean(0), {}, {3}));
}

TEST_CASE("mean of nothing is NaN, and sum and prod keep their neutral elements") {
  CHECK(holds(zeros({0}).sum(), {}, {0}));
  CHECK(holds(zeros({0}).prod(), {}, {1}));
  CHECK(holds(zeros({0}).mean(), {}, {kNan}));
  CHECK(holds(zeros({2, 0, 3}).mean(1), {2, 3}, {kNan, kNan, kNan, kNan, kNan, kNan}));
  CHECK(holds(zeros({2, 0}).mean(0), {0}, {}));
  CHECK(holds(zeros({2, 0}).prod(1), {1, 1}));
  CHECK(holds(zeros({0, 2}).logsumexp(0), {-kInf, -kInf}));
  Tensor x = zeros({0, 2}, kFloat64).requires_grad_();
  for (const Tensor& y : {x.sum(), x.mean(), x.prod(), x.logsumexp(0).sum(), x.prod(1).sum()}) {
    x.zero_grad();
    y.backward();
    CHECK(x.grad().sizes() == Shape({0, 2}));
  }
}

TEST_CASE("sums of float32 keep float32's accuracy at any length") {
  const Tensor x = full({3'000'001}, 0.1f);
  CHECK(x.mean().item<float>() == 0.1f);
  CHECK(x.view({1, -1}).mean(1).item<float>() == 0.1f);
  CHECK(x.view({-1, 1}).mean(0).item<float>() == 0.1f);
}

TEST_CASE("whole numbers: mean refuses them, sums and products stay whole") {
  CHECK(says(message_of<DTypeError>([] { tensor({1, 2}).mean(); }), "mean: needs float32"));
  CHECK_THROWS_AS(tensor({1, 2}).logsumexp(0), DTypeError);
  CHECK(tensor({2, 3, 4}).prod().equal(tensor(24)));
  CHECK(tensor({true, false}).prod(0).equal(tensor(0)));
  CHECK(tensor({9007199254740993, 1}).prod().item<std::int64_t>() == 9007199254740993);
}

TEST_CASE("prod has the right gradient with no, one and two zeros") {
  Tensor x = leaf({2, 3, 4});
  CHECK(holds(gradient_of(x.prod(), x, {1}), {12, 8, 6}));
  x = leaf({0, 2, 3});
  CHECK(holds(gradient_of(x.prod(), x, {1}), {6, 0, 0}));
  x = leaf({0, 2, 0});
  CHECK(holds(gradient_of(x.prod(), x, {1}), {0, 0, 0}));
  x = leaf({1, 2, 0, 4, 5, 6, 0, 0, 7}, {3, 3});
  CHECK(holds(gradient_of(x.prod(1), x, {1, 10, 100}), {3, 3}, {0, 0, 2, 300, 240, 200, 0, 0, 0}));
  CHECK(holds(gradient_of(x.prod(0, true), x, {1, 10, 100}), {3, 3},
              {0, 0, 4200, 0, 0, 0, 4, 100, 0}));
  x = leaf({5}, {});
  CHECK(holds(gradient_of(x.prod(0), x, {3}), {}, {3}));
}

TEST_CASE("logsumexp is stable, and its gradient is the softmax") {
  Tensor x = leaf({10000, 10000, -10000, -10000}, {2, 2});
  CHECK(holds(x.logsumexp(1), {10000 + std::log(2.0), -10000 + std::log(2.0)}, 1e-15));
  CHECK(holds(gradient_of(x.logsumexp(1), x, {1, 4}), {2, 2}, {.5, .5, 2, 2}, 1e-11));
  CHECK(holds(logsumexp(x, {0, 1}, true), {1, 1}, {10000 + std::log(2.0)}, 1e-15));
  CHECK(holds(logsumexp(x.t(), {0, 1}), {}, {10000 + std::log(2.0)}, 1e-15));
  const Tensor f = from_vector(Numbers{1e4, 9999}).to(kFloat32);
  CHECK(f.logsumexp(0).item<float>() == 10000.313f);
}

TEST_CASE("the shares of logsumexp are exact however large its result is") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    const double tolerance = dtype == kFloat32 ? 1e-7 : 2e-16;
    for (const double shift : {0.0, 1e4, -1e6, 0x1p23, dtype == kFloat32 ? 1e30 : 1e300}) {
      Tensor x = tensor({{shift, shift, shift - 1}}, dtype).requires_grad_();
      const double last = shift - 1 == shift ? 1 : std::exp(-1.0), sum = 2 + last;
      CHECK(holds(gradient_of(x.logsumexp(1), x, {1}), {1, 3}, {1 / sum, 1 / sum, last / sum},
                  tolerance));
      const Tensor slopes = grad({x.logsumexp(1)}, {x}, {}, /*retain_graph=*/true,
                                 /*create_graph=*/true)[0];
      CHECK(holds(gradient_of(slopes, x, {1, 0, 0}), {1, 3},
                  {(1 + last) / sum / sum, -1 / sum / sum, -last / sum / sum}, tolerance));
    }
  }
  const double small = tensor({0.0, -20.0}).logsumexp(0).item<double>();
  CHECK(std::abs(small / 2.0611536181902037e-9 - 1) < 2e-7);
}

TEST_CASE("logsumexp of infinities") {
  Tensor x = leaf({-kInf, -kInf, -kInf, 1, kInf, 1}, {3, 2});
  CHECK(holds(x.logsumexp(1), {-kInf, 1, kInf}));
  CHECK(holds(gradient_of(x.logsumexp(1), x, {1, 1, 1}), {3, 2}, {0, 0, 0, 1, 1, 0}));
  x = leaf({kInf, kInf, 100});
  CHECK(holds(gradient_of(x.logsumexp(0), x, {1}), {3}, {.5, .5, 0}));
  CHECK(holds(leaf({kNan, 1}).logsumexp(0), {}, {kNan}));
}

TEST_CASE("any, all and count_nonzero of every dtype") {
  const Tensor x = tensor({{0.0, kNan}, {0.0, 0.0}});
  CHECK(x.any().dtype() == kBool);
  CHECK(x.any().item<bool>());
  CHECK(!x.all().item<bool>());
  CHECK(any(x, 1).equal(tensor({true, false})));
  CHECK(all(x, 0, true).equal(tensor({{false, false}})));
  CHECK(count_nonzero(x).equal(tensor(1)));
  CHECK(count_nonzero(tensor({{1, 0}, {2, 3}}).t(), 1).equal(tensor({2, 1})));
  CHECK(!zeros({0}).any().item<bool>());
  CHECK(zeros({0}).all().item<bool>());
  CHECK(any(zeros({2, 0}), 1).equal(tensor({false, false})));
  CHECK(ones({70000}, kBool).all().item<bool>());
}

TEST_CASE("dims that are not there, or named twice") {
  const Tensor x = zeros({2, 3});
  const std::string message = message_of<IndexError>([&] { x.mean(2); });
  CHECK(says(message, "mean: dim 2"));
  CHECK(says(message, "[2, 3]"));
  CHECK(says(message_of<IndexError>([&] { x.sum({0, -2}); }), "dim 0 is named twice"));
  CHECK_THROWS_AS(x.prod(-3), IndexError);
  CHECK_THROWS_AS(Tensor().mean(), ValueError);
}

// Whether an expression in t compiles, t being a tensor.
#define COMPILES(...)                 \
  []<class T>(const T& t) {           \
    return requires { __VA_ARGS__; }; \
  }(Tensor())

TEST_CASE("empty braces are no dim: they do not compile, lists of dims do") {
  CHECK(COMPILES(t.sum({0, 1})));
  CHECK(COMPILES(t.mean({0, 1}, true)));
  CHECK(COMPILES(norm(t, 2, {0, 1})));
  CHECK(COMPILES(amax(t, {0, 1})));
  CHECK(!COMPILES(t.sum({})));
  CHECK(!COMPILES(t.sum({}, true)));
  CHECK(!COMPILES(t.mean({})));
  CHECK(!COMPILES(t.norm(2, {})));
  CHECK(!COMPILES(t.prod({})));
  CHECK(!COMPILES(t.max({})));
  CHECK(!COMPILES(t.min({})));
  CHECK(!COMPILES(t.argmax({})));
  CHECK(!COMPILES(t.argmin({})));
  CHECK(!COMPILES(t.logsumexp({})));
  CHECK(!COMPILES(t.var({})));
  CHECK(!COMPILES(t.std({})));
  CHECK(!COMPILES(sum(t, {})));
  CHECK(!COMPILES(sum(t, {}, true)));
  CHECK(!COMPILES(mean(t, {})));
  CHECK(!COMPILES(prod(t, {})));
  CHECK(!COMPILES(logsumexp(t, {})));
  CHECK(!COMPILES(any(t, {})));
  CHECK(!COMPILES(all(t, {})));
  CHECK(!COMPILES(count_nonzero(t, {})));
  CHECK(!COMPILES(amax(t, {})));
  CHECK(!COMPILES(amin(t, {})));
  CHECK(!COMPILES(max(t, {})));
  CHECK(!COMPILES(min(t, {})));
  CHECK(!COMPILES(argmax(t, {})));
  CHECK(!COMPILES(argmin(t, {})));
  CHECK(!COMPILES(norm(t, 2, {})));
  CHECK(!COMPILES(var(t, {})));
  CHECK(!COMPILES(retrace::std(t, {})));
  CHECK(holds(ones({2}).sum(Shape()), {2}, {1, 1}));  // of no dim
}

TEST_CASE("reductions give the same bits with one thread and two") {
  manual_seed(1);
  const Tensor x = randn({300, 700});
  const int before = num_threads();
  std::vector<Tensor> results[2];
  for (int threads : {1, 2}) {
    set_num_threads(threads);
    results[threads - 1] = {x.sum(), x.mean(0), x.var(1), x.prod(0), x.norm(3, 0), x.logsumexp(0)};
  }
  set_num_threads(before);
  for (std::size_t i = 0; i < results[0].size(); ++i) CHECK(results[0][i].equal(results[1][i]));
}
