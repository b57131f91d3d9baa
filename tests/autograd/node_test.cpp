// Ops of one's own, and what a node may get wrong.
#include <doctest/doctest.h>

#include <retrace/autograd/first_order.h>
#include <retrace/retrace.h>
#include <retrace/tests/messages.h>

#include <cmath>
#include <string>

using namespace retrace;
using testing::message_of;
using testing::says;

namespace {

Tensor doubles(const NestedList& values) { return tensor(values, kFloat64); }
Tensor leaf(const NestedList& values) { return doubles(values).requires_grad_(); }

// The example of autograd/node.h.
struct Cube final : NodeOf<Cube> {
  static constexpr std::string_view op = "cube", formula = "y = x³", gradient = "dx = g · 3x²";
  void backward(const Tensor& g, Gradients& grads) override {
    const Tensor x = saved_input(0);
    grads.give(0, g * (x * x) * 3);
  }
};

Tensor cube(const Tensor& x) {
  Tensor y = without_recording([&] { return x * x * x; });
  return record<Cube>(std::move(y), {&x}, [&](Cube& node) { node.save_input(0, x); });
}

// sum and product of two tensors: two outputs, of which backward may see either.
struct SumProduct final : NodeOf<SumProduct> {
  static constexpr std::string_view op = "sum_product", formula = "s = a + b, p = a · b",
                                    gradient = "da = gs + gp · b, db = gs + gp · a";
  void backward(const Tensor& gs, Gradients& grads) override { give(gs, {}, grads); }
  void backward_outputs(const Tensor& gs, const std::vector<Tensor>* others,
                        Gradients& grads) override {
    give(gs, others != nullptr && !others->empty() ? others->front() : Tensor(), grads);
  }
  void give(const Tensor& gs, const Tensor& gp, Gradients& grads) {
    for (const std::size_t i : {0u, 1u}) {
      Tensor g = gs;
      if (gp.defined()) {
        const Tensor by_other = gp * saved_input(1 - i);
        g = g.defined() ? g + by_other : by_other;
      }
      if (grads.wants(i)) grads.give(i, g);
    }
  }
};

std::vector<Tensor> sum_product(const Tensor& a, const Tensor& b) {
  const auto [sum, product] =
      without_recording([&] { return std::pair<Tensor, Tensor>(a + b, a * b); });
  if (wants_recording({&a, &b})) {
    auto* node = new SumProduct;
    const auto owner = Ref<Node>::adopt(node);
    connect(*node, {&a, &b});
    node->save_input(0, a);
    node->save_input(1, b);
    attach(product, owner, 1);  // in any order
    attach(sum, owner, 0);
  }
  return {sum, product};
}

// exp(x) and exp(-x), both from saved outputs.
struct Exps final : NodeOf<Exps> {
  static constexpr std::string_view op = "exps", formula = "u = exp(x), v = exp(-x)",
                                    gradient = "dx = gu · u - gv · v";
  void backward(const Tensor& gu, Gradients& grads) override { grads.give(0, gu * saved_output()); }
  void backward_outputs(const Tensor& gu, const std::vector<Tensor>* others,
                        Gradients& grads) override {
    Tensor g;
    if (gu.defined()) g = gu * saved_output(0);
    if (others != nullptr && !others->empty() && others->front().defined()) {
      const Tensor dv = others->front() * saved_output(1);
      g = g.defined() ? g - dv : neg(dv);
    }
    grads.give(0, g);
  }
};

std::vector<Tensor> exps(const Tensor& x) {
  Tensor u = zeros_like(x), v = zeros_like(x);
  for (std::int64_t i = 0; i < x.numel(); ++i) {
    const double value = x.contiguous().data_ptr<double>()[i];
    u.data_ptr<double>()[i] = std::exp(value);
    v.data_ptr<double>()[i] = std::exp(-value);
  }
  if (wants_recording({&x})) {
    auto* node = new Exps;
    const auto owner = Ref<Node>::adopt(node);
    connect(*node, {&x});
    node->save_output(u, 0);
    node->save_output(v, 1);
    attach(u, owner, 0);
    attach(v, owner, 1);
  }
  return {u, v};
}

// A node whose backward does what the test says.
struct Free final : NodeOf<Free> {
  static constexpr std::string_view op = "free", formula = "y = x", gradient = "dx = whatever";
  using Rule = void (*)(const Tensor& g, Gradients& grads);
  explicit Free(Rule r) : rule(r) {}
  void backward(const Tensor& g, Gradients& grads) override { rule(g, grads); }
  Rule rule;
};

Tensor free_op(const Tensor& x, Free::Rule rule) {
  return record<Free>(
      without_recording([&] { return x.clone(); }), {&x}, [](Free&) {}, rule);
}

struct Forgetful final : NodeOf<Forgetful> {
  static constexpr std::string_view op = "forgetful", formula = "", gradient = "";
  void backward(const Tensor&, Gradients& grads) override { grads.give(0, saved_input(0)); }
};

struct Many final : NodeOf<Many> {
  static constexpr std::string_view op = "many", formula = "y = Σ xᵢ", gradient = "dxᵢ = g";
  void backward(const Tensor& g, Gradients& grads) override {
    for (std::size_t i = 0; i < 9; ++i) grads.give(i, g * saved_extra(i));
  }
};

}  // namespace

