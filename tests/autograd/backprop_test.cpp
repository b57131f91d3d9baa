#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/messages.h>

#include <string>

using namespace retrace;
using testing::message_of;
using testing::says;

namespace {

Tensor doubles(const NestedList& values) { return tensor(values, kFloat64); }
Tensor leaf(const NestedList& values) { return doubles(values).requires_grad_(); }

}  // namespace

// Results ----------------------------------------------------------------------------------------

TEST_CASE("leaves accumulate over passes, and zero_grad drops") {
  Tensor x = leaf({2.0, 3.0});
  mul(x, x).sum().backward();
  CHECK(x.grad().equal(doubles({4.0, 6.0})));
  mul(x, x).sum().backward();
  CHECK(x.grad().equal(doubles({8.0, 12.0})));
  x.zero_grad();
  CHECK(!x.grad().defined());
  mul(x, x).sum().backward();
  CHECK(x.grad().equal(doubles({4.0, 6.0})));
}

TEST_CASE("a tensor used several times gets the sum") {
  const Tensor x = leaf({1.0, -2.0});
  const Tensor y = x + x + x * x - x / x;
  y.backward(doubles({10.0, 1.0}));
  CHECK(x.grad().equal(doubles({40.0, -2.0})));  // 2 + 2x
}

TEST_CASE("what was broadcast is summed away, on both sides") {
  const Tensor a = leaf({{1.0}, {2.0}}), b = leaf({3.0, 4.0, 5.0});
  (a * b).backward(doubles({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}));
  CHECK(a.grad().equal(doubles({{26.0}, {62.0}})));
  CHECK(b.grad().equal(doubles({9.0, 12.0, 15.0})));
}

TEST_CASE("a gradient given for a tensor that is no scalar") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor upstream = doubles({1.0, 10.0});
  (x * 3.0).backward(upstream);
  CHECK(x.grad().equal(doubles({3.0, 30.0})));
  CHECK(upstream.equal(doubles({1.0, 10.0})));
}

TEST_CASE("a one-element tensor of any rank can start") {
  const Tensor x = leaf({{5.0}});
  (x * 2.0).backward();
  CHECK(x.grad().equal(doubles({{2.0}})));
}

TEST_CASE("backward of a leaf is its upstream gradient") {
  const Tensor x = leaf(1.5);
  x.backward();
  CHECK(x.grad().item<double>() == 1.0);
  x.backward(doubles(2.0));
  CHECK(x.grad().item<double>() == 3.0);
}

TEST_CASE("nothing flows into tensors that want no gradient, or past detach") {
  const Tensor x = leaf({1.0, 2.0}), constant = doubles({3.0, 4.0});
  const Tensor y = x * constant;
  (y.detach() * x + constant).sum().backward();
  CHECK(x.grad().equal(doubles({3.0, 8.0})));
  CHECK(!constant.grad().defined());
  CHECK(!y.detach().requires_grad());
  CHECK(y.detach().is_leaf());
}

TEST_CASE("empty and 0-d tensors go back, too") {
  const Tensor none = zeros({0, 3}, kFloat64).requires_grad_();
  (none * 2.0).sum().backward();
  CHECK(none.grad().sizes() == Shape{0, 3});
  const Tensor one = leaf(3.0);
  (one * one).backward();
  CHECK(one.grad().item<double>() == 6.0);
}

TEST_CASE("a leaf's grad is nobody else's memory") {
  const Tensor a = leaf({1.0, 2.0}), b = leaf({3.0, 4.0});
  const Tensor upstream = doubles({1.0, 1.0});
  (a + b).backward(upstream);
  {
    Tensor grad_of_a = a.grad();
    grad_of_a.mul_(100.0);
  }
  CHECK(b.grad().equal(doubles({1.0, 1.0})));
  CHECK(upstream.equal(doubles({1.0, 1.0})));
  // A handle from before keeps its numbers.
  const Tensor before = b.grad();
  (a + b).backward(upstream);
  CHECK(before.equal(doubles({1.0, 1.0})));
  CHECK(b.grad().equal(doubles({2.0, 2.0})));
}

