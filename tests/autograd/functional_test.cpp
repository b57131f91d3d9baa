#include <retrace/autograd/elementwise.h>
#include <retrace/autograd/functional.h>
#include <retrace/autograd/ops/activation_rules.h>
#include <retrace/nn/nn.h>
#include <retrace/tensor/random.h>
#include <retrace/tests/autograd/numbers.h>

#include <doctest/doctest.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

using Tensors = std::vector<Tensor>;

Tensor numbers(const Numbers& values) { return from_vector(values); }

// d/dε of f's gradients at x + ε v, by differences.
Tensors gradient_differences(TensorFunction f, const Tensors& inputs, const Tensors& vectors) {
  constexpr double kStep = 1e-5;
  const auto gradients_at = [&](double step) {
    Tensors moved;
    for (std::size_t i = 0; i < inputs.size(); ++i)
      moved.push_back((inputs[i] + vectors[i] * step).detach());
    return vjp(f, moved).gradients;
  };
  Tensors above = gradients_at(kStep), below = gradients_at(-kStep);
  for (std::size_t i = 0; i < above.size(); ++i) above[i] = (above[i] - below[i]) / (2 * kStep);
  return above;
}

struct Cube final : NodeOf<Cube> {
  static constexpr std::string_view op = "cube", formula = "y = x³", gradient = "dx = g · 3x²";
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, g * saved_input(0).square() * 3);
  }
};
struct RawCube final : NodeOf<RawCube> {
  static constexpr std::string_view op = "raw_cube", formula = "y = x³", gradient = "dx = g · 3x²";
  void backward(const Tensor& g, Gradients& gradients) override {
    gradients.give(0, without_recording([&] { return g * saved_input(0).square() * 3; }));
  }
};
struct WrongCube final : NodeOf<WrongCube> {
  static constexpr std::string_view op = "wrong_cube", formula = "y = x³", gradient = "-";
  void backward(const Tensor&, Gradients&) override {}
  std::vector<Tensor> jvp(const std::vector<Tensor>& t) override { return {t[0].sum()}; }
};
// An elementwise rule without written derivatives.
struct ProductOfPowers {
  static constexpr std::string_view op = "product_of_powers", formula = "y = exp(a) · b²",
                                    gradient = "-";
  template <class T>
  T y(T a, T b) const {
    return math::exp(a) * b * b;
  }
};

template <class N>
Tensor cube_of(const Tensors& in) {
  const Tensor& x = in[0];
  return record<N>(without_recording([&] { return x * x * x; }), {&x},
                   [&](N& node) { node.save_input(0, x); });
}

double farthest(const Tensors& a, const Tensors& b) {
  double most = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i].numel() > 0) most = std::max(most, (a[i] - b[i]).abs().max().item<double>());
  return most;
}

Tensor random(const Shape& sizes, std::uint64_t seed) {
  Generator generator(seed);
  return randn(sizes, kFloat64, &generator);
}

}  // namespace

TEST_CASE("jvp: value and slope of a product, by hand") {
  const Tensor x = numbers({2, 3}), y = numbers({5, 7});
  const auto f = [](const Tensors& in) { return in[0] * in[1] + in[0].exp(); };
  const auto [outputs, tangents] = jvp(f, {x, y}, {numbers({1, 0}), numbers({10, 100})});
  CHECK(holds(outputs[0], {10 + std::exp(2), 21 + std::exp(3)}, 1e-15));
  CHECK(holds(tangents[0], {5 + 20 + std::exp(2), 300}, 1e-15));
  CHECK(!outputs[0].requires_grad());
  CHECK(!x.requires_grad());
}

