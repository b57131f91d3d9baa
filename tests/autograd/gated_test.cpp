#include <retrace/autograd/gradcheck.h>

#include <retrace/tests/autograd/pointwise.h>
#include <retrace/tests/random.h>

namespace {

using namespace retrace;
using namespace retrace::testing;

struct Unit {
  const char* name;
  Tensor (*op)(const Tensor& x, std::int64_t dim, Gate gate);
  Tensor (*activation)(const Tensor& gate);
  Tensor (*block)(const Tensor& x, const GatedWeights& weights);
};

const Unit kUnits[] = {
    {"glu", glu, sigmoid, glu_ffn},
    {"swiglu", swiglu, silu, swiglu_ffn},
    {"geglu", [](const Tensor& x, std::int64_t dim, Gate gate) { return geglu(x, dim, gate); },
     [](const Tensor& gate) { return gelu(gate); }, geglu_ffn},
    {"geglu",
     [](const Tensor& x, std::int64_t dim, Gate gate) {
       return geglu(x, dim, gate, Approximate::tanh);
     },
     [](const Tensor& gate) { return gelu(gate, Approximate::tanh); }, geglu_tanh_ffn},
    {"reglu", reglu, relu, reglu_ffn},
    {"bilinear_glu", bilinear_glu, [](const Tensor& gate) { return gate + 0.0; }, bilinear_glu_ffn},
};

TEST_CASE("each unit is its activation of the gate times the values, along any dim") {
  for (const Unit& unit : kUnits) {
    CAPTURE(std::string(unit.name));
    for (const DType dtype : {kFloat64, kFloat32}) {
      const double rtol = dtype == kFloat64 ? 1e-12 : 1e-5, atol = dtype == kFloat64 ? 1e-14 : 1e-6;
      for (const std::int64_t dim : {0, 1, -1}) {
        const Tensor x = random({4, 6, 40}, dtype).requires_grad_();
        const std::vector<Tensor> halves = x.chunk(2, dim);
        for (const Gate gate : {Gate::first, Gate::second}) {
          const bool first = gate == Gate::first;
          const Tensor expected = unit.activation(halves[first ? 0 : 1]) * halves[first ? 1 : 0];
          const Tensor y = unit.op(x, dim, gate), g = random(y.sizes(), dtype);
          CHECK(allclose(y, expected, rtol, atol));
          y.backward(g);
          const Tensor dx = x.grad();
          x.zero_grad();
          expected.backward(g, /*retain_graph=*/true);
          CHECK(allclose(dx, x.grad(), rtol, atol));
          x.zero_grad();
        }
      }
    }
  }
}

TEST_CASE("each unit is one node and takes any layout") {
  const Tensor x = random({3, 4});
  for (const Unit& unit : kUnits) {
    CAPTURE(std::string(unit.name));
    for (const Tensor& laid : layouts(x)) {
      const Tensor leaf = laid.detach().requires_grad_();
      const Tensor y = unit.op(leaf, -1, Gate::second);
      CHECK(y.equal(unit.op(x, -1, Gate::second)));
      const Node* node = y.get().producer.get();
      REQUIRE((node != nullptr));
      CHECK(node->name() == unit.name);
      CHECK(node->input(0).leaf.get() == &leaf.get());
    }
  }
}

TEST_CASE("glu's gradient to the gate keeps its digits where the gate is open") {
  for (const DType dtype : {kFloat32, kFloat64})
    for (const double a : {20.0, -20.0}) {
      const Tensor x = tensor({3.0, a}, dtype).requires_grad_();
      const Tensor plain = grad({glu(x).sum()}, {x})[0];
      const Tensor recorded = grad({glu(x).sum()}, {x}, {}, false, /*create_graph=*/true)[0];
      for (const Tensor& dx : {plain, recorded.detach()})
        CHECK(numbers(dx)[1] == doctest::Approx(3 * 2.0611536139418493e-9)
                                    .epsilon(dtype == kFloat32 ? 3e-7 : 1e-15)
                                    .scale(0));
    }
}

TEST_CASE("finite at ±1e4 in values and gradients") {
  for (const Unit& unit : kUnits)
    for (const DType dtype : {kFloat64, kFloat32}) {
      CAPTURE(std::string(unit.name));
      const Tensor x = tensor({1e4, -1e4, 1e4, -1e4, 1.0, 1.0, 1e4, 1e4}, dtype);
      const auto f = [&](const Tensor& t) { return unit.op(t, 0, Gate::first); };
      for (const double v : numbers(f(x))) CHECK(std::isfinite(v));
      for (const double v : numbers(slope_of(f, x))) CHECK(std::isfinite(v));
    }
}

TEST_CASE("a block is gate and values by two products, and a third back") {
  const Tensor x = random({2, 3, 4});
  for (const Unit& unit : kUnits) {
    CAPTURE(std::string(unit.name));
    const GatedWeights plain = {
        .gate = random({5, 4}), .up = random({5, 4}), .down = random({4, 5})};
    GatedWeights biased = plain;
    biased.gate_bias = random({5});
    biased.up_bias = random({5});
    biased.down_bias = random({4});
    for (const GatedWeights& w : {plain, biased}) {
      const Tensor expected =
          linear(unit.activation(linear(x, w.gate, w.gate_bias)) * linear(x, w.up, w.up_bias),
                 w.down, w.down_bias);
      CHECK(allclose(unit.block(x, w), expected, 1e-12, 1e-14));
    }
  }
}

TEST_CASE("wrong calls") {
  for (const Unit& unit : kUnits) {
    const std::string name = unit.name;
    const auto odd = message_of<ShapeError>([&] { unit.op(zeros({2, 5}), -1, Gate::second); });
    CHECK(says(odd, (name + ": x is [2, 5]; its size along dim 1 must be even").c_str()));
    CHECK(says(message_of<ShapeError>([&] { unit.op(tensor(1.0), 0, Gate::second); }), "even"));
    CHECK(says(message_of<IndexError>([&] {
                 unit.op(zeros({2, 4}), 2, Gate::second);
               }),
               (name + ": ").c_str()));
    CHECK(says(message_of<DTypeError>([&] { unit.op(zeros({4}, kInt64), 0, Gate::second); }),
               "int64"));
    const GatedWeights unequal = {
        .gate = zeros({1, 2}), .up = zeros({3, 2}), .down = zeros({2, 3})};
    const auto message = message_of<ShapeError>([&] { unit.block(zeros({2}), unequal); });
    CHECK(says(message, "the weight of the gate is [1, 2], of the values [3, 2]"));
  }
}

}  // namespace
