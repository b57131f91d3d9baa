// Runs that are recorded: they compute the same, whatever they do, and are told as they were.
#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <retrace/retrace.h>
#include <retrace/tests/messages.h>
#include <retrace/tests/trace/events.h>
#include <retrace/trace/html.h>
#include <retrace/trace/page/ways.h>
#include <retrace/trace/recorder.h>
#include <retrace/trace/story.h>

using namespace retrace;
using testing::events_of;
using testing::says;
using trace::Recorder;
using trace::Trace;

namespace {

Tensor leaf(const NestedList& values) { return tensor(values, kFloat64).requires_grad_(); }

// As a file brings it to those who read it, all of whom can show it.
Trace shown(const Recorder& recorder) {
  const std::string json = recorder.trace().json();
  Trace read = Trace::parse(json, "trace");
  CHECK(read.json() == json);
  const trace::Story story(read);
  for (std::size_t k = 0; k < story.size(); ++k) CHECK_FALSE(story.text(k).empty());
  CHECK(says(trace::html_page(read).html, "</html>"));
  return read;
}

std::string told(const Trace& trace) {
  const trace::Story story(trace);
  std::string text;
  for (std::size_t k = 0; k < story.size(); ++k) text += story.text(k) + "\n";
  return text;
}

std::vector<double> values_of(const Trace& trace, trace::Id numbers) {
  REQUIRE(numbers != trace::kNone);
  return trace.numbers[numbers].values.to_vector<double>();
}

std::size_t differing(const Recorder& recorder) {
  std::size_t count = 0;
  for (const auto& given : events_of<trace::Contribution>(recorder.trace()))
    count += given.differs();
  return count;
}

using Values = std::vector<double>;

}  // namespace

TEST_CASE("a gradient that the program reads between two passes gets the bits of a plain run") {
  const auto gradient = [](bool is_recorded) {
    manual_seed(1);
    const Tensor w = randn({64, 700}).requires_grad_(), x = randn({300, 64}), y = randn({300, 64});
    std::unique_ptr<Recorder> recorder;
    if (is_recorded) recorder = std::make_unique<Recorder>();
    x.matmul(w).square().sum().backward();
    {
      const NoGradGuard no_grad;
      static_cast<void>(w.grad().square().sum());
    }
    y.matmul(w).square().sum().backward();
    return w.grad();
  };
  CHECK(gradient(true).equal(gradient(false)));
}

TEST_CASE("what a program may change in place, it may while it is recorded") {
  const auto runs = [](const char* what, const std::function<void(Tensor&)>& use, bool was_leaf) {
    CAPTURE(what);
    const Recorder recorder;
    const Tensor w = leaf({1.0, 2.0});
    Tensor x = zeros({2}, kFloat64).requires_grad_(was_leaf);
    use(x);
    x.requires_grad_(false);
    CHECK_NOTHROW(x.add_(w));
    x.sum().backward();
    CHECK(w.grad().to_vector<double>() == Values{1, 1});
    shown(recorder);
  };
  runs(
      "a view that is gone",
      [](Tensor& x) {
        static_cast<void>(x.view({2, 1}).sum());
      },
      false);
  runs(
      "a detached handle", [](Tensor& x) { static_cast<void>(x.detach() * 2.0); }, false);
  runs(
      "an element",
      [](Tensor& x) { static_cast<void>(x[0].item<double>() + (x[1] + 1.0).item<double>()); },
      false);
  runs(
      "a leaf whose graph is gone", [](Tensor& x) { (x * 2.0).sum().backward(); }, true);
}

TEST_CASE("recorders may end in any order, and none is told of what comes after") {
  auto first = std::make_unique<Recorder>(), second = std::make_unique<Recorder>();
  first.reset();
  const Tensor w = leaf({1.0, 2.0});
  (w * 2.0).sum().backward();
  CHECK(events_of<trace::Seed>(second->trace()).size() == 1);
  second.reset();
  CHECK(ObserverScope::current() == nullptr);
  (w * 2.0).sum().backward();

  // One for each step: the new one is there before the old one goes.
  std::unique_ptr<Recorder> recorder;
  for (int step = 0; step < 3; ++step) {
    recorder = std::make_unique<Recorder>();
    (w * 2.0).sum().backward();
    CHECK(events_of<trace::Seed>(recorder->trace()).size() == 1);
  }
}

