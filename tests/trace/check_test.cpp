// Gradients of a trace held against finite differences of the program that made it.
#include <doctest/doctest.h>

#include <cmath>

#include <retrace/retrace.h>
#include <retrace/trace/slope.h>
#include <retrace/trace/story.h>

using namespace retrace;

namespace {

std::vector<trace::Contribution> contributions(const trace::Trace& trace) {
  std::vector<trace::Contribution> all;
  for (const trace::Event& event : trace.events)
    if (const auto* given = std::get_if<trace::Contribution>(&event)) all.push_back(*given);
  return all;
}

std::string op_of(const trace::Trace& trace, const trace::Contribution& given) {
  return trace.ops[trace.nodes[given.node].op].name;
}

// y = x², whose rule forgets the 2.
struct WrongSquare final : NodeOf<WrongSquare> {
  static constexpr std::string_view op = "wrong_square", formula = "y = x²",
                                    gradient = "dx = g · x";
  void backward(const Tensor& g, Gradients& grads) override { grads.give(0, g * saved_input(0)); }
};
Tensor wrong_square(const Tensor& x) {
  Tensor y = without_recording([&] { return x * x; });
  return record<WrongSquare>(std::move(y), {&x}, [&](WrongSquare& node) { node.save_input(0, x); });
}

// y = x², whose rule forgets the second half of the elements.
struct HalfSquare final : NodeOf<HalfSquare> {
  static constexpr std::string_view op = "half_square", formula = "y = x²",
                                    gradient = "dx = g · 2x";
  void backward(const Tensor& g, Gradients& grads) override {
    Tensor dx = without_recording([&] { return g * saved_input(0) * 2; });
    const auto half = dx.sizes()[0] / 2;
    without_recording([&] { return dx.narrow(0, half, half).zero_(); });
    grads.give(0, dx);
  }
};
Tensor half_square(const Tensor& x) {
  Tensor y = without_recording([&] { return x * x; });
  return record<HalfSquare>(std::move(y), {&x}, [&](HalfSquare& node) { node.save_input(0, x); });
}

// Records a pass from what `loss` gives, and checks it.
struct Pass {
  trace::Recorder recorder;
  trace::Recorder::Checked checked;
  explicit Pass(const std::function<Tensor()>& loss, const trace::RecorderOptions& options = {})
      : recorder(options) {
    loss().backward();
    checked = recorder.check(loss);
  }
  std::vector<trace::Contribution> given() const { return contributions(recorder.trace()); }
};

}  // namespace

TEST_CASE("slopes by finite differences are those of calculus, and know how sure they are") {
  const struct {
    double (*f)(double);
    double slope;
  } cases[] = {{[](double x) { return std::exp(x); }, 1.0},
               {[](double x) { return std::sin(3 * x); }, 3.0},
               {[](double x) { return 5 + 2 * x; }, 2.0},
               {[](double x) { return 1 / (1 + std::exp(-7 * x)); }, 1.75},
               {[](double x) { return x * x; }, 0.0}};
  for (const auto& each : cases) {
    const auto f = each.f;
    const double slope = each.slope;
    CAPTURE(slope);
    const trace::Slope found = trace::slope_at_zero(f, 0.1, 1e-16);
    CHECK(std::abs(found.value - slope) <= found.error);
    CHECK(found.error < 1e-5);
    const trace::Slope coarse = trace::slope_at_zero(
        [f](double x) { return static_cast<double>(static_cast<float>(f(x))); }, 0.1, 1e-7);
    CHECK(std::abs(coarse.value - slope) <= coarse.error);
    CHECK(coarse.error < 1e-2);
  }
  const auto pole = [](double x) { return std::log(x); };
  CHECK(std::isnan(trace::slope_at_zero(pole, 0.1, 0).value));
}

TEST_CASE("each way to a number is measured for itself") {
  const Tensor a = tensor(2.0, DType::float64).requires_grad_();
  const Tensor b = tensor(-3.0, DType::float64).requires_grad_();
  const Pass pass([&] { return (a * b + a.square()).exp() * 10; });
  CHECK(pass.checked.measured == 7);
  CHECK(pass.checked.left_out == 0);
  CHECK(pass.checked.differ == 0);
  const double g = 10 * std::exp(-2.0);
  int to_a = 0;
  for (const trace::Contribution& given : pass.given()) {
    const std::string op = op_of(pass.recorder.trace(), given);
    CAPTURE(op);
    const double slope = given.measured.front().slope;
    if (op == "mul" && given.input == 0 && given.upstream.size() == 1 && slope < 0) ++to_a;
    if (op == "square") CHECK(slope == doctest::Approx(4 * g).epsilon(1e-6));
    if (op == "exp") CHECK(slope == doctest::Approx(g).epsilon(1e-6));
  }
  CHECK(to_a == 1);  // through the product a moves the loss by -3 g, whatever the square does
}

