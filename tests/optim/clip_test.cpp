#include <doctest/doctest.h>

#include <cmath>
#include <limits>

#include <retrace/optim/clip.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/parallel.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/files.h>

using namespace retrace;
using nn::utils::clip_grad_norm_;
using nn::utils::clip_grad_value_;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

Tensor with_gradient(const Tensor& gradient) {
  Tensor p = zeros_like(gradient).requires_grad_();
  p.set_grad(gradient);
  return p;
}

double norm_of(const std::vector<Tensor>& parameters) {
  double sum = 0;
  for (const Tensor& p : parameters) {
    if (!p.grad().defined()) continue;
    for (const double g : p.grad().to_vector<double>()) sum += g * g;
  }
  return std::sqrt(sum);
}

}  // namespace

TEST_CASE("all gradients are scaled as one vector") {
  const std::vector<Tensor> p = {with_gradient(tensor({3.0, 0.0}, kFloat64)), zeros({5}),
                                 with_gradient(tensor({{-4.0}, {12.0}}, kFloat64))};
  CHECK(clip_grad_norm_(p, 100) == 13);
  CHECK(p[0].grad().equal(tensor({3.0, 0.0}, kFloat64)));
  CHECK(clip_grad_norm_(p, 6.5) == 13);
  CHECK(norm_of(p) == doctest::Approx(6.5).epsilon(1e-6));
  CHECK(p[2].grad()[0].item<double>() == doctest::Approx(-4 * 6.5 / (13 + 1e-6)).epsilon(1e-14));
  CHECK(!p[1].grad().defined());
}

TEST_CASE("norms of other orders") {
  const auto parameters = [] {
    return std::vector<Tensor>{with_gradient(tensor({1.0, -2.0})), with_gradient(tensor({2.0}))};
  };
  CHECK(clip_grad_norm_(parameters(), 1, 1) == 5);
  CHECK(clip_grad_norm_(parameters(), 1, kInfinity) == 2);
  CHECK(clip_grad_norm_(parameters(), 1, 3) == doctest::Approx(std::cbrt(17.0)).epsilon(1e-14));
  CHECK(clip_grad_norm_({}, 1) == 0);
  CHECK(clip_grad_norm_({with_gradient(zeros({3}))}, 1) == 0);
  CHECK(clip_grad_norm_({with_gradient(zeros({0}))}, 1, kInfinity) == 0);
}

TEST_CASE("powers beyond the range of double") {
  const auto clipped = [](double gradient, DType dtype, double max_norm, double p) {
    const Tensor parameter = with_gradient(full({4}, gradient, dtype));
    const double norm = clip_grad_norm_({parameter}, max_norm, p);
    return std::pair(norm, parameter.grad()[3].item<double>());
  };
  const auto near = [](double value) { return doctest::Approx(value).epsilon(1e-6).scale(0); };
  const double four = std::pow(4, 1.0 / 400);  // of four equal numbers, to the 400th
  CHECK(clipped(10, kFloat32, 1, 400).first == near(10 * four));
  CHECK(clipped(10, kFloat32, 1, 400).second == near(1 / four));
  CHECK(clipped(0.1, kFloat32, 0.05, 400).first == near(0.1 * four));
  CHECK(clipped(0.1, kFloat32, 0.05, 400).second ==
        near(0.05 / four * 0.1 * four / (0.1 * four + 1e-6)));
  CHECK(clipped(1e200, kFloat64, 1, 2).first == near(2e200));
  CHECK(clipped(1e200, kFloat64, 1, 2).second == near(0.5));
  CHECK(clipped(1e-170, kFloat64, 1e-180, 2).first == near(2e-170));
  CHECK(clipped(5e-162, kFloat64, 1, 2).first == near(1e-161));  // the squares are subnormal
  CHECK(clipped(1e-170, kFloat64, 1, 2).second == 1e-170);
  CHECK(std::isinf(clipped(1.7e308, kFloat64, 1, 2).first));  // the norm, too
  CHECK(nn::utils::grad_norm({with_gradient(tensor({1e200, kInfinity}, kFloat64))}) == kInfinity);
  CHECK(std::isnan(nn::utils::grad_norm({with_gradient(tensor({1e200, kNaN}, kFloat64))})));
}