TEST_CASE("passes over ops from before, or from a gap, are told from leaf to root") {
  const Tensor w = leaf({1.0, 2.0});
  const auto check_whole = [&](const Recorder& recorder, std::size_t contributions) {
    const Trace trace = shown(recorder);
    CHECK(events_of<trace::Contribution>(trace).size() == contributions);
    CHECK(says(told(trace), "w"));
  };
  {
    const Tensor h = w * 2.0;
    Recorder recorder;
    recorder.name(w, "w");
    h.exp().sum().backward();
    check_whole(recorder, 3);
  }
  {
    const Tensor loss = (w * 2.0).exp().sum();
    Backprop pass(loss);
    pass.step();
    Recorder recorder;
    recorder.name(w, "w");
    pass.run();
    check_whole(recorder, 2);
  }
  {
    manual_seed(1);
    nn::LSTM lstm(2, 2);
    const auto out = lstm(ones({2, 1, 2}));
    Recorder recorder;
    out.c.sum().backward();
    shown(recorder);
  }
  {
    Recorder recorder;
    recorder.name(w, "w");
    Tensor h;
    {
      const ObserverScope nobody;
      h = (w * 2.0).exp();
    }
    h.sum().backward();
    check_whole(recorder, 3);
  }
}

TEST_CASE("what a hook makes of a gradient is told, of leaves and of what was asked for as well") {
  const Tensor w = leaf({1.0, 2.0});
  w.register_hook([](const Tensor& g) { return g * 10.0; });
  {
    Recorder recorder;
    recorder.name(w, "w");
    (w * 2.0).sum().backward();
    const Trace trace = shown(recorder);
    const auto changes = events_of<trace::Change>(trace);
    REQUIRE(changes.size() == 1);
    CHECK(values_of(trace, changes[0].before) == Values{2, 2});
    CHECK(values_of(trace, changes[0].after) == Values{20, 20});
    CHECK(says(told(trace), "A hook put another gradient in its place."));
    CHECK(values_of(trace, events_of<trace::Accumulation>(trace).back().after) == Values{20, 20});
    const auto passes = trace::page::passes(trace, trace.events.size());
    REQUIRE(passes.size() == 1);
    for (const auto& ways : passes[0].tensors)
      if (trace.nodes[ways.node].name == "w")
        CHECK(values_of(trace, ways.gradient) == Values{20, 20});
  }
  {
    Recorder recorder;
    const Tensor h = w * 2.0;
    h.register_hook([](const Tensor& g) { return g * 3.0; });
    h.retain_grad();
    CHECK(grad({h.sum()}, {w}, {}, true)[0].to_vector<double>() == Values{60, 60});
    CHECK(grad({(w * 2.0).sum()}, {w})[0].to_vector<double>() == Values{20, 20});
    h.sum().backward();
    const Trace trace = shown(recorder);
    auto changes = events_of<trace::Change>(trace);
    std::erase_if(changes, [](const trace::Change& change) {
      return change.of != trace::Change::Of::upstream;  // the grad that w has from above
    });
    REQUIRE(changes.size() == 5);
    CHECK(values_of(trace, changes[1].after) == Values{60, 60});
    CHECK(values_of(trace, changes[2].after) == Values{20, 20});
  }
}

TEST_CASE("a pass that reaches other outputs than the one before was not changed by a hook") {
  manual_seed(1);
  Recorder recorder;
  nn::LSTM lstm(2, 2);
  const auto out = lstm(ones({2, 1, 2}));
  out.h.sum().backward({}, true);
  out.c.sum().backward();
  CHECK(events_of<trace::Change>(shown(recorder)).empty());
}

