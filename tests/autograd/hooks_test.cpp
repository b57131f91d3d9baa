// Hooks and retained gradients.

#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/autograd/numbers.h>

#include <memory>
#include <optional>
#include <string>

using namespace retrace;
using testing::leaf;
using testing::message_of;
using testing::says;

namespace {

Tensor doubles(const testing::Numbers& values) { return from_vector(values); }

}  // namespace

TEST_CASE("a hook sees the whole gradient once, before it goes on") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor y = x * 3.0;
  int calls = 0;
  y.register_hook([&](const Tensor& g) {
    ++calls;
    CHECK(g.equal(doubles({5.0, 11.0})));
  });
  (y + y * y - y * 2.0).sum().backward();  // 1 + 2y - 2 = 2y - 1
  CHECK(calls == 1);
  CHECK(x.grad().equal(doubles({15.0, 33.0})));
}

TEST_CASE("hooks replace the gradient, in the order they were registered") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor y = x * 1.0;
  y.register_hook([](const Tensor& g) { return g * 2.0; });
  y.register_hook([](const Tensor& g) { return g + 1.0; });
  x.register_hook([](const Tensor& g) { return g * 10.0; });
  (y + x).sum().backward();
  CHECK(x.grad().equal(doubles({40.0, 40.0})));  // ((1·2 + 1) + 1) · 10, the leaf's once
  (x * 1.0).sum().backward();
  CHECK(x.grad().equal(doubles({50.0, 50.0})));
}

TEST_CASE("a hook that returns another shape or dtype is refused, with both") {
  const Tensor x = leaf({1.0, 2.0});
  Tensor y = x * 1.0;
  y.register_hook([](const Tensor&) { return zeros({3}, kFloat64); });
  std::string message = message_of<ShapeError>([&] { y.sum().backward(); });
  CHECK(says(message, "[2]"));
  CHECK(says(message, "[3]"));
  y = x * 1.0;
  y.register_hook([](const Tensor& g) { return g.to(kFloat32); });
  CHECK_THROWS_AS(y.sum().backward(), DTypeError);
  CHECK(!x.grad().defined());
}

TEST_CASE("a hook's exception reaches the caller as it is, and the next pass works") {
  struct Private {
    int code;
  };
  const Tensor x = leaf({1.0, 2.0});
  bool armed = true;
  const auto blocks = memory_stats().live_blocks;
  for (int repeat = 0; repeat < 3; ++repeat) {
    const Tensor y = x * 2.0;
    y.register_hook([&](const Tensor&) {
      if (armed) throw Private{7};
    });
    const Tensor loss = (y * y).sum();
    Backprop pass(loss);
    try {
      pass.run();
      FAIL("nothing was thrown");
    } catch (const Private& p) {
      CHECK(p.code == 7);
    }
    CHECK(pass.done());
    CHECK_THROWS_AS(pass.step(), ValueError);
  }
  CHECK(memory_stats().live_blocks == blocks);
  CHECK(!x.grad().defined());
  armed = false;
  (x * x).sum().backward();
  CHECK(x.grad().equal(doubles({2.0, 4.0})));
}

TEST_CASE("a leaf hook's exception leaves grads as they were") {
  const Tensor x = leaf({1.0, 2.0}), w = leaf({1.0, 1.0});
  (x * 1.0).sum().backward();
  x.register_hook([](const Tensor&) { throw std::runtime_error("mine"); });
  CHECK_THROWS_WITH_AS((x * w).sum().backward(), "mine", std::runtime_error);
  CHECK(x.grad().equal(doubles({1.0, 1.0})));
  CHECK(w.grad().equal(doubles({1.0, 2.0})));  // was reached before
}

TEST_CASE("a hook may register a hook, which counts from the next pass on") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor y = x * 1.0;
  int outer = 0, inner = 0;
  y.register_hook([&](const Tensor&) {
    ++outer;
    for (int i = 0; i < 50; ++i) y.register_hook([&inner](const Tensor&) { ++inner; });
  });
  y.sum().backward({}, true);
  CHECK(outer == 1);
  CHECK(inner == 0);
  y.sum().backward();
  CHECK(outer == 2);
  CHECK(inner == 50);

  const Tensor z = leaf({1.0});
  inner = 0;
  z.register_hook([&inner, &z](const Tensor&) {
    for (int i = 0; i < 50; ++i) z.register_hook([&inner](const Tensor&) { ++inner; });
  });
  z.sum().backward();
  CHECK(inner == 0);
}

TEST_CASE("a tensor may be gone before its hook runs, or go in it") {
  const Tensor x = leaf({1.0, 2.0});
  std::optional<Tensor> y = x * 2.0;
  int calls = 0;
  y->register_hook([&](const Tensor&) {
    ++calls;
    y.reset();
  });
  y->retain_grad();
  const Tensor loss = y->sum();
  loss.backward();
  CHECK(calls == 1);
  CHECK(!y.has_value());
  CHECK(x.grad().equal(doubles({2.0, 2.0})));

  std::optional<Tensor> z = leaf({1.0});
  z->register_hook([&](const Tensor&) { z.reset(); });
  const Tensor end = *z * 3.0;
  end.backward();
  CHECK(!z.has_value());
}

TEST_CASE("what hooks hold is let go with their leaf, or with their graph") {
  const auto kept = std::make_shared<int>(0);
  const auto hook = [kept](const Tensor&) {};
  const long mine = kept.use_count();

  std::optional<Tensor> x = leaf({1.0, 2.0});
  x->register_hook(hook);
  CHECK(kept.use_count() > mine);
  x.reset();
  CHECK(kept.use_count() == mine);

  const Tensor w = leaf({1.0, 2.0});
  std::optional<Tensor> y = w * 2.0;
  y->register_hook(hook);
  CHECK(kept.use_count() > mine);
  y.reset();
  CHECK(kept.use_count() == mine);
}

TEST_CASE("a hook that computes with tensors of the tape gives no history to a grad") {
  const Tensor x = leaf({1.0, 2.0}), w = leaf({3.0, 4.0});
  const Tensor y = x * 2.0;
  y.retain_grad();
  y.register_hook([&](const Tensor& g) { return g * w; });
  y.sum().backward();
  CHECK(x.grad().equal(doubles({6.0, 8.0})));
  CHECK(!x.grad().requires_grad());
  CHECK(!y.grad().requires_grad());
  CHECK(!w.grad().defined());
}

TEST_CASE("an inner tensor keeps its gradient when asked, accumulated and of its own") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor a = x * 2.0, b = a + 0.0, c = b * 3.0;
  a.retain_grad();
  a.retain_grad();  // twice is once
  b.retain_grad();
  x.retain_grad();  // a leaf does anyway
  c.sum().backward({}, true);
  CHECK(a.grad().equal(doubles({3.0, 3.0})));
  CHECK(b.grad().equal(doubles({3.0, 3.0})));
  CHECK(!c.grad().defined());
  Tensor mine = a.grad();
  mine.zero_();
  CHECK(b.grad().equal(doubles({3.0, 3.0})));
  c.sum().backward();
  CHECK(b.grad().equal(doubles({6.0, 6.0})));
  CHECK(x.grad().equal(doubles({12.0, 12.0})));
}

TEST_CASE("a retained gradient is the one after the hooks") {
  const Tensor x = leaf({1.0});
  const Tensor y = x * 1.0;
  y.retain_grad();
  y.register_hook([](const Tensor& g) { return g * 5.0; });
  y.sum().backward();
  CHECK(y.grad().item<double>() == 5.0);
}