TEST_CASE("a wrong rule is found, and so is all behind it; what is before it agrees") {
  const Tensor x = tensor({0.5, -1.5, 2.0}, DType::float64).requires_grad_();
  const Pass pass([&] { return (wrong_square(x.tanh()) * 3).sum(); });
  CHECK(pass.checked.measured == 4);
  CHECK(pass.checked.differ == 2);
  for (const trace::Contribution& given : pass.given()) {
    const std::string op = op_of(pass.recorder.trace(), given);
    CHECK(given.differs() == (op == "wrong_square" || op == "tanh"));
  }
  const trace::Story story(pass.recorder.trace());
  std::size_t first = 0;
  while (first < story.size() && story.text(first).find("These differ!") == std::string::npos)
    ++first;
  REQUIRE(first < story.size());
  CHECK(story.title(first).find("back through wrong_square") == 0);
}

TEST_CASE("a rule that leaves a part out is found, though along what it gives all is right") {
  manual_seed(3);
  const Tensor x = randn({8}, DType::float64).requires_grad_();
  const Pass pass([&] { return half_square(x).sum(); });
  CHECK(pass.checked.differ == 1);
  for (const trace::Contribution& given : pass.given()) {
    if (op_of(pass.recorder.trace(), given) != "half_square") continue;
    CAPTURE(given.measured.at(0).slope);
    CAPTURE(given.measured.at(0).error);
    CAPTURE(given.measured.at(0).expected);
    CHECK(!given.measured.at(0).differs());
    CHECK(given.measured.at(1).differs());
  }
}

TEST_CASE("nothing is changed by a check: no number, no version, no event of others") {
  manual_seed(4);
  nn::Sequential model{nn::Linear(3, 5), nn::Dropout(0.5), nn::Tanh(), nn::Linear(5, 2)};
  const Tensor x = randn({4, 3}), y = tensor({0, 1, 1, 0});
  const auto run = [&](bool with_check) {
    manual_seed(5);
    trace::Recorder recorder;
    losses::cross_entropy(model(x), y).backward();
    const std::size_t events = recorder.trace().events.size();
    std::vector<std::uint32_t> versions;
    for (const Tensor& each : model.parameters()) versions.push_back(each.version());
    if (with_check) {
      const auto checked = recorder.check([&] {
        manual_seed(5);
        return losses::cross_entropy(model(x), y);
      });
      CHECK(checked.measured >= 8);
      CHECK(checked.differ == 0);
    }
    CHECK(recorder.trace().events.size() == events);
    std::string all;
    std::size_t i = 0;
    for (const Tensor& each : model.parameters()) {
      CHECK(each.version() == versions[i++]);
      all += each.str() + each.grad().str();
      const_cast<Tensor&>(each).zero_grad();
    }
    return all;
  };
  CHECK(run(true) == run(false));
}

TEST_CASE("the parameter is what it was when the program throws in the middle of a check") {
  const Tensor w = tensor({1.0, 2.0}).requires_grad_();
  trace::Recorder recorder;
  const auto loss = [&] { return (w * 3).sum(); };
  loss().backward();
  int left = 3;
  CHECK_THROWS_WITH_AS(recorder.check([&] {
    const Tensor product = w * 3;
    if (--left == 0) throw std::runtime_error("enough");
    return product.sum();
  }),
                       "enough", std::runtime_error);
  CHECK(w.detach().str() == tensor({1.0, 2.0}).str());
}

TEST_CASE("what cannot be measured is left out: views, tensors read twice, none of the program's") {
  const Tensor w = tensor({{1.0, 2.0}, {3.0, 4.0}}, DType::float64).requires_grad_();
  const Pass pass([&] { return (w * w).t().exp().sum(); });
  CHECK(pass.checked.differ == 0);
  for (const trace::Contribution& given : pass.given()) {
    const std::string op = op_of(pass.recorder.trace(), given);
    CHECK(!given.measured.empty() == (op == "exp" || op == "sum"));
  }
}

TEST_CASE("tensors in shared memory are not taken for independent") {
  manual_seed(3);
  const Tensor x = randn({3, 3}, DType::float64).requires_grad_();
  const Tensor row = randn({1, 3}, DType::float64).requires_grad_();
  for (const std::function<Tensor()>& loss :
       {std::function<Tensor()>([&] { return matmul(x, x.t()).exp().sum(); }),
        {[&] {
          return (row.expand({4, 3}) * 2).exp().sum();
        }},
        {[&] { return (x * x.narrow(0, 0, 1)).exp().sum(); }}}) {
    const Pass pass(loss);
    CHECK(pass.checked.measured >= 1);
    CHECK(pass.checked.left_out >= 1);
    CHECK(pass.checked.differ == 0);
  }
}

