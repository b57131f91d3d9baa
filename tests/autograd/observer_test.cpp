#include <doctest/doctest.h>

#include <retrace/retrace.h>

#include <string>
#include <vector>

using namespace retrace;

namespace {

// Writes down what it is told.
struct Listener final : TapeObserver {
  void on_op(std::string_view op, const Node*, const Tensor&,
             std::span<const Tensor* const>) override {
    ops.emplace_back(op);
  }
  void on_backward(const Backprop&) override { ++passes; }
  void on_step(const Step& step) override { steps.push_back(step); }
  void on_accumulation(const Accumulation& sum) override {
    if (sum.before.defined() && !sum.fused) CHECK((sum.before + sum.contribution).equal(sum.after));
    fused += sum.fused;
    into_grad += sum.in_grad;
    ++sums;
  }
  void on_zero_grad(const Tensor& tensor) override { dropped += tensor.grad().defined(); }
  void on_clip(const Clipping& clipping) override { scale = clipping.scale; }
  void on_update(const Update& update) override {
    CHECK_FALSE(update.before.equal(update.parameter));
    for (const auto& kept : update.kept) kept_names.emplace_back(kept.name);
  }

  std::vector<std::string> ops, kept_names;
  std::vector<Step> steps;
  int passes = 0, sums = 0, fused = 0, into_grad = 0, dropped = 0;
  double scale = 0;
};

// A residual stream with three readers, and a weight that is used twice: products add into sums.
Tensor loss_of(const Tensor& x, const Tensor& w, const Tensor& b) {
  const Tensor h = linear(x, w, b);
  return (linear(h, w) + h.matmul(w) + linear(h, w, b)).tanh().sum();
}

struct Leaves {
  Tensor x, w, b;
  Leaves() {
    manual_seed(5);
    x = randn({600, 300});
    w = randn({300, 300}).mul(0.05).requires_grad_();
    b = randn({300}).requires_grad_();
  }
};

}  // namespace

TEST_CASE("a pass that is watched, kept step by step, gives the bits of one that is not") {
  const Leaves plain, watched, stepped;
  for (int round = 0; round < 2; ++round) {  // the second adds into gradients that are there
    loss_of(plain.x, plain.w, plain.b).backward();
    std::vector<Step> kept;
    const Tensor loss = loss_of(stepped.x, stepped.w, stepped.b);
    for (Backprop pass(loss); !pass.done();) kept.push_back(pass.step());
    CHECK(kept.size() == 8);
    Listener listener;
    const ObserverScope scope(listener);
    loss_of(watched.x, watched.w, watched.b).backward();
    CHECK(listener.passes == 1);
    CHECK(listener.steps.size() == kept.size());
    CHECK(listener.fused >= (round == 0 ? 2 : 4));
  }
  for (const Leaves* other : {&watched, &stepped}) {
    CHECK(plain.w.grad().equal(other->w.grad()));
    CHECK(plain.b.grad().equal(other->b.grad()));
  }
}

TEST_CASE("who watched a step is told nothing of what goes on without") {
  const Leaves plain, leaves;
  loss_of(plain.x, plain.w, plain.b).backward();
  Listener listener;
  Backprop pass(loss_of(leaves.x, leaves.w, leaves.b));
  {
    const ObserverScope scope(listener);
    pass.step();
  }
  const int sums = listener.sums;
  pass.run();
  CHECK(listener.steps.size() == 1);
  CHECK(listener.sums == sums);
  CHECK(plain.w.grad().equal(leaves.w.grad()));
}

TEST_CASE("a step of an elementwise op has its local derivative, and says what was summed") {
  const Tensor a = tensor({{1.0, 2.0}, {3.0, 4.0}}).requires_grad_();
  const Tensor b = tensor({0.5, -1.0}).requires_grad_();
  Backprop pass((a * b).sum());
  pass.step();
  const Step step = pass.step();
  CHECK(step.local[0].equal(b.detach().expand({2, 2})));
  CHECK(step.local[1].equal(a.detach()));
  CHECK(step.unsummed[1].equal(a.detach()));
  CHECK_FALSE(step.unsummed[0].defined());
  CHECK(step.str().find("\n  local derivative by input 1 [2, 2]: ") != std::string::npos);
  CHECK(step.str().find("\n  gradient of input 0 [2, 2]: ") != std::string::npos);
  CHECK(step.str().find("summed over axis 0, because [2] was broadcast to [2, 2]") !=
        std::string::npos);
  CHECK(broadcast_text({3, 1}, {2, 3, 4}) ==
        "summed over axes 0, 2, because [3, 1] was broadcast to [2, 3, 4]");
}

TEST_CASE("ops inside of an op and of gradient rules are not told, what is trained is") {
  Listener listener;
  const ObserverScope scope(listener);
  const Tensor x = ones({2, 3}).requires_grad_();
  for (const DType dtype : {kFloat32, kFloat64}) {
    listener.ops.clear();
    const Tensor y = ones({2, 3}, dtype).requires_grad_();
    cosine_similarity(y, ones({2, 3}, dtype) * 2.0).sum().backward();
    CHECK(listener.ops == std::vector<std::string>{"mul", "cosine_similarity", "sum"});
  }
  {
    const ObserverScope nobody;
    x.exp();
  }
  CHECK(listener.ops.size() == 3);
  x.set_grad(ones({2, 3}));
  nn::utils::clip_grad_norm_({x}, 100.0);
  CHECK(listener.scale == 1.0);
  nn::utils::clip_grad_norm_({x}, 1.0);
  CHECK(listener.scale < 0.5);
  optim::Adam optimizer({x});
  optimizer.step();
  CHECK(listener.kept_names == std::vector<std::string>{"exp_avg", "exp_avg_sq"});
  optimizer.zero_grad();
  CHECK(listener.dropped == 1);
}
