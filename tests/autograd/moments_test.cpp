#include <doctest/doctest.h>

#include <retrace/tests/autograd/numbers.h>

using namespace retrace;
using namespace retrace::testing;

TEST_CASE("var and std over all, one dim, several dims") {
  const Tensor x = tensor({{1.0, 2.0, 3.0}, {5.0, 5.0, 8.0}}, kFloat64);
  CHECK(holds(x.var(), {}, {6.4}, 1e-15));
  CHECK(holds(x.var(false), {}, {16.0 / 3}, 1e-15));
  CHECK(holds(x.var(1), {1, 3}, 1e-15));
  CHECK(holds(x.std(1, false), {std::sqrt(2.0 / 3), std::sqrt(2.0)}, 1e-15));
  CHECK(holds(x.var(0, true, true), {1, 3}, {8, 4.5, 12.5}, 1e-15));
  CHECK(holds(var(x.t(), {0, 1}, false, true), {1, 1}, {16.0 / 3}, 1e-15));
  CHECK(holds(retrace::std(x, 0), {std::sqrt(8.0), std::sqrt(4.5), std::sqrt(12.5)}, 1e-15));
}

TEST_CASE("var is accurate where the mean is large") {
  Tensor x = arange(5, kFloat64) + 1e9;
  CHECK(holds(x.var(), {}, {2.5}));
  x = (arange(5, kFloat64) + 1e6).to(kFloat32);
  CHECK(x.var().item<float>() == 2.5f);
  // The mean of these is no float32: what rounding leaves of it must not count.
  x = tensor({16777216.0, 16777218.0, 16777218.0});
  CHECK(x.var(0, false).item<float>() == doctest::Approx(8.0 / 9).epsilon(1e-6));
}

TEST_CASE("the gradients of var and std are accurate where the mean is large, or tiny") {
  // The means of these are no numbers of their dtypes.
  Tensor x = tensor({1e8, 100000008.0}).requires_grad_();
  CHECK(holds(gradient_of(x.var(), x, {1}), {-8, 8}));
  x = tensor({1e6, 1000000.125, 1000000.3125}).requires_grad_();
  CHECK(holds(gradient_of(x.std(), x, {1}),
              {-0.463586324972765, -0.0662266178532522, 0.529812942826018}, 1e-7));
  x = leaf({1e15, 1e15 + 1, 1e15 + 3});
  const Numbers slopes = {-0.436435780471985, -0.109108945117996, 0.545544725589981};
  CHECK(holds(gradient_of(x.std(), x, {1}), slopes, 4e-16));
  CHECK(holds(grad({x.std()}, {x}, {}, false, /*create_graph=*/true)[0], slopes, 4e-16));
  x = tensor({1e-39, 2e-39}).requires_grad_();
  CHECK(holds(gradient_of(x.std(), x, {1}), {-std::sqrt(0.5), std::sqrt(0.5)}, 1e-6));
}

TEST_CASE("var and std of one element and of none") {
  Tensor x = leaf({3});
  CHECK(holds(x.var(), {}, {kNan}));
  CHECK(holds(x.var(false), {}, {0}));
  CHECK(holds(gradient_of(x.std(), x, {1}), {kNan}));
  CHECK(holds(gradient_of(x.var(), x, {1}), {kNan}));
  CHECK(holds(gradient_of(x.std(false), x, {1}), {0}));
  CHECK(holds(zeros({0}).var(), {}, {kNan}));
  CHECK(holds(zeros({0}).std(false), {}, {kNan}));
  CHECK(holds(zeros({2, 0}).var(1), {kNan, kNan}));
  CHECK(holds(tensor(2.0).var(0, false), {}, {0}));
}