TEST_CASE("a program that changes tensors in place is measured where that can be") {
  const Tensor x = tensor({0.5, -1.0}, DType::float64).requires_grad_();
  const Pass pass([&] {
    Tensor y = x * 2;
    y += x;
    return y.exp().sum();
  });
  CHECK(pass.checked.measured >= 3);
  CHECK(pass.checked.differ == 0);
}

TEST_CASE("at a kink the two sides differ, which is said") {
  const Tensor x = tensor({0.0}, DType::float64).requires_grad_();
  const Pass pass([&] { return relu(x).sum(); });
  CHECK(pass.checked.differ == 1);
}

TEST_CASE("of a large gradient the corner is measured, along itself") {
  manual_seed(6);
  const Tensor x = randn({3, 20, 30}, DType::float64).requires_grad_();
  const Pass pass([&] { return x.sigmoid().square().sum(); }, {.elements = 64, .corner = 4});
  CHECK(pass.checked.differ == 0);
  for (const trace::Contribution& given : pass.given()) {
    if (op_of(pass.recorder.trace(), given) != "sigmoid") continue;
    const trace::Numbers& gradient = pass.recorder.trace().numbers[given.gradient];
    CHECK(!gradient.complete);
    CHECK(given.measured.front().expected ==
          doctest::Approx(gradient.values.norm().item<double>()));
    CHECK(given.measured.front().expected < gradient.norm);
  }
}

TEST_CASE("a function that computes something else is refused, and leaves the trace as it was") {
  const Tensor w = tensor({1.0, 2.0}).requires_grad_();
  trace::Recorder recorder;
  CHECK_THROWS_WITH_AS(recorder.check([&] { return w.sum(); }),
                       doctest::Contains("no backward pass was recorded"), ValueError);
  w.exp().sum().backward();
  const std::string before = recorder.trace().json();
  const std::pair<std::function<Tensor()>, const char*> wrong[] = {
      {[&] { return w.tanh().sum(); }, "op number 1 is tanh [2], where exp [2]"},
      {[&] { return (w.exp() * 2 + 1).sqrt().sum(); }, "it ran 5 ops, and 2 were recorded"},
      {[&] { return without_recording([&] { return (w * 1).detach(); }); }, "Recorder::check"},
      {[&] {
         return tensor({2.0, 2.0}).exp().sum();
       },
       "it came to another result"}};
  for (const auto& each : wrong)
    CHECK_THROWS_WITH_AS(recorder.check(each.first), doctest::Contains(each.second), ValueError);
  CHECK(recorder.trace().json() == before);
  manual_seed(1);
  CHECK_THROWS_WITH_AS(recorder.check([&] { return (w.exp() + 0 * rand({2})).sum(); }),
                       doctest::Contains("it ran"), ValueError);
}

TEST_CASE("numbers that are drawn anew each time are refused, not measured") {
  const Tensor w = ones({64}, DType::float64).requires_grad_();
  trace::Recorder recorder;
  const auto loss = [&] { return dropout(w, 0.5).square().sum(); };
  manual_seed(2);
  loss().backward();
  manual_seed(2);  // the first run is the recorded one, those that follow are not
  CHECK_THROWS_WITH_AS(recorder.check(loss), doctest::Contains("with the same random numbers"),
                       ValueError);
  CHECK(w.detach().str() == ones({64}, DType::float64).str());
}

TEST_CASE("a pass from NaN, from before the recorder, or beyond its limit is refused") {
  const Tensor w = tensor({-1.0}).requires_grad_();
  {
    trace::Recorder recorder;
    const auto loss = [&] { return w.sqrt().sum(); };
    loss().backward();
    CHECK_THROWS_WITH_AS(recorder.check(loss), doctest::Contains("NaN or infinity"), ValueError);
  }
  {
    const Tensor early = w.exp().sum();
    trace::Recorder recorder;
    early.backward();
    CHECK_THROWS_WITH_AS(recorder.check([&] { return early; }),
                         doctest::Contains("before the recorder was there"), ValueError);
  }
  trace::Recorder recorder({.events = 3});
  const auto loss = [&] { return w.exp().sum(); };
  loss().backward();
  CHECK_THROWS_WITH_AS(recorder.check(loss), doctest::Contains("RecorderOptions::events"),
                       ValueError);
}

TEST_CASE("what was measured is in the file, and comes back with it") {
  const Tensor w = tensor({1.0, 2.0}).requires_grad_();
  const Pass pass([&] { return w.exp().sum(); });
  const trace::Trace& trace = pass.recorder.trace();
  const trace::Trace again = trace::Trace::parse(trace.json(), "again");
  CHECK(again.json() == trace.json());
  CHECK(contributions(again)[0].measured.at(1).slope == pass.given()[0].measured.at(1).slope);
}