TEST_CASE("jvp through views, broadcasting, reductions, casts and changes in place") {
  const Tensor x = random({3, 4}, 1), t = random({3, 4}, 2);
  const auto f = [](const Tensors& in) {
    const Tensor row = in[0].select(0, 1).unsqueeze(0).expand({3, 4});
    Tensor y = (in[0] * row).transpose(0, 1).reshape({2, 6}).clone();
    y.mul_(y.sum(0, /*keepdim=*/true));
    y.add_(in[0].diagonal().prod());
    return y.to(kFloat32).to(kFloat64).narrow(1, 1, 4).logsumexp(1);
  };
  const Tensor plain = jvp(f, {x}, {t}).tangents[0];
  const auto exact = [&](const Tensors& in) {
    const Tensor row = in[0].select(0, 1).unsqueeze(0).expand({3, 4});
    const Tensor y = (in[0] * row).transpose(0, 1).reshape({2, 6});
    return (y * y.sum(0, true) + in[0].diagonal().prod()).narrow(1, 1, 4).logsumexp(1);
  };
  const Tensor other = jvp(exact, {x}, {t}).tangents[0];
  CHECK(farthest({plain}, {other}) < 1e-5);  // float32 in between
  const Tensor up = exact({x + t * 1e-6}), down = exact({x - t * 1e-6});
  CHECK(farthest({other}, {(up - down) / 2e-6}) < 1e-6);
}

TEST_CASE("jvp: each place of a repeated input has its own tangent") {
  for (const bool wants : {false, true}) {
    const Tensor x = numbers({2, 3}).requires_grad_(wants);
    const auto f = [](const Tensors& in) { return in[0] * in[0] * in[1]; };
    const auto result = jvp(f, {x, x}, {numbers({1, 0}), numbers({0, 1})});
    CHECK(holds(result.tangents[0], {8, 9}));
    CHECK(!x.grad().defined());
  }
}

TEST_CASE("jvp: an input computed from another one moves by its own tangent alone") {
  const Tensor x = numbers({2, 3}).requires_grad_();
  const Tensor y = x * 10;
  const auto f = [](const Tensors& in) { return Tensors{in[0] + in[1], in[1]}; };
  const auto result = jvp(f, {x, y}, {numbers({1, 1}), numbers({5, 0})});
  CHECK(holds(result.tangents[0], {6, 1}));
  CHECK(holds(result.tangents[1], {5, 0}));
  // One of several inputs may be what another was made of.
  CHECK(holds(jvp(f, {y, x}, {numbers({1, 2}), numbers({0, 3})}).tangents[0], {1, 5}));
}

TEST_CASE("jvp: outputs without a tangent, without dependence, without elements or dims") {
  const Tensor x = numbers({1, 3, 2}), t = numbers({1, 1, 1});
  const auto f = [](const Tensors& in) {
    const TensorPair largest = max(in[0], 0);
    return Tensors{largest.values,      largest.indices, in[0] > 1.5,
                   ones({2}, kFloat64), in[0],           in[0].narrow(0, 0, 0)};
  };
  auto [outputs, tangents] = jvp(f, {x}, {t});
  REQUIRE(tangents.size() == 6);
  CHECK(holds(tangents[0], {}, {1}));
  CHECK(!tangents[1].defined());
  CHECK(!tangents[2].defined());
  CHECK(holds(tangents[3], {0, 0}));
  CHECK(holds(tangents[4], {1, 1, 1}));
  CHECK(tangents[5].sizes() == Shape{0});
  CHECK(outputs[1].item<std::int64_t>() == 1);
  tangents[4].fill_(5);  // shares memory with nothing
  CHECK(holds(t, {1, 1, 1}));

  const Tensor scalar = tensor(2.0, kFloat64);
  const auto square = [](const Tensors& in) { return in[0] * in[0]; };
  CHECK(holds(jvp(square, {scalar}, {tensor(3.0, kFloat64)}).tangents[0], {}, {12}));
  const Tensor none = empty({0, 3}, kFloat64);
  CHECK(jvp(square, {none}, {none}).tangents[0].sizes() == Shape{0, 3});
}

TEST_CASE("jvp of float32, of strided inputs and along repeated tangents") {
  const Tensor x = random({4, 3}, 3);
  const auto f = [](const Tensors& in) { return tanh(in[0]).matmul(in[0].t()); };
  const Tensor one = full({}, 0.5, kFloat64).expand({4, 3});
  const Tensor dense = jvp(f, {x}, {one.clone()}).tangents[0];
  const Tensor turned = x.t().clone().t();
  CHECK(farthest({jvp(f, {turned}, {one}).tangents[0]}, {dense}) < 1e-14);
  const Tensor single = jvp(f, {x.to(kFloat32)}, {one.to(kFloat32)}).tangents[0];
  CHECK(single.dtype() == kFloat32);
  CHECK(farthest({single.to(kFloat64)}, {dense}) < 1e-5);
}