TEST_CASE("a sum of gradients does not disturb the gradients that it is made of") {
  // y's upstream goes to x twice and, by the hook, to the outside.
  const Tensor x = leaf({1.0, 2.0});
  Tensor seen;
  const Tensor y = x * 1.0;
  const Tensor z = y + 0.0;
  z.register_hook([&](const Tensor& g) { seen = g; });
  (z + x + x).backward(doubles({1.0, 2.0}));
  CHECK(seen.equal(doubles({1.0, 2.0})));
  CHECK(x.grad().equal(doubles({3.0, 6.0})));
}

// Graphs that were freed
// ---------------------------------------------------------------------------

TEST_CASE("a second backward needs retain_graph, whether or not anything was saved") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor product = (x * x).sum(), shifted = (x + 1.0).sum();
  for (const Tensor& y : {product, shifted}) {
    y.backward({}, /*retain_graph=*/true);
    y.backward();
    const Tensor before = x.grad().clone();
    const std::string message = message_of<AutogradError>([&] { y.backward(); });
    CHECK(says(message, "freed by an earlier backward"));
    CHECK(says(message, "retain_graph = true"));
    CHECK(x.grad().equal(before));
    CHECK_THROWS_AS(grad({y}, {x}), AutogradError);
  }
}

TEST_CASE("a freed trunk is an error for the second of two heads, and nothing is changed") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor trunk = x * x;
  const Tensor first = (trunk * 2.0).sum(), second = (trunk * trunk).sum();
  first.backward();
  const Tensor before = x.grad().clone();
  CHECK_THROWS_AS(second.backward(), AutogradError);
  CHECK(x.grad().equal(before));
}

TEST_CASE("backward lets saved tensors go as it passes them") {
  Tensor x = leaf({1.0, 2.0});
  const auto blocks = memory_stats().live_blocks;
  {
    const Tensor y = (x * x * x).sum();
    y.backward();
  }
  x.zero_grad();
  CHECK(memory_stats().live_blocks == blocks);
}

// Refusals: nothing changes ----------------------------------------------------------------------

TEST_CASE("what backward refuses") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor y = x * x;
  std::string message = message_of<AutogradError>([&] { y.backward(); });
  CHECK(says(message, "scalar"));
  CHECK(says(message, "[2]"));
  message = message_of<AutogradError>([&] { doubles({1.0}).sum().backward(); });
  CHECK(says(message, "no history"));
  CHECK(says(message, "requires_grad_()"));
  message = message_of<ShapeError>([&] { y.backward(doubles({1.0, 2.0, 3.0})); });
  CHECK(says(message, "[3]"));
  CHECK(says(message, "[2]"));
  message = message_of<DTypeError>([&] { y.backward(tensor({1.0, 2.0}, kFloat32)); });
  CHECK(says(message, "float32"));
  CHECK(says(message, "float64"));
  message = message_of<ValueError>([&] { Tensor().backward(); });
  CHECK(says(message, "backward: an undefined tensor"));
  CHECK_THROWS_AS(Backprop({y, y}, {doubles({1.0, 1.0})}, nullptr, false, false), AutogradError);
  CHECK(!x.grad().defined());
  y.sum().backward();  // and the graph is as it was
  CHECK(x.grad().equal(doubles({2.0, 4.0})));
}

TEST_CASE("what grad refuses") {
  const Tensor x = leaf({1.0, 2.0}), unused = leaf({1.0}), constant = doubles({1.0, 1.0});
  const Tensor y = (x * x).sum();
  std::string message = message_of<AutogradError>([&] { grad({y}, {x, constant}); });
  CHECK(says(message, "input 1"));
  CHECK(says(message, "[2]"));
  message = message_of<ValueError>([&] { grad({y}, {x, Tensor()}); });
  CHECK(says(message, "grad: input 1 is an undefined tensor"));
  message = message_of<AutogradError>([&] { grad({y}, {unused}, {}, true); });
  CHECK(says(message, "allow_unused"));
  CHECK_THROWS_AS(grad({Tensor()}, {x}), ValueError);
  CHECK(grad({y}, {x}, {}, true)[0].equal(doubles({2.0, 4.0})));
}