TEST_CASE("passes that take turns, or run in a hook, are told apart, measured and counted so") {
  const Tensor w = tensor(1.0, kFloat64).requires_grad_(),
               v = tensor(2.0, kFloat64).requires_grad_();
  {
    Recorder recorder;
    recorder.name(w, "w");
    const Tensor h = w * 3.0, a = h * 5.0, b = h * 7.0;
    Backprop first(a, {.retain_graph = true}), second(b, {.retain_graph = true});
    while (!first.done() || !second.done()) {
      if (!first.done()) first.step();
      if (!second.done()) second.step();
    }
    const auto checked = recorder.check([&] {
      const Tensor again = w * 3.0;
      static_cast<void>(again * 5.0);
      return again * 7.0;
    });
    CHECK(checked.measured == 2);
    CHECK(checked.differ == 0);
    CHECK(differing(recorder) == 0);
    const Trace trace = shown(recorder);
    const auto passes = trace::page::passes(trace, trace.events.size());
    REQUIRE(passes.size() == 2);
    for (const auto& pass : passes)
      for (const auto& ways : pass.tensors) CHECK(ways.count == "1");
  }
  {
    Recorder recorder;
    recorder.name(w, "w");
    const Tensor h = w * 3.0, a = h * 5.0, b = v * 7.0;
    h.register_hook([&](const Tensor&) { b.backward(); });
    a.backward();
    const auto checked = recorder.check([&] { return v * 7.0; });
    CHECK(checked.measured == 1);
    CHECK(checked.differ == 0);
    const Trace trace = shown(recorder);
    const auto passes = trace::page::passes(trace, trace.events.size());
    REQUIRE(passes.size() == 2);
    const auto& of_outer = passes[0].tensors;
    CHECK(std::any_of(of_outer.begin(), of_outer.end(),
                      [&](const auto& ways) { return trace.nodes[ways.node].name == "w"; }));
  }
}

TEST_CASE("numbers that were replaced, by whatever means, are told before they are used") {
  const Tensor w = leaf({1.0, 2.0});
  Recorder recorder;
  recorder.name(w, "w");
  static_cast<void>(w * 2.0);
  w.data_ptr<double>()[0] = 50;
  static_cast<void>(w * 2.0);
  Tensor other = w;
  other.set_data(tensor({3.0, 4.0}, kFloat64));
  static_cast<void>(w * 2.0);
  const Trace trace = shown(recorder);
  const auto changes = events_of<trace::Change>(trace);
  REQUIRE(changes.size() == 2);
  CHECK(values_of(trace, changes[0].after) == Values{50, 2});
  CHECK(values_of(trace, changes[1].after) == Values{3, 4});

  other.set_data(tensor({1.f, 2.f, 3.f}, kFloat32));
  (w * 2.0).sum().backward();
  const Trace converted = shown(recorder);
  for (const auto& computed : events_of<trace::Computed>(converted)) {
    const trace::Node& node = converted.nodes[computed.node];
    CHECK(node.sizes == converted.numbers[computed.value].sizes);
    CHECK(node.dtype == converted.numbers[computed.value].dtype);
  }
}

TEST_CASE("what is learnt of a leaf later on, its node has: that it wants a gradient, its name") {
  Recorder recorder;
  Tensor x = tensor({2.0});
  static_cast<void>(x * 2.0);
  x.requires_grad_();
  (x * 3.0).sum().backward();
  CHECK(shown(recorder).nodes[0].requires_grad);

  nn::Sequential net{nn::Linear(1, 1)};
  optim::SGD optimizer(net.parameters(), {.lr = 0.1});
  net(tensor({{1.0f}})).sum().backward();
  Recorder later;
  optimizer.zero_grad();
  net(tensor({{1.0f}})).sum().backward();
  CHECK(says(told(shown(later)), "0.weight"));
}

TEST_CASE("at its limit a recorder loses what comes, and nothing that came") {
  std::vector<Tensor> leaves;
  for (int i = 0; i < 3; ++i) leaves.push_back(leaf({1.0 * i}));
  for (std::size_t limit = 1; limit < 12; ++limit) {
    CAPTURE(limit);
    for (const Tensor& each : leaves) (each * 2.0).sum().backward();
    Recorder recorder({.events = limit});
    for (Tensor each : leaves) each.zero_grad();
    const Trace trace = shown(recorder);
    CHECK(trace.events.size() == std::min<std::size_t>(limit, 7));
    CHECK(trace.complete == (limit >= 7));
    // Each leaf and the gradient that it had are told, then that it is dropped.
    const std::size_t dropped = limit < 3 ? 0 : limit < 5 ? 1 : limit < 7 ? 2 : 3;
    const auto events = events_of<trace::ZeroGrad>(trace);
    CHECK(events.size() == (dropped > 0 ? 1 : 0));
    if (!events.empty()) CHECK(events[0].nodes.size() == dropped);
  }
}

TEST_CASE("the seed of a trace is the one that its numbers were drawn from") {
  manual_seed(3);
  Recorder recorder;
  manual_seed(7);
  static_cast<void>(randn({2}) * 2.0);
  CHECK(recorder.trace().seed == 7);
}