TEST_CASE("jvp runs a long chain without recursion, and no history behind its inputs") {
  Tensor x = ones({1}, kFloat64).requires_grad_();
  for (int i = 0; i < 100000; ++i) x = x + 0.0;
  const auto f = [](const Tensors& in) {
    Tensor y = in[0];
    for (int i = 0; i < 100000; ++i) y = y * 1.00001;
    return y;
  };
  const auto result = jvp(f, {x}, {ones({1}, kFloat64)});
  CHECK(result.tangents[0].item<double>() == doctest::Approx(std::exp(1.0)).epsilon(1e-4));
}

TEST_CASE("jvp of an op written outside of the library") {
  const Tensor x = numbers({2}), t = numbers({10});
  CHECK(holds(jvp(cube_of<Cube>, {x}, {t}).tangents[0], {120}));
  CHECK(message_of<AutogradError>([&] { jvp(cube_of<RawCube>, {x}, {t}); }) ==
        "raw_cube: no tangents of inputs [1] can be computed: backward is not written with tensor "
        "ops; do so, or override jvp");
  CHECK(message_of<AutogradError>([&] { jvp(cube_of<WrongCube>, {x}, {t}); }) ==
        "wrong_cube: jvp gave output 0 of float64 [1] a tangent of float64 []; give one of its "
        "shape and dtype");
}

TEST_CASE_TEMPLATE("tangents are the slopes of rules on dual numbers", Rule, rules::Relu,
                   rules::Sigmoid, rules::Gelu, rules::GeluTanh, rules::Silu, ProductOfPowers) {
  const Tensor x = random({50}, 17), t = random({50}, 18), y = random({50}, 19),
               u = random({50}, 20);
  const auto value = [](const auto&... at) { return Rule().y(at...); };
  const auto op = [](const Tensors& in) {
    if constexpr (std::is_same_v<Rule, ProductOfPowers>) {
      return binary(in[0], in[1], Rule());
    } else {
      return unary(in[0], Rule());
    }
  };
  const Tensor tangent = jvp(op, {x, y}, {t, u}).tangents[0];
  for (std::int64_t i = 0; i < 50; ++i) {
    const auto at = [i](const Tensor& numbers) { return numbers[i].item<double>(); };
    const Dual<double> a{at(x), at(t)}, b{at(y), at(u)};
    double slope = 0;
    if constexpr (std::is_same_v<Rule, ProductOfPowers>) {
      slope = value(a, b).slope;
    } else {
      slope = value(a).slope;
    }
    CHECK(std::abs(at(tangent) - slope) <= 1e-14 * (1 + std::abs(slope)));
  }
}

TEST_CASE("jvp of a gradient is a product with the Hessian") {
  const Tensor x = random({5}, 4), v = random({5}, 5);
  const auto f = [](const Tensors& in) {
    return (tanh(in[0]) * in[0].exp()).prod() + sin(in[0] / 3).sum();
  };
  const auto slope = [&](const Tensors& in) {
    return grad({f(in)}, {in[0]}, {}, false, /*create_graph=*/true)[0];
  };
  const Tensor forward_over_reverse = jvp(slope, {x}, {v}).tangents[0];
  const Tensor twice_reverse = hvp(f, {x}, {v}).products[0];
  CHECK(farthest({forward_over_reverse}, {twice_reverse}) < 1e-12);
}

TEST_CASE("vjp: gradients of a function, no leaf touched") {
  const Tensor x = numbers({2, 3}).requires_grad_(), y = numbers({5, 7}), unused = numbers({1});
  const auto f = [](const Tensors& in) { return Tensors{in[0] * in[1], in[0] > 0, in[1].sum()}; };
  const auto [outputs, gradients] =
      vjp(f, {x, y, unused}, {numbers({1, 10}), Tensor(), tensor(100.0, kFloat64)});
  CHECK(holds(outputs[0], {10, 21}));
  CHECK(holds(gradients[0], {5, 70}));
  CHECK(holds(gradients[1], {102, 130}));
  CHECK(holds(gradients[2], {0}));
  CHECK(!x.grad().defined());
  const auto constant = [](const Tensors&) { return zeros({}, kFloat64); };
  CHECK(holds(vjp(constant, {x}).gradients[0], {0, 0}));
}