TEST_CASE("an op in a few lines") {
  const Tensor x = leaf({1.0, -2.0, 0.5});
  const Tensor y = cube(x);
  CHECK(y.equal(doubles({1.0, -8.0, 0.125})));
  CHECK(y.get().producer->name() == "cube");
  CHECK(y.get().producer->formula_text() == "y = x³");
  y.sum().backward();
  CHECK(x.grad().equal(doubles({3.0, 12.0, 0.75})));
  const auto f = [](const std::vector<Tensor>& in) { return cube(in[0]); };
  CHECK(gradcheck(f, {x}));
  CHECK(gradgradcheck(f, {x}));
  CHECK(!cube(doubles({2.0})).requires_grad());
  const NoGradGuard no_grad;
  CHECK(!cube(x).requires_grad());
}

TEST_CASE("an op with two outputs, of which either, both or none is used") {
  const Tensor a = leaf({1.0, 2.0}), b = leaf({3.0, 5.0});
  const auto f = [](const std::vector<Tensor>& in) { return sum_product(in[0], in[1]); };
  CHECK(gradcheck(f, {a, b}));
  CHECK(gradgradcheck(f, {a, b}));
  CHECK(gradcheck([&](const std::vector<Tensor>& in) { return f(in)[0]; }, {a, b}));
  CHECK(gradcheck([&](const std::vector<Tensor>& in) { return f(in)[1]; }, {a, b}));
  CHECK(gradgradcheck([&](const std::vector<Tensor>& in) { return f(in)[1]; }, {a, b}));
  const auto outputs = f({a, b});
  CHECK(outputs[0].get().producer == outputs[1].get().producer);
  CHECK(outputs[1].get().output == 1);
  outputs[1].retain_grad();
  int seen = 0;
  outputs[1].register_hook([&](const Tensor& g) {
    ++seen;
    CHECK(g.equal(doubles({10.0, 10.0})));
  });
  (outputs[0] + outputs[1] * 10.0).sum().backward();
  CHECK(seen == 1);
  CHECK(outputs[1].grad().equal(doubles({10.0, 10.0})));
  CHECK(a.grad().equal(doubles({31.0, 51.0})));
  CHECK(b.grad().equal(doubles({11.0, 21.0})));
  CHECK(grad({f({a, b})[1].sum()}, {a})[0].equal(b.detach()));
}

TEST_CASE("saved outputs, the second one too, carry second derivatives") {
  const Tensor x = leaf({0.5, -1.0});
  const auto f = [](const std::vector<Tensor>& in) { return exps(in[0]); };
  CHECK(gradcheck(f, {x}));
  CHECK(gradgradcheck(f, {x}));
  CHECK(gradgradcheck([&](const std::vector<Tensor>& in) { return f(in)[1]; }, {x}));
}

