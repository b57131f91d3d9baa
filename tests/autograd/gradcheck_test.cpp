// The checker itself: what it lets pass, and what it finds.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/messages.h>

#include <cstring>
#include <string>

using namespace retrace;
using testing::message_of;
using testing::says;

namespace {

Tensor doubles(const NestedList& values) { return tensor(values, kFloat64); }
Tensor leaf(const NestedList& values) { return doubles(values).requires_grad_(); }

// x², with the derivative that a test gives it.
struct Wrong final : NodeOf<Wrong> {
  static constexpr std::string_view op = "wrong", formula = "y = x²", gradient = "dx = ?";
  using Rule = Tensor (*)(const Tensor& g, const Tensor& x);
  explicit Wrong(Rule r) : rule(r) {}
  void backward(const Tensor& g, Gradients& grads) override {
    grads.give(0, rule(g, saved_input(0)));
  }
  Rule rule;
};

Tensor square_with(const Tensor& x, Wrong::Rule rule) {
  return record<Wrong>(
      without_recording([&] { return x * x; }), {&x}, [&](Wrong& node) { node.save_input(0, x); },
      rule);
}

bool passes(const Tensor& x, Wrong::Rule rule) {
  const auto f = [&](const std::vector<Tensor>& in) { return square_with(in[0], rule); };
  return gradcheck(f, {x}, {.raise = false});
}

}  // namespace

TEST_CASE("a right gradient passes, wrong ones of many kinds do not") {
  const Tensor x = leaf({{0.5, -1.5}, {2.0, 0.25}});
  CHECK(passes(x, [](const Tensor& g, const Tensor& t) { return g * t * 2.0; }));
  // The upstream gradient forgotten: right if it were all ones.
  CHECK(!passes(x, [](const Tensor&, const Tensor& t) { return t * 2.0; }));
  CHECK(!passes(x, [](const Tensor& g, const Tensor& t) { return g * t * -2.0; }));
  CHECK(!passes(x, [](const Tensor& g, const Tensor& t) { return g * t * 2.01; }));
  CHECK(!passes(x, [](const Tensor& g, const Tensor& t) { return g * t * 2.0 + 1e-2; }));
  CHECK(!passes(x, [](const Tensor& g, const Tensor& t) { return (g * t * 2.0).t(); }));
  CHECK(!passes(x, [](const Tensor&, const Tensor&) { return Tensor(); }));
  CHECK(!passes(x, [](const Tensor& g, const Tensor& t) { return g * t * (0.0 / 0.0); }));
  // One element of many.
  CHECK(!passes(x, [](const Tensor& g, const Tensor& t) {
    Tensor dx = g * t * 2.0;
    dx[1][0] = 0.0;
    return dx;
  }));
  // Right only for dense upstream gradients: it reads memory, not elements.
  CHECK(!passes(x, [](const Tensor& g, const Tensor& t) {
    Tensor dense = zeros(g.sizes(), kFloat64);
    std::memcpy(dense.data_ptr<double>(), g.data_ptr<double>(), sizeof(double));
    if (g.is_contiguous()) dense.copy_(g);
    return dense * t * 2.0;
  }));
}

TEST_CASE("the message names input, element, analytic and numeric value") {
  const auto f = [](const std::vector<Tensor>& in) {
    return square_with(in[1], [](const Tensor& g, const Tensor& t) {
      Tensor dx = g * t * 2.0;
      dx[1][0] = 7.0;
      return dx;
    });
  };
  const std::string message = message_of<AutogradError>([&] {
    gradcheck(f, {doubles({1.0}), leaf({{1.0, 2.0}, {3.0, 4.0}})});
  });
  CHECK(says(message, "gradcheck: wrong gradient of input 1 of shape [2, 2] at element [1, 0]"));
  CHECK(says(message, "analytic 7, numeric "));
  CHECK(says(message, "eps 1e-06"));
}

TEST_CASE("it does not matter how the inputs lie in memory, or where they come from") {
  const auto f = [](const std::vector<Tensor>& in) { return in[0] * in[1] + in[0]; };
  const Tensor base = doubles({{1.0, 2.0, 3.0, 4.0}, {5.0, 6.0, 7.0, 8.0}});
  const Tensor transposed = base.t().requires_grad_();
  const Tensor stepped = base.clone().slice(1, 0, {}, 2).requires_grad_();
  CHECK(gradcheck(f, {transposed, leaf({0.5, -1.0})}));
  CHECK(gradcheck(f, {stepped, leaf({0.5, -1.0})}));
  const Tensor inner = leaf({1.0, 2.0}) * 3.0;  // with a history
  CHECK(gradcheck(f, {inner, leaf({{0.5}, {-1.0}})}));
  CHECK(gradcheck(f, {leaf(2.0), leaf(3.0)}));
  const Tensor nothing = zeros({0, 2}, kFloat64).requires_grad_();
  CHECK(gradcheck(f, {nothing, leaf({1.0, 2.0})}));
  const Tensor same = leaf({2.0, 3.0});
  CHECK(gradcheck(f, {same, same}));
}