TEST_CASE("requires_grad_ and set_grad refuse what cannot be") {
  CHECK_THROWS_AS(tensor({1, 2}).requires_grad_(), DTypeError);
  CHECK_THROWS_AS(tensor({true}).requires_grad_(), DTypeError);
  const Tensor x = leaf({1.0, 2.0});
  Tensor y = x * 2.0;
  CHECK(says(message_of<AutogradError>([&] { y.requires_grad_(false); }), "detach()"));
  CHECK(y.requires_grad());
  Tensor handle = x;
  CHECK_THROWS_AS(handle.set_grad(doubles({1.0})), ShapeError);
  CHECK_THROWS_AS(handle.set_grad(tensor({1.0, 2.0}, kFloat32)), DTypeError);
  CHECK_THROWS_AS(handle.set_grad(x), ValueError);
  CHECK(!x.grad().defined());
  const Tensor constant = doubles({1.0});
  CHECK_THROWS_AS(constant.register_hook([](const Tensor&) {}), AutogradError);
  CHECK_THROWS_AS(constant.retain_grad(), AutogradError);
}

// grad()
// --------------------------------------------------------------------------------------------

TEST_CASE("grad touches no tensor's grad") {
  const Tensor x = leaf({1.0, 2.0}), other = leaf({3.0, 4.0});
  const Tensor middle = x * other;
  middle.retain_grad();
  const Tensor y = (middle * middle).sum();
  const auto gradients = grad({y}, {x, middle, other, x});
  CHECK(gradients[0].equal(doubles({18.0, 64.0})));
  CHECK(gradients[1].equal(doubles({6.0, 16.0})));
  CHECK(gradients[2].equal(doubles({6.0, 32.0})));
  CHECK(gradients[3].equal(gradients[0]));
  CHECK(!x.grad().defined());
  CHECK(!other.grad().defined());
  CHECK(!middle.grad().defined());
}

TEST_CASE("grad of an output, of an unused input, of several outputs with weights") {
  const Tensor x = leaf({1.0, 2.0}), unused = leaf({1.0});
  const Tensor y = x * x;
  CHECK(grad({y}, {y}, {doubles({5.0, 6.0})}, true)[0].equal(doubles({5.0, 6.0})));
  CHECK(grad({x}, {x}, {doubles({7.0, 8.0})})[0].equal(doubles({7.0, 8.0})));
  const auto found = grad({y.sum()}, {x, unused}, {}, true, false, /*allow_unused=*/true);
  CHECK(found[0].equal(doubles({2.0, 4.0})));
  CHECK(!found[1].defined());
  const Tensor cube = (x * x * x).sum();
  const auto sum = grad({y, cube, cube}, {x}, {doubles({1.0, 1.0}), doubles(10.0), Tensor()});
  CHECK(sum[0].equal(doubles({35.0, 136.0})));  // 2x + (10 + 1) 3x²
}

TEST_CASE("what grad returns shares memory with nothing") {
  const Tensor a = leaf({1.0, 2.0}), b = leaf({3.0, 4.0}), upstream = doubles({1.0, 1.0});
  const Tensor y = a + b;
  const auto gradients = grad({y}, {a, b, y}, {upstream});
  gradients[0].get().storage->changed();
  Tensor first = gradients[0];
  first.mul_(5.0);
  CHECK(gradients[1].equal(doubles({1.0, 1.0})));
  CHECK(gradients[2].equal(doubles({1.0, 1.0})));
  CHECK(upstream.equal(doubles({1.0, 1.0})));
}

TEST_CASE("grad leaves out what does not lead to its inputs") {
  const Tensor x = leaf({1.0, 2.0}), w = leaf({3.0, 4.0});
  const Tensor side = w * w * w;  // not on the way
  const Tensor y = (x * side).sum();
  Backprop pass({y}, {}, nullptr, true, false);
  const std::vector<Tensor> inputs = {x};
  Backprop narrow({y}, {}, &inputs, true, false);
  CHECK(pass.tape().size() == 4);
  CHECK(narrow.tape().size() == 2);
  narrow.step();
  const Step product = narrow.step();
  CHECK(product.gradients[0].equal(doubles({27.0, 64.0})));
  CHECK(!product.gradients[1].defined());  // not even computed
  CHECK(narrow.gradients()[0].equal(doubles({27.0, 64.0})));
}

// Stepping
// ---------------------------------------------------------------------------------------------