TEST_CASE("hvp of a quadratic form is its matrix times the vector") {
  const Tensor a = random({4, 4}, 6), x = random({4}, 7), v = random({4}, 8);
  const auto f = [&](const Tensors& in) { return dot(in[0], a.matmul(in[0])) / 2; };
  const Hvp result = hvp(f, {x}, {v});
  CHECK(farthest({result.products[0]}, {((a + a.t()) / 2).matmul(v)}) < 1e-14);
  CHECK(result.value.item<double>() == f({x}).item<double>());
  CHECK(!result.value.requires_grad());
}

TEST_CASE("hvp of logistic regression is Xᵀ D X v") {
  const Tensor x = random({20, 3}, 9), w = random({3}, 10), v = random({3}, 11);
  const Tensor y = (random({20}, 12) > 0).to(kFloat64);
  const auto loss = [&](const Tensors& in) {
    const Tensor z = x.matmul(in[0]);
    return (softplus(z) - y * z).sum();
  };
  const Tensor p = sigmoid(x.matmul(w));
  const Tensor expected = x.t().matmul(p * (1 - p) * x.matmul(v));
  CHECK(farthest(hvp(loss, {w}, {v}).products, {expected}) < 1e-13);
}

TEST_CASE("hvp of a network's parameters, which the function uses directly") {
  manual_seed(13);
  nn::Sequential model(nn::Linear(3, 4), nn::Tanh(), nn::Linear(4, 1));
  model.to(kFloat64);
  const Tensor x = random({6, 3}, 14), y = random({6, 1}, 15);
  Tensors parameters = model.parameters(), vectors;
  for (const Tensor& p : parameters) vectors.push_back(random(p.sizes(), 16));
  const auto loss = [&](const Tensors&) { return (model.forward(x) - y).square().mean(); };
  const Hvp result = hvp(loss, parameters, vectors);
  const auto of_arguments = [&](const Tensors& in) {
    return (linear(tanh(linear(x, in[0], in[1])), in[2], in[3]) - y).square().mean();
  };
  CHECK(farthest(result.products, gradient_differences(of_arguments, parameters, vectors)) < 1e-8);
  for (const Tensor& p : parameters) CHECK(!p.grad().defined());
}

TEST_CASE("hvp: zeros where the function is linear, constant, or does not use the input") {
  const Tensor x = numbers({2, 3}), v = numbers({1, 1});
  CHECK(holds(hvp([](const Tensors& in) { return in[0].sum(); }, {x}, {v}).products[0], {0, 0}));
  CHECK(
      holds(hvp([](const Tensors&) { return ones({}, kFloat64); }, {x}, {v}).products[0], {0, 0}));
  const auto of_one = [](const Tensors& in) { return in[0].square().sum(); };
  const auto products = hvp(of_one, {x, x}, {v, v}).products;
  CHECK(holds(products[0], {2, 2}));
  CHECK(holds(products[1], {0, 0}));
}

TEST_CASE("derivatives of a function are recorded in a NoGradGuard, and leave no history") {
  const NoGradGuard guard;
  const Tensor x = numbers({2}), one = numbers({1});
  const auto square = [](const Tensors& in) { return in[0].square().sum(); };
  CHECK(holds(jvp(square, {x}, {one}).tangents[0], {}, {4}));
  CHECK(holds(vjp(square, {x}).gradients[0], {4}));
  CHECK(holds(hvp(square, {x}, {one}).products[0], {2}));
}