TEST_CASE("a rule on raw numbers can refuse second derivatives and tangents in its own name") {
  const auto f = [](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{free_op(in[0], [](const Tensor& g, Gradients& grads) {
      require_first_order("free");
      grads.give(0, g.clone());
    })};
  };
  const Tensor x = leaf({0.5, -1.0});
  f({x})[0].sum().backward();
  CHECK(x.grad().equal(doubles({1.0, 1.0})));
  const std::string message =
      "free: second derivatives are not available, nor is jvp; go back without create_graph here";
  CHECK_THROWS_WITH_AS(f({x})[0].sum().backward({}, false, true), message.c_str(), AutogradError);
  CHECK_THROWS_WITH_AS(jvp(f, {x}, {ones({2}, kFloat64)}), message.c_str(), AutogradError);
}

TEST_CASE("grad with respect to one of two outputs") {
  const Tensor a = leaf({1.0, 2.0}), b = leaf({3.0, 5.0});
  const auto outputs = sum_product(a, b);
  const Tensor y = (outputs[0] * outputs[1]).sum();
  CHECK(grad({y}, {outputs[1]}, {}, true)[0].equal(outputs[0].detach()));
  CHECK(grad({y}, {outputs[0]}, {}, true)[0].equal(outputs[1].detach()));
}

TEST_CASE("a backward that gives what does not fit is refused by name, and nothing is changed") {
  const Tensor x = leaf({{1.0, 2.0, 3.0}});
  const auto refused = [&](Free::Rule rule) {
    const std::string message = message_of([&] { free_op(x, rule).sum().backward(); });
    CHECK(says(message, "free"));
    CHECK(!x.grad().defined());
    return message;
  };
  std::string message = refused([](const Tensor& g, Gradients& grads) { grads.give(1, g); });
  CHECK(says(message, "input 1"));
  message = refused([](const Tensor& g, Gradients& grads) { grads.give(1000000, g); });
  message = refused([](const Tensor&, Gradients&) {});
  CHECK(says(message, "no gradient for input 0"));
  message = refused([](const Tensor&, Gradients& grads) {
    grads.give(0, zeros({2, 2}, kFloat64));
  });
  CHECK(says(message, "[2, 2]"));
  CHECK(says(message, "[1, 3]"));
  message = refused([](const Tensor& g, Gradients& grads) { grads.give(0, g.select(0, 0)); });
  CHECK(says(message, "[3]"));
  message = refused([](const Tensor& g, Gradients& grads) { grads.give(0, g.to(kFloat32)); });
  CHECK(says(message, "float32"));
  CHECK(says(message, "input 0"));
  message = refused([](const Tensor& g, Gradients& grads) { grads.give(0, g.to(kInt64)); });
  CHECK(says(message, "int64"));
}

TEST_CASE("a backward may give zeros as undefined, a strided gradient, or its upstream") {
  const Tensor x = leaf({{1.0, 2.0}, {3.0, 4.0}});
  free_op(x, [](const Tensor&, Gradients& grads) { grads.give(0, {}); }).sum().backward();
  CHECK(!x.grad().defined());
  free_op(x, [](const Tensor& g, Gradients& grads) {
    grads.give(0, g.transpose(0, 1));
  }).backward(doubles({{1.0, 2.0}, {3.0, 4.0}}));
  CHECK(x.grad().equal(doubles({{1.0, 3.0}, {2.0, 4.0}})));
  CHECK(x.grad().is_contiguous());
  free_op(x, [](const Tensor& g, Gradients& grads) {
    grads.give(0, g);
  }).backward(doubles({{1.0, 1.0}, {1.0, 1.0}}));
  CHECK(x.grad().equal(doubles({{2.0, 4.0}, {3.0, 5.0}})));
  // A constant that the op keeps is not added into.
  static const Tensor kept = doubles({{1.0, 1.0}, {1.0, 1.0}});
  for (int i = 0; i < 3; ++i)
    free_op(x, [](const Tensor&, Gradients& grads) { grads.give(0, kept); }).sum().backward();
  CHECK(kept.equal(doubles({{1.0, 1.0}, {1.0, 1.0}})));
  CHECK(x.grad().equal(doubles({{5.0, 7.0}, {6.0, 8.0}})));
}