TEST_CASE("stepping is running, node by node, newest first") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor y = x * x, loss = y.sum();
  Backprop pass(loss, {.retain_graph = true});
  CHECK(pass.size() == 2);
  CHECK(pass.position() == 0);
  CHECK(pass.tape()[0]->name() == "sum");
  CHECK(pass.tape()[1]->name() == "mul");
  CHECK(pass.tape()[0]->number() > pass.tape()[1]->number());
  const Step first = pass.step();
  CHECK(first.node->name() == "sum");
  CHECK(first.upstream[0].item<double>() == 1.0);
  CHECK(first.gradients[0].equal(doubles({1.0, 1.0})));
  CHECK(!pass.done());
  CHECK(!x.grad().defined());
  const Step second = pass.step();
  CHECK(second.gradients.size() == 2);
  CHECK(second.gradients[0].equal(doubles({1.0, 2.0})));
  CHECK(says(second.str(), "mul #"));
  CHECK(says(second.str(), "da = g · b, db = g · a"));
  CHECK(pass.done());
  CHECK(x.grad().equal(doubles({2.0, 4.0})));
  CHECK_THROWS_AS(pass.step(), ValueError);
  // What a step showed stays as it was shown.
  loss.backward();
  CHECK(second.gradients[0].equal(doubles({1.0, 2.0})));
}

TEST_CASE("passes over one graph take turns") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor y = x * x, a = (y * 2.0).sum(), b = (y * y).sum();
  Backprop first(a, {.retain_graph = true}), second(b, {.retain_graph = true});
  Backprop third(a, {.retain_graph = true});
  while (!first.done() || !second.done() || !third.done()) {
    if (!second.done()) second.step();
    if (!first.done()) first.step();
    if (!third.done()) third.step();
  }
  CHECK(x.grad().equal(doubles({4.0 + 4.0 + 4.0, 8.0 + 32.0 + 8.0})));

  // Where a node lies in one pass is not where it lies in another.
  const Tensor c = (y * y + y).sum();
  x.zero_grad();
  Backprop longer(c, {.retain_graph = true}), shorter(a, {.retain_graph = true});
  CHECK(longer.size() > shorter.size());
  while (!longer.done() || !shorter.done()) {
    if (!longer.done()) longer.step();
    if (!shorter.done()) shorter.step();
  }
  CHECK(x.grad().equal(doubles({4.0 + 6.0, 8.0 + 36.0})));
}

TEST_CASE("a pass whose graph another one freed says so, saved tensors or not") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor y = ((x + 1.0) + 2.0).sum();
  Backprop slow(y);
  slow.step();
  CHECK_THROWS_AS(Backprop(y, {.retain_graph = true}), AutogradError);  // its last node was freed
  slow.run();
  CHECK(x.grad().equal(doubles({1.0, 1.0})));
  const Tensor w = (x + 1.0).sum();
  Backprop w_late(w);
  w.backward();  // saved nothing, and is freed all the same
  CHECK_THROWS_AS(w_late.run(), AutogradError);
  const Tensor z = (x * x).sum();
  Backprop late(z), early(z);
  early.run();
  const Tensor before = x.grad().clone();
  CHECK(says(message_of<AutogradError>([&] { late.run(); }), "freed"));
  CHECK(x.grad().equal(before));
  CHECK(late.done());
}

TEST_CASE("a hook may go back on its own, over this graph or another") {
  const Tensor x = leaf({1.0, 2.0}), w = leaf({5.0});
  const Tensor y = x * x;
  y.register_hook([&](const Tensor&) { (w * w).sum().backward(); });
  bool inside = false;
  const Tensor z = y * 3.0;
  z.register_hook([&](const Tensor&) {
    if (inside) return;
    inside = true;
    z.sum().backward({}, /*retain_graph=*/true);
  });
  z.sum().backward();
  CHECK(x.grad().equal(doubles({12.0, 24.0})));
  CHECK(w.grad().equal(doubles({20.0})));
}

TEST_CASE("passes nested without end are an error, not a crash") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor v = x * x;
  int depth = 0;
  v.register_hook([&](const Tensor&) {
    ++depth;
    v.sum().backward({}, /*retain_graph=*/true);
  });
  CHECK(says(message_of<AutogradError>([&] { v.sum().backward({}, true); }), "nested"));
  CHECK(depth >= 100);
  (x * 1.0).sum().backward();  // the count is back at 0
  CHECK(x.grad().equal(doubles({1.0, 1.0})));
}

