// Where numbers come to the ends of their range, or gradients meet what they must not: the true
// numbers all the same.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/autograd/numbers.h>
#include <retrace/tests/random.h>

using namespace retrace;
using testing::holds;
using testing::kInf;
using testing::leaf;

namespace {

Tensor floats(const std::vector<float>& values) { return from_vector(values).requires_grad_(); }

// The gradient of f(x).sum(), plain and recorded, which must agree.
template <class F>
Tensor slope(F&& f, const Tensor& x) {
  const Tensor plain = grad({f(x).sum()}, {x})[0];
  const Tensor recorded =
      grad({f(x).sum()}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
  CHECK(allclose(plain, recorded.detach(), 1e-5, 0, /*equal_nan=*/true));
  return plain;
}

struct Weighed {
  static constexpr std::string_view op = "weighed", formula = "y = (x + w)²",
                                    gradient = "dx = 2 g (x + w)";
};

bool near(const Tensor& x, const std::vector<float>& wanted, double relative = 1e-6) {
  return allclose(x.detach(), from_vector(wanted), relative, 0);
}

}  // namespace

TEST_CASE("gradients of a recorded pass are tensors of their own, and dense") {
  const Tensor a = leaf({1.0, 2.0}), b = leaf({3.0, 4.0});
  (a + b).square().sum().backward({}, /*retain_graph=*/false, /*create_graph=*/true);
  CHECK_FALSE(a.grad().is_same(b.grad()));
  Tensor of_a = a.grad();
  {
    const NoGradGuard no_grad;
    of_a.mul_(0.0);
  }
  CHECK(b.grad().detach().equal(tensor({8.0, 12.0}, kFloat64)));
  const Tensor c = leaf({1.0, 2.0}), seed = tensor({10.0, 20.0}, kFloat64);
  c.view({2}).backward(seed, false, true);
  CHECK_FALSE(c.grad().is_same(seed));
  Tensor(c.grad()).detach().fill_(0.0);
  CHECK(seed.equal(tensor({10.0, 20.0}, kFloat64)));
  const Tensor d = leaf({1.0, 2.0});
  d.sum().backward({}, false, true);
  CHECK(d.grad().is_contiguous());
  for (const Tensor& leaf : {a, b, c, d}) Tensor(leaf).zero_grad();  // they end in cycles
}

TEST_CASE("what a composite op was computed from may not change before it is recorded") {
  const Tensor x = leaf({0.5, -0.25}), weight = tensor({1.0, 2.0}, kFloat64);
  const auto weighed = [&] {
    return composite<Weighed>([weight](const Tensor& v) { return (v + weight).square(); }, x);
  };
  const auto back = [&](const Tensor& y) {
    return grad({y.sum()}, {x}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0].detach();
  };
  const Tensor y = weighed();
  CHECK(back(y).equal(tensor({3.0, 3.5}, kFloat64)));
  Tensor(weight).mul_(10.0);
  CHECK_THROWS_AS(back(y), AutogradError);
  CHECK(back(weighed()).equal(tensor({21.0, 39.5}, kFloat64)));
}

TEST_CASE("an impossible class has no gradient of an entropy, recorded or not") {
  const Tensor x = floats({1, 2, -INFINITY});
  CHECK(near(slope([](const Tensor& v) { return entropy_from_logits(v, 0); }, x),
             {0.19661193f, -0.19661193f, 0}));
  const Jvp along = jvp(
      [](const std::vector<Tensor>& v) {
        return std::vector<Tensor>{entropy_from_logits(v[0], 0)};
      },
      {x.detach()}, {tensor({1.0, 0.0, 0.0})});
  CHECK(along.tangents[0].item<float>() == doctest::Approx(0.19661193));
  CHECK_FALSE(along.tangents[0].requires_grad());
}

TEST_CASE("an infinite gradient is not that of the smaller one") {
  const auto zero = [](const Tensor& v) { return zeros_like(v); };
  CHECK(slope([&](const Tensor& v) { return maximum(v, zero(v)).sqrt(); }, floats({-1}))
            .equal(zeros({1})));
  CHECK(slope([&](const Tensor& v) { return minimum(-v, zero(v)).abs().sqrt(); }, floats({-1}))
            .equal(zeros({1})));
  CHECK(slope([](const Tensor& v) { return v.max().sqrt(); }, floats({0, -1}))
            .equal(tensor({kInf, 0.0})));
  CHECK(slope([](const Tensor& v) { return v.min().sqrt(); }, floats({0, 1}))
            .equal(tensor({kInf, 0.0})));
}

TEST_CASE("a linear layer without outputs gives zeros back") {
  const Tensor x = ones({3, 7}).requires_grad_();
  const Tensor weight = zeros({0, 7}).requires_grad_(), bias = zeros({0}).requires_grad_();
  const Tensor y = linear(x, weight, bias);
  CHECK(y.sizes() == Shape({3, 0}));
  y.sum().backward();
  CHECK(x.grad().equal(zeros({3, 7})));
  CHECK(weight.grad().sizes() == Shape({0, 7}));
  const Tensor one = ones({7}).requires_grad_();
  linear(one, zeros({0, 7})).sum().backward();
  CHECK(one.grad().equal(zeros({7})));
}

TEST_CASE("cosine similarity of long and short vectors") {
  for (const float scale : {1e-36f, 1e-15f, 1e-5f, 1.0f, 1e9f, 1e18f, 1e20f, 1e36f}) {
    const Tensor a = floats({3 * scale, 4 * scale}), b = floats({4 * scale, 3 * scale});
    CAPTURE(scale);
    CHECK(near(cosine_similarity(a, b, 0, 0.0).reshape({1}), {0.96f}));
    const Tensor d =
        slope([&](const Tensor& v) { return cosine_similarity(v, b.detach(), 0, 0.0); }, a);
    CHECK(near(d * scale, {0.0448f, -0.0336f}));
  }
  for (const double scale : {1e-200, 1e200}) {
    CAPTURE(scale);
    const Tensor a = leaf({3 * scale, 4 * scale}), b = leaf({4 * scale, 3 * scale});
    const Tensor y = cosine_similarity(a, b, 0, 0.0);
    CHECK(testing::holds(y, {}, {0.96}, 1e-15));
    CHECK(testing::holds(testing::gradient_of(y, a, {scale}), {0.0448, -0.0336}, 1e-15));
  }
}

TEST_CASE("cosine similarity is at most 1, and a distance of it not below 0") {
  for (std::int64_t n = 2; n < 40; ++n) {
    const Tensor x = random({50, n}, kFloat32);
    CHECK(cosine_similarity(x, x).equal(ones({50})));
    CHECK(cosine_distance(x, x * -3).equal(full({50}, 2.0f)));
    CHECK(cosine_similarity(x.t(), x.t(), 0).equal(ones({50})));
    const Tensor wide = x.to(kFloat64), y = cosine_similarity(wide, wide * 7);
    CHECK((y <= 1).all().item<bool>());
    CHECK((y > 1 - 1e-15).all().item<bool>());
  }
}

TEST_CASE("where eps stands for the lengths, cosine similarity is a product") {
  for (const std::int64_t dim : {0, 1}) {
    const Tensor a = leaf({0, 0, 3e-5, 4e-5}, {2, 2}), b = leaf({1, 2, 1e-5, 0}, {2, 2});
    const auto turned = [&](const Tensor& x) { return dim == 0 ? x.t() : x; };
    const Tensor y = cosine_similarity(turned(a), turned(b), dim);
    CHECK(testing::holds(y, {2}, {0, 0.03}, 1e-15));
    CHECK(testing::holds(testing::gradient_of(y, a, {1, 1}), {2, 2}, {1e8, 2e8, 1e3, 0}, 1e-15));
  }
  const Tensor none = leaf({0, 0});  // without eps it has no direction
  const Tensor y = cosine_similarity(none, leaf({1, 2}), 0, 0.0);
  CHECK(testing::holds(y, {}, {0}));
  CHECK(testing::holds(testing::gradient_of(y, none, {1}), {0, 0}));
}

TEST_CASE("lerp ends at its ends, with a weight of each element, too") {
  const Tensor a = tensor({1e8, 16777216.0, 1.0}), b = tensor({1.0, 0.25, 3.0});
  CHECK(lerp(a, b, ones({3})).equal(b));
  CHECK(lerp(a, b, zeros({3})).equal(a));
  const Tensor w = floats({0.25, 0.5, 0.75});
  CHECK(near(slope(
                 [&](const Tensor& v) {
                   return lerp(zeros({3}), tensor({2.0, 4.0, 8.0}), v);
                 },
                 w),
             {2, 4, 8}));
}

TEST_CASE("the gradient of a product whose parts overflow") {
  const Tensor x = floats({1e-30f, 1e-30f, 1, 1e30f, 1e30f});
  CHECK(
      near(slope([](const Tensor& v) { return v.prod(); }, x), {1e30f, 1e30f, 1, 1e-30f, 1e-30f}));
}

TEST_CASE("the gradient of the norm of long, short and no vectors") {
  for (const float scale : {1e-40f, 1e-25f, 1.0f, 1e25f, 1e30f}) {
    CAPTURE(scale);
    const Tensor x = floats({3 * scale, 4 * scale});
    CHECK(near(slope([](const Tensor& v) { return norm(v); }, x), {0.6f, 0.8f}, 1e-3));
  }
  CHECK(slope([](const Tensor& v) { return norm(v); }, floats({0, 0})).equal(zeros({2})));
  CHECK(slope([](const Tensor& v) { return norm(v, 3); }, floats({0, 0})).equal(zeros({2})));
}

TEST_CASE("the gradient of a quotient is finite wherever it fits, recorded or not") {
  struct Case {
    float a, b, g;
  };
  for (const auto [a, b, g] : {Case{0, 1e-30f, 1e10f}, Case{1e-40f, 1e-39f, 1}, Case{1, 1e-30f, 0},
                               Case{1, 1e-30f, 1e-30f}, Case{1e38f, 1e19f, 1e20f}}) {
    const Tensor x = floats({a}), d = floats({b}), upstream = from_vector(std::vector<float>{g});
    const double exact = -static_cast<double>(g) * static_cast<double>(a) /
                         (static_cast<double>(b) * static_cast<double>(b));
    for (const bool recorded : {false, true}) {
      const Tensor db = grad({x / d}, {d}, {upstream}, false, recorded)[0];
      CHECK(db.item<double>() == doctest::Approx(exact).epsilon(3e-7).scale(1e-30));
    }
  }
  const Tensor b = leaf({1e-300});
  (leaf({0}) / b).backward(tensor({1e100}, kFloat64));
  CHECK(b.grad().item<double>() == 0);
}

TEST_CASE("the gradient of a quotient by a number whose inverse overflows") {
  const Tensor x = floats({0, 0});
  CHECK(grad({x / 1e-39}, {x}, {tensor({1e-5, 0.0})})[0].equal(tensor({1e-5, 0.0}) / 1e-39));
  const Tensor wide = leaf({0, 0}), g = tensor({1e-5, 0.0}, kFloat64);
  CHECK(holds(grad({wide / 1e-310}, {wide}, {g})[0], {1e-5 / 1e-310, 0}));
}

TEST_CASE("the gradient of an angle, near the origin and far from it") {
  for (const float scale : {1e-30f, 1e-23f, 1e-22f, 1.0f, 1e20f, 1e38f}) {
    CAPTURE(scale);
    const Tensor a = floats({scale, 3 * scale}), b = floats({scale, -scale});
    CHECK(near(slope([&](const Tensor& v) { return atan2(v, b.detach()); }, a) * scale,
               {0.5f, -0.1f}));
    CHECK(near(slope([&](const Tensor& v) { return atan2(a.detach(), v); }, b) * scale,
               {-0.5f, -0.3f}));
  }
  for (const double scale : {1e-200, 1e200}) {
    CAPTURE(scale);
    const Tensor a = leaf({3 * scale}), b = leaf({4 * scale});
    const std::vector<Tensor> d = grad({atan2(a, b)}, {a, b}, {}, false, /*create_graph=*/true);
    CHECK(holds(d[0].detach() * scale, {0.16}, 1e-15));
    CHECK(holds(d[1].detach() * scale, {-0.12}, 1e-15));
  }
  // Its second derivative, -2ab / (a² + b²)², far enough within the range of doubles.
  const Tensor a = leaf({3e-120}), b = leaf({4e-120});
  const Tensor da = grad({atan2(a, b)}, {a}, {}, false, /*create_graph=*/true)[0];
  CHECK(holds(grad({da}, {a})[0] * 1e-240, {-24.0 / 625}, 1e-14));
}

TEST_CASE("a number by what is tiny or huge") {
  CHECK(near(slope([](const Tensor& v) { return 1e-15 / v; }, floats({1e-23f})), {-1e31f}));
  CHECK(near(slope([](const Tensor& v) { return 1e15 / v; }, floats({1e20f})), {-1e-25f}));
}

TEST_CASE("distances of what is very near or far") {
  for (const float scale : {1e-24f, 1e-12f, 1.0f, 1e20f}) {
    CAPTURE(scale);
    const Tensor a = from_vector(std::vector<float>{3 * scale, 4 * scale}).reshape({1, 2});
    CHECK(near(cdist(a, zeros({1, 2})).reshape({1}), {5 * scale}));
    const Tensor x = a.detach().requires_grad_();
    CHECK(near(slope(
                   [](const Tensor& v) {
                     return cdist(v, zeros({1, 2}));
                   },
                   x)
                   .reshape({2}),
               {0.6f, 0.8f}));
  }
  // 1 / 5e-40 is no float32.
  const Tensor x = floats({3e-40f, 4e-40f}).detach().reshape({1, 2}).requires_grad_();
  const auto distance = [](const Tensor& v) { return cdist(v, zeros({1, 2})); };
  CHECK(near(slope(distance, x).reshape({2}), {0.6f, 0.8f}, 1e-5));
}