TEST_CASE("a backward that throws ends the pass with its own exception") {
  const Tensor x = leaf({1.0}), w = leaf({2.0});
  const Tensor y = free_op(x, [](const Tensor&, Gradients&) { throw std::out_of_range("mine"); });
  const Tensor loss = (y * w).sum();
  Backprop pass(loss);
  CHECK_THROWS_WITH_AS(pass.run(), "mine", std::out_of_range);
  CHECK(pass.done());
  CHECK(!x.grad().defined());
  CHECK(w.grad().item<double>() == 1.0);
  CHECK(GradMode::is_enabled());
  (x * 3.0).sum().backward();
  CHECK(x.grad().item<double>() == 3.0);
}

TEST_CASE("a backward may run a forward and backward of its own") {
  const Tensor x = leaf({2.0});
  free_op(x,
          [](const Tensor& g, Gradients& grads) {
            const EnableGradGuard recording;
            const Tensor t = doubles({3.0}).requires_grad_();
            (t * t).sum().backward();
            grads.give(0, g * t.grad());
          })
      .sum()
      .backward();
  CHECK(x.grad().item<double>() == 6.0);
}

TEST_CASE("an output that is an input or was recorded already is refused") {
  const Tensor x = leaf({1.0, 2.0});
  const auto identity = [](const Tensor& in) {
    return record<Free>(
        Tensor(in), {&in}, [](Free&) {}, Free::Rule(nullptr));
  };
  CHECK(says(message_of([&] { identity(x); }), "free: its output 0 of shape [2] is a leaf"));
  CHECK(x.is_leaf());
  const Tensor y = x * 2.0;
  CHECK(says(message_of([&] { identity(y); }), "already the result of a recorded op"));
  CHECK(y.get().producer->name() == "mul");
  y.sum().backward();
  CHECK(x.grad().equal(doubles({2.0, 2.0})));
}

TEST_CASE("a node made before its inputs were computed still comes after them") {
  const Tensor x = leaf({3.0});
  auto* node = new Cube;
  const auto owner = Ref<Node>::adopt(node);
  const Tensor y = x * 2.0;
  Tensor z = without_recording([&] { return y * y * y; });
  connect(*node, {&y});
  node->save_input(0, y);
  attach(z, owner);
  z.sum().backward();
  CHECK(x.grad().item<double>() == 216.0);  // 3 (2x)² · 2
}

TEST_CASE("asking for what was not saved is an error with the op's name") {
  const Tensor x = leaf({1.0});
  const Tensor y = record<Forgetful>(x.detach().clone(), {&x}, [](Forgetful&) {});
  CHECK(says(message_of([&] { y.backward(); }), "forgetful: backward asks for a tensor"));
}

TEST_CASE("a node with many inputs and many saved tensors") {
  std::vector<Tensor> xs;
  for (int i = 0; i < 9; ++i) xs.push_back(leaf({1.0 * i}));
  const Tensor y = record<Many>(
      doubles({0.0}), {&xs[0], &xs[1], &xs[2], &xs[3], &xs[4], &xs[5], &xs[6], &xs[7], &xs[8]},
      [&](Many& node) {
        for (const Tensor& x : xs) node.save_extra(x);
      });
  y.backward();
  for (int i = 0; i < 9; ++i)
    CHECK(xs[static_cast<std::size_t>(i)].grad().item<double>() == 1.0 * i);
}

TEST_CASE("an undefined input is an optional argument that was not given") {
  const Tensor x = leaf({2.0}), none;
  const Tensor y = record<Free>(
      x.detach().clone(), {&x, &none}, [](Free&) {},
      Free::Rule([](const Tensor& g, Gradients& grads) {
        CHECK(!grads.wants(1));
        grads.give(0, g);
        grads.give(1, g);  // ignored
      }));
  y.backward();
  CHECK(x.grad().item<double>() == 1.0);
}