TEST_CASE("refused: what does not fit, in words, changing nothing") {
  const Tensor x = numbers({2, 3}).requires_grad_(), v = numbers({1, 1});
  const auto f = [](const Tensors& in) { return in[0].square().sum(); };
  CHECK(message_of<ValueError>([&] { jvp(f, {}, {}); }) ==
        "jvp: there is no input; give at least one");
  CHECK(message_of<ValueError>([&] { vjp(f, {}); }) == "vjp: there is no input; give at least one");
  CHECK(message_of<ValueError>([&] { hvp(f, {}, {}); }) ==
        "hvp: there is no input; give at least one");
  CHECK(message_of<ValueError>([&] {
          jvp(f, {x}, {v, v});
        }) == "jvp: 1 inputs and 2 tangents; give one for each input");
  CHECK(message_of<ShapeError>([&] { jvp(f, {x}, {numbers({1})}); }) ==
        "jvp: tangent 0 is [1], what it belongs to [2]; give one of that shape");
  CHECK(message_of<DTypeError>([&] { hvp(f, {x}, {v.to(kFloat32)}); }) ==
        "hvp: vector 0 of shape [2] is float32, what it belongs to float64; convert with "
        ".to(float64)");
  CHECK(message_of<ValueError>([&] { jvp(f, {x}, {Tensor()}); }) ==
        "jvp: tangent 0 is undefined; give one of shape [2], zeros where nothing moves");
  CHECK(message_of<DTypeError>([&] {
          jvp(f, {tensor({1, 2})}, {v});
        }) ==
        "jvp: input 0 of shape [2] is int64, it must be floating; let the function capture it "
        "instead");
  CHECK(message_of<ShapeError>([&] { hvp([](const Tensors& in) { return in[0]; }, {x}, {v}); }) ==
        "hvp: the function gives 1 results, the first of shape [2]; let it give one number, such "
        "as a loss");
  CHECK(message_of<ValueError>([&] {
          vjp(f, {x}, {v, v});
        }) == "vjp: 1 outputs and 2 upstream gradients; give one for each output");
  CHECK(says(
      message_of<AutogradError>([&] { vjp([](const Tensors& in) { return in[0] * 2; }, {x}); }),
      "only a scalar can start without a gradient"));
  CHECK(message_of<ValueError>([&] { jvp([](const Tensors&) { return Tensor(); }, {x}, {v}); }) ==
        "jvp: output 0 of the function is undefined; return tensors with values");
  CHECK(!x.grad().defined());
}

TEST_CASE("refused: changes in place of the argument or of what was saved, and freed graphs") {
  const Tensor x = numbers({2, 3}), v = numbers({1, 1});
  const auto change = [](const Tensors& in) { return Tensor(in[0]).add_(1.0); };
  CHECK(says(message_of<AutogradError>([&] { jvp(change, {x}, {v}); }),
             "add_: a leaf of shape [2] that wants a gradient cannot be changed in place"));
  CHECK(holds(x, {2, 3}));
  const auto saved = [](const Tensors& in) {
    const Tensor y = in[0].exp();
    Tensor changed = y.detach();
    changed.fill_(0);
    return y;
  };
  CHECK(says(message_of<AutogradError>([&] { jvp(saved, {x}, {v}); }),
             "exp: its output, float64 [2], saved for backward, was changed in place since"));
  const auto freed = [](const Tensors& in) {
    const Tensor y = in[0].exp().sum();
    grad({y}, {in[0]});
    return y;
  };
  CHECK(says(message_of<AutogradError>([&] { jvp(freed, {x}, {v}); }), "exp"));
}

TEST_CASE(
    "refused: jvp, vjp and hvp inside of each other, where results would count as constants") {
  const Tensor x = numbers({2, 3}), v = numbers({1, 1});
  const auto square = [](const Tensors& in) { return in[0].square().sum(); };
  const auto outer = [&](const Tensors& in) { return jvp(square, {in[0]}, {v}).tangents[0]; };
  CHECK(message_of<AutogradError>([&] { jvp(outer, {x}, {v}); }) ==
        "jvp: called inside of another jvp, vjp or hvp, whose derivatives would lack what flows "
        "through it; use grad with create_graph, or a NoGradGuard where it is a constant");
  const auto constant = [&](const Tensors& in) {
    return in[0].sum() * without_recording([&] { return outer(in); });
  };
  CHECK(holds(jvp(constant, {x}, {v}).tangents[0], {}, {20}));
  CHECK(holds(jvp(square, {x}, {v}).tangents[0], {}, {10}));  // and after a refused one
}