TEST_CASE("float32 gradients are summed in double") {
  // In float32 the square of 1e30 is infinite, and small squares would be lost beside large ones.
  CHECK(clip_grad_norm_({with_gradient(full({4}, 1e30))}, kInfinity) ==
        doctest::Approx(2e30).epsilon(1e-7));
  CHECK(clip_grad_norm_({with_gradient(full({10'000'000}, 0.1))}, kInfinity) ==
        doctest::Approx(std::sqrt(1e7) * static_cast<double>(0.1f)).epsilon(1e-12));
}

TEST_CASE("the same norm with one and two threads") {
  const int threads = num_threads();
  const Tensor p = with_gradient(randn({300'001}));
  set_num_threads(1);
  const double one = clip_grad_norm_({p}, kInfinity);
  set_num_threads(2);
  CHECK(clip_grad_norm_({p}, kInfinity) == one);
  set_num_threads(threads);
}

TEST_CASE("a gradient that several parameters share is scaled once") {
  const Tensor shared = tensor({3.0, 4.0}, kFloat64);
  const Tensor a = with_gradient(shared), b = with_gradient(shared), c = with_gradient(shared[0]);
  const double norm = clip_grad_norm_({a, b, c}, 1);
  CHECK(norm == doctest::Approx(std::sqrt(59.0)));
  for (const Tensor& p : {a, b})
    CHECK(p.grad()[1].item<double>() == doctest::Approx(4 / norm).epsilon(1e-6));
  CHECK(c.grad().item<double>() == doctest::Approx(3 / norm).epsilon(1e-6));
}

TEST_CASE("a parameter that comes twice counts once, and is scaled once") {
  const Tensor p = with_gradient(tensor({3.0, 4.0}, kFloat64));
  CHECK(nn::utils::grad_norm({p, p}) == 5);
  const double norm = clip_grad_norm_({p, p}, 1);
  CHECK(norm == 5);
  CHECK(p.grad()[0].item<double>() == doctest::Approx(3 / norm).epsilon(1e-6));
}

TEST_CASE("gradients with strides") {
  Tensor p = zeros({3, 4}, kFloat64).requires_grad_();
  p.set_grad(full({1, 1}, 2.0, kFloat64).expand({3, 4}));
  const double norm = clip_grad_norm_({p}, 1);
  CHECK(norm == doctest::Approx(std::sqrt(48.0)));
  for (const double g : p.grad().to_vector<double>())
    CHECK(g == doctest::Approx(2 / norm).epsilon(1e-6));
  const Tensor base = tensor({{1.0, 2.0}, {3.0, 4.0}});
  Tensor q = zeros({2}).requires_grad_();
  q.set_grad(base.t()[1]);
  clip_grad_value_({q}, 3);
  CHECK(q.grad().equal(tensor({2.0, 3.0})));
}

TEST_CASE("clipping in place raises the gradient's version") {
  const Tensor p = with_gradient(tensor({3.0, 4.0}));
  const Tensor handle = p.grad();
  const auto version = handle.version();
  clip_grad_norm_({p}, 1);
  CHECK(handle.version() > version);
  CHECK(handle.is_same(p.grad()));
}

TEST_CASE("norms that are not finite") {
  for (const double bad : {kNaN, kInfinity}) {
    const Tensor p = with_gradient(tensor({1.0, bad}));
    CHECK(
        says(message_of<ValueError>([&] { clip_grad_norm_({p}, 1, 2, true); }), "norm of order 2"));
    CHECK(p.grad()[0].item<float>() == 1);
    CHECK(!std::isfinite(clip_grad_norm_({p}, 1)));
    CHECK(p.grad()[0].item<float>() != 1);
  }
  const Tensor p = with_gradient(tensor({kNaN, 1.0}));
  CHECK(std::isnan(clip_grad_norm_({p}, kInfinity, kInfinity)));
}

TEST_CASE("whether gradients are finite, and their norm, without touching them") {
  for (const DType dtype : {kFloat32, kFloat64}) {
    for (const std::int64_t size : {1, 31, 100'000}) {
      Tensor gradient = ones({size}, dtype);
      const Tensor p = with_gradient(gradient), none = zeros({2});
      for (const std::int64_t at : {std::int64_t{0}, size / 2, size - 1}) {
        for (const double bad : {kNaN, kInfinity, -kInfinity}) {
          CHECK(nn::utils::grads_are_finite({none, p}));
          gradient[at].fill_(bad);
          CHECK_FALSE(nn::utils::grads_are_finite({none, p}));
          gradient[at].fill_(1.0);
        }
      }
      CHECK(nn::utils::grad_norm({none, p}) == std::sqrt(static_cast<double>(size)));
      CHECK(nn::utils::grad_norm({none, p}, kInfinity) == 1);
    }
  }
  // Finite, though the sum of their squares is not: as the norm, in units of the largest.
  const Tensor large = with_gradient(full({4}, 1e300, kFloat64));
  CHECK(nn::utils::grads_are_finite({large}));
  CHECK(nn::utils::grad_norm({large}) == 2e300);
  const Tensor turned = with_gradient(ones({3, 2}));
  turned.set_grad(tensor({{1.0, 2.0, kInfinity}, {3.0, 4.0, 5.0}}).t());
  CHECK_FALSE(nn::utils::grads_are_finite({turned}));
  CHECK(nn::utils::grads_are_finite({}));
  CHECK(nn::utils::are_finite({}));
  CHECK(nn::utils::are_finite({tensor({1, 2}), empty({0}), ones({2, 3}).t()}));
  for (const double value : {std::nan(""), kInfinity, -kInfinity})
    for (const DType dtype : {kFloat32, kFloat64}) {
      const Tensor x = ones({3, 40}, dtype);
      x.t().select(0, 39).select(0, 1).fill_(value);
      CHECK_FALSE(nn::utils::are_finite({ones({2}), x}));
      CHECK_FALSE(nn::utils::are_finite({x.t()}));
    }
  CHECK_THROWS_AS(nn::utils::are_finite({Tensor()}), ValueError);
  CHECK(says(message_of<ValueError>([&] { nn::utils::grad_norm({large}, 0); }), "grad_norm"));
}

TEST_CASE("values are clamped, NaN stays") {
  const Tensor p = with_gradient(tensor({-3.0, -0.5, 0.0, 0.5, kInfinity, kNaN}));
  clip_grad_value_({p, zeros({1})}, 0.75);
  const auto g = p.grad().to_vector<double>();
  CHECK(std::vector(g.begin(), g.end() - 1) == std::vector<double>{-0.75, -0.5, 0, 0.5, 0.75});
  CHECK(std::isnan(g.back()));
}

TEST_CASE("bad arguments are refused") {
  const Tensor p = with_gradient(tensor({3.0, 4.0}));
  CHECK(!message_of<ValueError>([&] { clip_grad_norm_({p}, -1); }).empty());
  CHECK(!message_of<ValueError>([&] { clip_grad_norm_({p}, kNaN); }).empty());
  CHECK(!message_of<ValueError>([&] { clip_grad_norm_({p}, 1, 0); }).empty());
  CHECK(!message_of<ValueError>([&] { clip_grad_norm_({p}, 1, kNaN); }).empty());
  CHECK(!message_of<ValueError>([&] { clip_grad_value_({p}, -1); }).empty());
  CHECK(says(message_of<ValueError>([&] { clip_grad_norm_({p, Tensor()}, 1); }), "parameter 1"));
  CHECK(p.grad().equal(tensor({3.0, 4.0})));
}