TEST_CASE("a hook that frees the graph under the pass is told") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor v = x * x, u = v + 1.0;
  bool inside = false;
  u.register_hook([&](const Tensor&) {
    if (inside) return;
    inside = true;
    u.sum().backward();  // frees
  });
  CHECK(says(message_of<AutogradError>([&] { u.sum().backward(); }), "freed"));
  CHECK(x.grad().equal(doubles({2.0, 4.0})));  // from the inner pass
}

// Recording mode
// -----------------------------------------------------------------------------------------

TEST_CASE("guards nest, and exceptions restore them") {
  const Tensor x = leaf({1.0});
  CHECK((x * 2.0).requires_grad());
  {
    const NoGradGuard no_grad;
    CHECK(!(x * 2.0).requires_grad());
    CHECK((x * 2.0).is_leaf());
    try {
      const EnableGradGuard yes;
      CHECK((x * 2.0).requires_grad());
      throw 1;
    } catch (int) {
    }
    CHECK(!GradMode::is_enabled());
  }
  CHECK(GradMode::is_enabled());
  CHECK_THROWS(without_recording([&]() -> Tensor { return x * zeros({2, 2}); }));
  CHECK(GradMode::is_enabled());
}

TEST_CASE("backward works inside a NoGradGuard, and records nothing by itself") {
  const Tensor x = leaf({1.0, 2.0});
  const Tensor y = (x * x).sum();
  {
    const NoGradGuard no_grad;
    y.backward();
    CHECK(!GradMode::is_enabled());
  }
  CHECK(x.grad().equal(doubles({2.0, 4.0})));
  CHECK(!x.grad().requires_grad());
}

// Second and third derivatives
// -----------------------------------------------------------------------------

TEST_CASE("gradients of gradients of gradients") {
  const Tensor x = leaf({2.0, -3.0});
  const Tensor y = (x * x * x * x).sum();
  const Tensor first = grad({y}, {x}, {}, false, /*create_graph=*/true)[0];
  const Tensor second = grad({first.sum()}, {x}, {}, false, true)[0];
  const Tensor third = grad({second.sum()}, {x}, {}, false, true)[0];
  const Tensor fourth = grad({third.sum()}, {x}, {}, false, true)[0];
  CHECK(first.equal(doubles({32.0, -108.0})));
  CHECK(second.equal(doubles({48.0, 108.0})));
  CHECK(third.equal(doubles({48.0, -72.0})));
  CHECK(fourth.equal(doubles({24.0, 24.0})));
}

TEST_CASE("a gradient penalty flows into the parameters") {
  const Tensor x = leaf({1.0, 2.0}), w = leaf({3.0, 4.0});
  const Tensor y = (w * x * x).sum();
  const Tensor dx = grad({y}, {x}, {}, false, true)[0];  // 2 w x
  (dx * dx).sum().backward();                            // 4 w² x²
  CHECK(w.grad().equal(doubles({24.0, 128.0})));
  CHECK(x.grad().equal(doubles({72.0, 256.0})));
}

TEST_CASE("create_graph through views, sums, division and broadcasting") {
  const Tensor x = leaf({{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}), b = leaf({1.0, 2.0, 4.0});
  const auto f = [](const std::vector<Tensor>& in) {
    const Tensor rows = in[0].transpose(0, 1).slice(0, 0, {}, 2) / in[1].select(0, 2);
    return rows * rows.sum(0, true) + in[1].slice(0, 0, 2).expand({2, 2});
  };
  CHECK(gradcheck(f, {x, b}));
  CHECK(gradgradcheck(f, {x, b}));
}

TEST_CASE("grad with create_graph leaks nothing; backward's loop ends with zero_grad") {
  const auto blocks = memory_stats().live_blocks;
  {
    const Tensor x = leaf({2.0, -3.0});
    for (int i = 0; i < 3; ++i) {
      const Tensor dx = grad({(x * x * x).sum()}, {x}, {}, false, true)[0];
      CHECK(dx.requires_grad());
      grad({dx.sum()}, {x});
    }
  }
  CHECK(memory_stats().live_blocks == blocks);
  {
    Tensor x = leaf({2.0, -3.0});
    (x * x * x).sum().backward({}, false, /*create_graph=*/true);
    CHECK(x.grad().requires_grad());
    x.grad().sum().backward({}, true, true);
    x.zero_grad();
  }
  CHECK(memory_stats().live_blocks == blocks);
}