TEST_CASE("std has gradient 0 where all elements are equal") {
  Tensor x = leaf({2, 2, 2, 1, 2, 3}, {2, 3});
  CHECK(holds(gradient_of(x.std(1), x, {1, 1}), {2, 3}, {0, 0, 0, -.5, 0, .5}, 1e-15));
  CHECK(holds(gradient_of(x.var(1), x, {1, 1}), {2, 3}, {0, 0, 0, -1, 0, 1}, 1e-15));
  for (const std::int64_t n : {3, 7, 1000, 99999}) {
    x = full({n}, 0.1, kFloat64).requires_grad_();
    CHECK(holds(x.std(), {}, {0}));
    CHECK(gradient_of(x.std(), x, {1}).equal(zeros({n}, kFloat64)));
  }
  CHECK(full({1000}, 0.1f).var().item<float>() == 0.0f);
}

TEST_CASE("norms") {
  const Tensor x = tensor({{3.0, -4.0}, {0.0, 0.0}, {1.0, 1.0}}, kFloat64);
  CHECK(holds(x.norm(), {}, {std::sqrt(27.0)}, 1e-15));
  CHECK(holds(x.norm(2, 1), {5, 0, std::sqrt(2.0)}, 1e-15));
  CHECK(holds(x.norm(1, 1), {7, 0, 2}));
  CHECK(holds(x.norm(0, 1), {2, 0, 2}));
  CHECK(holds(x.norm(kInf, 1, true), {3, 1}, {4, 0, 1}));
  CHECK(holds(x.norm(-kInf, 0), {0, 0}));
  CHECK(holds(x.norm(3, 1), {std::cbrt(91.0), 0, std::cbrt(2.0)}, 1e-15));
  CHECK(holds(norm(x.t(), 1, {0, 1}, true), {1, 1}, {9}));
  CHECK(holds(zeros({0}).norm(), {}, {0}));
  CHECK(holds(zeros({0}).norm(kInf), {}, {0}));
  CHECK(holds(tensor(-2.0).norm(2, 0), {}, {2}));
  CHECK(full({1'000'000}, 1e-3f).norm().item<float>() == 1.0f);
  CHECK(tensor({3e30, 4e30}).norm().item<float>() == 5e30f);
}

TEST_CASE("norms and std of numbers whose powers leave the range of double") {
  for (const double scale : {0x1p-1000, 0x1p-600, 0x1p600, 0x1p1000}) {
    CAPTURE(scale);
    const Tensor x = tensor({{3.0, 4.0}, {0.0, 0.0}, {1.0, 1.0}}, kFloat64) * scale;
    CHECK((x.norm(2, 1) / scale).equal(tensor({5.0, 0.0, std::sqrt(2.0)}, kFloat64)));
    CHECK(holds(x.norm(3, 1) / scale, {std::cbrt(91.0), 0, std::cbrt(2.0)}, 1e-15));
    // The rounding of 1 / 1.5 counts as often as the logarithm of the sum is long.
    CHECK(holds(x.norm(1.5, 1) / scale, {std::cbrt(91 + 48 * std::sqrt(3.0)), 0, std::cbrt(4.0)},
                1e-13));
    CHECK(holds(x.norm(-2, 1) / scale, {2.4, 0, std::sqrt(0.5)}, 1e-15));
    CHECK(holds(x.std(1) / scale, {std::sqrt(0.5), 0, 0}, 1e-15));
    Tensor row = x[0].clone().requires_grad_();
    CHECK(holds(gradient_of(row.norm(), row, {1}), {.6, .8}, 1e-15));
    CHECK(holds(gradient_of(row.std(), row, {1}), {-std::sqrt(0.5), std::sqrt(0.5)}, 1e-15));
  }
  CHECK(holds(tensor({{100.0, 50.0}, {0.5, 0.25}}).norm(200, 1), {100, 0.5}));
  CHECK(holds(tensor({kInf, 1.0}, kFloat64).norm(), {}, {kInf}));
  CHECK(holds(tensor({kNan, 1e200}, kFloat64).norm(), {}, {kNan}));
  CHECK(holds(zeros({2, 0}, kFloat64).norm(2, 1), {0, 0}));
}