TEST_CASE("captured tensors count as inputs, several outputs and whole numbers are fine") {
  const Tensor w = leaf({1.0, 2.0});
  CHECK(gradcheck([&](const std::vector<Tensor>&) { return w * w * 3.0; }, {w}));
  const auto several = [](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{in[0] * 2.0, in[0] * in[0], tensor({1, 2}), doubles({1.0, 5.0})};
  };
  CHECK(gradcheck(several, {w}));
  CHECK(gradgradcheck(several, {w}));
}

TEST_CASE("an output cut off from the tape is found by its differences") {
  const Tensor w = leaf({1.0, 2.0});
  const auto f = [](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{in[0] * 2.0, (in[0] * in[0]).detach()};
  };
  CHECK(!gradcheck(f, {w}, {.raise = false}));
}

TEST_CASE("inputs and gradients are as they were, bit for bit, also after a failure") {
  Tensor x = leaf({0.1, -0.0, 1e-300, 1e300});
  x.set_grad(doubles({1.0, 2.0, 3.0, 4.0}));
  const Tensor before = x.detach().clone();
  const auto same_bits = [&] {
    return std::memcmp(x.data_ptr<double>(), before.data_ptr<double>(), 4 * sizeof(double)) == 0;
  };
  gradcheck([](const std::vector<Tensor>& in) { return in[0] * 2.0; }, {x}, {.raise = false});
  CHECK(same_bits());
  int calls = 0;
  const auto throws = [&](const std::vector<Tensor>& in) {
    if (++calls == 5) throw std::runtime_error("mine");
    return in[0] * 2.0;
  };
  CHECK_THROWS_WITH_AS(gradcheck(throws, {x}), "mine", std::runtime_error);
  CHECK(same_bits());
  CHECK(x.version() == 0);
  CHECK(x.grad().equal(doubles({1.0, 2.0, 3.0, 4.0})));
  CHECK(GradMode::is_enabled());
}

TEST_CASE("what it refuses") {
  const auto f = [](const std::vector<Tensor>& in) { return in[0] * 2.0; };
  std::string message = message_of<DTypeError>([&] {
    gradcheck(f, {tensor({1.0, 2.0}).requires_grad_()});
  });
  CHECK(says(message, "input 0 of shape [2] is float32"));
  CHECK(says(message, ".to(kFloat64)"));
  CHECK_THROWS_AS(gradcheck(f, {doubles({1.0})}), ValueError);  // no gradient wanted
  CHECK_THROWS_AS(gradcheck(f, {}), ValueError);
  CHECK_THROWS_AS(gradcheck(f, {Tensor()}), ValueError);
  const Tensor repeated = doubles({1.0}).expand({3}).requires_grad_();
  CHECK(says(message_of<ValueError>([&] { gradcheck(f, {repeated}); }), "share memory"));
  const Tensor x = leaf({1.0, 2.0});
  message = message_of<AutogradError>(
      [&] { gradcheck([](const std::vector<Tensor>& in) { return in[0].detach(); }, {x}); });
  CHECK(says(message, "wants a gradient"));
  message = message_of<DTypeError>(
      [&] { gradcheck([](const std::vector<Tensor>& in) { return in[0].to(kFloat32); }, {x}); });
  CHECK(says(message, "float32"));
  int count = 0;
  message = message_of<ValueError>([&] {
    gradcheck([&](const std::vector<Tensor>& in) { return in[0] * static_cast<double>(++count); },
              {x});
  });
  CHECK(says(message, "differs when computed twice"));
  message = message_of<ValueError>([&] {
    gradcheck(
        [](const std::vector<Tensor>& in) {
          Tensor(in[0].detach()).add_(1.0);
          return in[0] * 2.0;
        },
        {x});
  });
  CHECK(says(message, "changes its input 0"));
  CHECK(x.equal(doubles({1.0, 2.0})));
}

TEST_CASE("gradgradcheck finds a first derivative that is right with a wrong second one") {
  const Tensor x = leaf({0.5, -1.5});
  const auto f = [](const std::vector<Tensor>& in) {
    // Right, but its dependence on x is hidden from the tape.
    return square_with(in[0],
                       [](const Tensor& g, const Tensor& t) { return g * t.detach() * 2.0; });
  };
  CHECK(gradcheck(f, {x}));
  CHECK(!gradgradcheck(f, {x}, {.raise = false}));
  const auto right = [](const std::vector<Tensor>& in) {
    return square_with(in[0], [](const Tensor& g, const Tensor& t) { return g * t * 2.0; });
  };
  CHECK(gradgradcheck(right, {x}));
  CHECK(gradgradcheck([](const std::vector<Tensor>& in) { return in[0] * 2.0; }, {x}));
}

TEST_CASE("it works inside a NoGradGuard") {
  const NoGradGuard no_grad;
  CHECK(gradcheck([](const std::vector<Tensor>& in) { return in[0] * in[0]; }, {leaf({1.0})}));
}