TEST_CASE("norms have gradient 0 at the zero vector") {
  for (const double p : {0.5, 1.0, 2.0, 3.0, kInf}) {
    Tensor x = leaf({0, 0});
    const Tensor g = gradient_of(x.norm(p, 0), x, {1});
    CHECK(holds(g, {0, 0}));
  }
  Tensor x = leaf({3, -4, 0, 4}, {4});
  CHECK(holds(gradient_of(x.norm(1), x, {2}), {2, -2, 0, 2}));
  CHECK(holds(gradient_of(x.norm(kInf), x, {2}), {0, -1, 0, 1}));
  CHECK(holds(gradient_of(x.norm(0), x, {2}), {0, 0, 0, 0}));
  CHECK(holds(gradient_of(x.narrow(0, 0, 3).norm(), x, {5}), {3, -4, 0, 0}, 1e-15));
  CHECK(holds(gradient_of(x.narrow(0, 0, 3).norm(-kInf), x, {5}), {0, 0, 0, 0}));
}

TEST_CASE("second derivatives of std and norm at 0 are 0, not NaN") {
  Tensor x = leaf({0, 0});
  for (const auto& f :
       {+[](const Tensor& t) { return t.norm(); }, +[](const Tensor& t) { return t.std(); },
        +[](const Tensor& t) { return t.norm(3); }}) {
    const Tensor g = grad({f(x)}, {x}, {}, false, true)[0];
    CHECK(holds(grad({g.sum()}, {x}, {}, false, false, true)[0], {0, 0}));
  }
}

TEST_CASE("normalize gives vectors of length 1, and leaves zeros") {
  Tensor x = leaf({3, 4, 0, 0}, {2, 2});
  CHECK(holds(normalize(x), {2, 2}, {.6, .8, 0, 0}, 1e-15));
  CHECK(holds(normalize(x, 1, 0), {2, 2}, {1, 1, 0, 0}));
  CHECK(holds(gradient_of(normalize(x), x, {1, 0, 1, 0}), {2, 2}, {.128, -.096, 1e12, 0}, 1e-14));
  CHECK_THROWS_AS(normalize(x, 2, 1, 0), ValueError);
}

TEST_CASE("normalize of the longest and the shortest vectors, with the smallest eps") {
  for (const double eps : {1e-45, 1e-60}) {
    CHECK(holds(normalize(zeros({2}), 2, 0, eps), {0, 0}));
    CHECK(holds(normalize(zeros({2}), 3, 0, eps), {0, 0}));
    CHECK(holds(normalize(zeros({2}, kFloat64), 2, 0, eps), {0, 0}));
    CHECK(holds(normalize(tensor({3e-39, 4e-39}), 2, 0, eps), {0.6, 0.8}, 1e-6));
  }
  CHECK(holds(normalize(tensor({3e38, 3e38}), 2, 0), {std::sqrt(0.5), std::sqrt(0.5)}, 1e-7));
  for (const double scale : {0x1p-1000, 0x1p-600, 0x1p600, 0x1p1000}) {
    CAPTURE(scale);
    Tensor x = leaf({3 * scale, 4 * scale});
    const Tensor y = normalize(x, 2, 0, 1e-305);
    CHECK(holds(y, {.6, .8}, 1e-15));
    CHECK(holds(gradient_of(y, x, {1, 0}) * scale, {.128, -.096}, 1e-15));
  }
  // One over this length is a subnormal float, of few digits; what is divided by it has more.
  Tensor x = full({10'000}, 3e38).requires_grad_();
  normalize(x, 2, 0)[0].mul(1e6).backward();
  CHECK(x.grad()[0].item<double>() == doctest::Approx(1e6 * (1 - 1e-4) / 3e40).epsilon(1e-6));
}

TEST_CASE("what variances and norms refuse") {
  CHECK_THROWS_AS(tensor({1, 2}).var(), DTypeError);
  CHECK(says(message_of<DTypeError>([] { tensor({1, 2}).norm(); }), "norm: needs float32"));
  CHECK_THROWS_AS(zeros({2}).norm(kNan), ValueError);
  CHECK_THROWS_AS(zeros({0}).norm(-kInf), ShapeError);
  CHECK_THROWS_AS(zeros({2}).std(1), IndexError);
}
