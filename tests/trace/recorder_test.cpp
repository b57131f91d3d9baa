#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/trace/events.h>
#include <retrace/trace/numbers.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <map>
#include <string>

using namespace retrace;
using testing::events_of;
using trace::Id;
using trace::kNone;
using trace::Recorder;
using trace::Trace;

namespace {

Id named(const Trace& trace, std::string_view name) {
  for (Id id = 0; id < trace.nodes.size(); ++id) {
    if (trace.nodes[id].name == name) return id;
  }
  return kNone;
}

// The same bits, NaN included.
bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = a.contiguous(), y = b.contiguous();
  return x.sizes() == y.sizes() && x.dtype() == y.dtype() &&
         std::memcmp(x.get().data, y.get().data,
                     static_cast<std::size_t>(x.numel() * size_of(x.dtype()))) == 0;
}

struct Net : nn::Module {
  nn::Linear up{3, 5}, down{5, 3};
  Tensor scale = register_parameter("scale", ones({3}));
  Net() {
    register_module("up", up);
    register_module("down", down);
  }
  Tensor forward(const Tensor& x) {
    const nn::Scope scope(*this);
    Tensor h = scale * down(gelu(up(x)));  // broadcast
    h += x;                                // in place
    return h * h + up(h).sum(1, true);     // fan-out, shared parameters
  }
};

struct Trained {
  Net net;
  optim::AdamW optimizer{net.parameters(), {.lr = 0.05}};
  std::vector<Tensor> gradients;

  void step() {
    optimizer.zero_grad();
    const Tensor x = randn({4, 3});
    losses::mse_loss(net.forward(x), x.square()).backward();
    nn::utils::clip_grad_norm_(net.parameters(), 0.5);
    optimizer.step();
    gradients.clear();
    for (const Tensor& parameter : net.parameters()) gradients.push_back(parameter.grad().clone());
  }
};

Trained trained(bool recorded, Trace* trace = nullptr) {
  manual_seed(3);
  Trained run;
  std::optional<Recorder> recorder;
  if (recorded) recorder.emplace();
  for (int step = 1; step <= 3; ++step) {
    if (recorder) recorder->training_step(step);
    run.step();
  }
  if (trace != nullptr) *trace = recorder->trace();
  return run;
}

// Plays the gradients of a trace again: each sum must follow from the one before it.
std::vector<Tensor> replayed_gradients(const Trace& trace) {
  std::vector<Tensor> sums(trace.nodes.size()), grads(trace.nodes.size());
  const auto numbers = [&](Id id) { return id == kNone ? Tensor() : trace.numbers[id].values; };
  const auto check_same = [](const Tensor& a, const Tensor& b) {
    REQUIRE(a.defined() == b.defined());
    if (a.defined()) CHECK(same_bits(a, b));
  };
  for (const trace::Event& event : trace.events) {
    if (const auto* seed = std::get_if<trace::Seed>(&event)) {
      sums[seed->node] = numbers(seed->after).clone();
    } else if (const auto* sum = std::get_if<trace::Accumulation>(&event)) {
      Tensor& now = (sum->in_grad ? grads : sums)[sum->node];
      check_same(now, numbers(sum->before));
      const Tensor more = numbers(sum->contribution);
      now = sum->fused ? numbers(sum->after) : now.defined() ? now + more : more.clone();
      check_same(now, numbers(sum->after));
    } else if (const auto* given = std::get_if<trace::Contribution>(&event)) {
      check_same(sums[given->node], numbers(given->upstream[0]));
    } else if (const auto* dropped = std::get_if<trace::ZeroGrad>(&event)) {
      for (const Id node : dropped->nodes) grads[node] = {};
    } else if (const auto* clip = std::get_if<trace::Clip>(&event)) {
      for (const auto& clipped : clip->gradients) {
        check_same(grads[clipped.node], numbers(clipped.before));
        grads[clipped.node] = numbers(clipped.after).clone();
      }
    }
  }
  return grads;
}

}  // namespace

TEST_CASE("recording changes no bit of a run, and its trace gives every gradient again") {
  Trace trace;
  const Trained plain = trained(false), recorded = trained(true, &trace);
  const auto names = plain.net.named_parameters();
  const std::vector<Tensor> grads = replayed_gradients(trace);
  std::size_t k = 0;
  for (const auto& item : names) {
    const std::string& name = item.first;
    const Tensor& parameter = item.second;
    CAPTURE(name);
    CHECK(same_bits(parameter, recorded.net.named_parameters().at(name)));
    REQUIRE(named(trace, name) != kNone);  // the module names its parameters
    CHECK(same_bits(grads[named(trace, name)], recorded.gradients[k++]));
  }
  const StateDict before = plain.optimizer.state_dict(), after = recorded.optimizer.state_dict();
  for (const auto& [name, tensor] : before) CHECK(same_bits(tensor, after.at(name)));
  CHECK(events_of<trace::Change>(trace).empty());
  CHECK(events_of<trace::TrainingStep>(trace).size() == 3);
  CHECK(events_of<trace::Clip>(trace).size() == 3);
  CHECK(events_of<trace::ZeroGrad>(trace).size() == 2);  // there is none before the first
}

TEST_CASE("an update tells the parameter and all that the optimizer keeps") {
  Trace trace;
  const Trained run = trained(true, &trace);
  const auto updates = events_of<trace::Update>(trace);
  REQUIRE(updates.size() == 3 * run.net.parameters().size());
  const auto& last = updates.back();
  const std::size_t index = run.net.parameters().size() - 1;
  CHECK(last.optimizer == "AdamW");
  CHECK(last.lr == 0.05);
  CHECK(last.step == 3);
  CHECK(same_bits(trace.numbers[last.after].values, run.net.parameters()[index]));
  REQUIRE(last.kept.size() == 2);
  const StateDict state = run.optimizer.state_dict();
  for (const auto& kept : last.kept) {
    CHECK(same_bits(trace.numbers[kept.after].values,
                    state.at(std::to_string(index) + "." + kept.name)));
    CHECK(kept.before != kept.after);
  }
}

TEST_CASE("contributions are those of the engine's steps, and go through the local derivative") {
  const auto loss_of = [](const Tensor& w, const Tensor& b) {
    return ((w * 3.0 + b).tanh() * w).sum();
  };
  const auto leaves = [] {
    manual_seed(1);
    return std::pair(randn({2, 3}).requires_grad_(), randn({3}).requires_grad_());
  };
  const auto stepped = leaves();
  std::vector<Tensor> gradients;
  for (Backprop pass(loss_of(stepped.first, stepped.second)); !pass.done();) {
    for (const Tensor& gradient : pass.step().gradients)
      if (gradient.defined()) gradients.push_back(gradient);
  }
  const auto recorded = leaves();
  Recorder recorder;
  recorder.name(recorded.first, "w");
  loss_of(recorded.first, recorded.second).backward();
  const Trace trace = recorder.trace();
  const auto contributions = events_of<trace::Contribution>(trace);
  REQUIRE(contributions.size() == gradients.size());
  int with_local = 0;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const auto& e = contributions[i];
    CHECK(same_bits(trace.numbers[e.gradient].values, gradients[i]));
    if (e.local == kNone) continue;
    ++with_local;
    const Tensor product = trace.numbers[e.upstream[0]].values * trace.numbers[e.local].values;
    const Tensor given = trace.numbers[e.unsummed != kNone ? e.unsummed : e.gradient].values;
    CHECK((product - given).abs().max().item<double>() < 1e-6);
  }
  CHECK(with_local == 6);  // of sum there is none
  const Id w = named(trace, "w");
  REQUIRE(w != kNone);
  CHECK(trace.nodes[w].is_leaf());
  int into_w = 0;
  for (const auto& sum : events_of<trace::Accumulation>(trace)) into_w += sum.node == w;
  CHECK(into_w == 2);
  replayed_gradients(trace);
}

TEST_CASE("copies are elementwise, sums are not") {
  Recorder recorder;
  const Tensor w = ones({2}).requires_grad_();
  w.clone().to(kFloat64).sum();
  const Trace trace = recorder.trace();
  std::map<std::string, bool> elementwise;
  for (const auto& op : trace.ops) elementwise[op.name] = op.elementwise;
  CHECK(elementwise == std::map<std::string, bool>{{"clone", true}, {"to", true}, {"sum", false}});
}

TEST_CASE("nodes say what they are and where they were called") {
  Recorder recorder;
  Net net;
  const Tensor y = net.forward(ones({1, 3}));
  const Trace trace = recorder.trace();
  bool found = false;
  for (const trace::Node& node : trace.nodes) {
    if (node.op == kNone || trace.ops[node.op].name != "gelu") continue;
    found = true;
    CHECK(trace.ops[node.op].elementwise);
    CHECK(!trace.ops[node.op].formula.empty());
    CHECK(node.requires_grad);
    CHECK(node.sizes == Shape{1, 5});
#ifdef RETRACE_HAVE_LIBDW
    CHECK(node.site.find("recorder_test.cpp:") == 0);
#endif
    REQUIRE(node.inputs.size() == 1);
    const trace::Node& linear = trace.nodes[node.inputs[0]];
    CHECK(linear.number > 0);
    CHECK(node.number > linear.number);
    CHECK(trace.nodes[linear.inputs[1]].number == 0);
    CHECK(linear.place == "up");
    REQUIRE(linear.inputs.size() == 3);
    CHECK(trace.nodes[linear.inputs[1]].name == "up.weight");
  }
  CHECK(found);
  CHECK(named(trace, "scale") != kNone);
  const std::uint64_t last = y.get().producer->number();
  CHECK(trace.nodes.back().number == last);
  CHECK(Trace::parse(trace.json(), "again").nodes.back().number == last);
}

TEST_CASE("what the program changes by itself is told") {
  Recorder recorder;
  const Tensor w = tensor({1.0, 2.0}).requires_grad_();
  recorder.name(w, "w");
  (w * w).sum().backward();
  {
    const NoGradGuard by_hand;
    w.grad().mul_(10.0);
    Tensor(w).sub_(w.grad() * 0.1);
  }
  const Tensor y = w * 2.0;
  y.register_hook([](const Tensor& g) { return g * 5.0; });
  y.sum().backward();
  const auto changes = events_of<trace::Change>(recorder.trace());
  REQUIRE(changes.size() == 3);
  CHECK(changes[0].of == trace::Change::Of::value);
  CHECK(same_bits(recorder.trace().numbers[changes[0].after].values, w.detach()));
  CHECK(changes[1].of == trace::Change::Of::upstream);
  CHECK(changes[2].of == trace::Change::Of::gradient);
}

TEST_CASE("a pass over what was computed before, a leaf with hooks, a kept inner gradient") {
  const Tensor a = tensor({1.0, 2.0}).requires_grad_();
  const Tensor y = a.exp() * 2.0;
  y.retain_grad();
  a.register_hook([](const Tensor&) {});
  Recorder recorder;
  y.sum().backward();
  const Trace trace = recorder.trace();
  CHECK(events_of<trace::Contribution>(trace).size() == 3);
  int in_grad = 0;
  for (const auto& sum : events_of<trace::Accumulation>(trace)) in_grad += sum.in_grad;
  CHECK(in_grad == 2);
  replayed_gradients(trace);
}

TEST_CASE("numbers that are not finite are counted, and come through") {
  const double inf = std::numeric_limits<double>::infinity();
  Recorder recorder;
  const Tensor x = tensor({-1.0, 0.0, 4.0, inf}).requires_grad_();
  x.sqrt().sum().backward();
  const Trace trace = recorder.trace();
  const auto computed = events_of<trace::Computed>(trace);
  CHECK(trace.numbers[computed[0].value].non_finite == 1);
  CHECK(trace.numbers[computed[1].value].non_finite == 2);
  replayed_gradients(trace);
  const Trace again = Trace::parse(trace.json(), "text");
  CHECK(again.json() == trace.json());
  CHECK(std::isnan(again.numbers[computed[1].value].values.to_vector<double>()[0]));
}

TEST_CASE("large tensors are summarised, and the recorder keeps to its limits") {
  const Tensor x = arange(200).to(kFloat32).view({2, 10, 10}).requires_grad_();
  Recorder recorder({.elements = 100, .corner = 3});
  x.sum().backward();
  const trace::Numbers numbers = recorder.trace().numbers[0];
  CHECK_FALSE(numbers.complete);
  CHECK(numbers.values.equal(tensor({0., 1., 2., 10., 11., 12., 20., 21., 22.}).view({1, 3, 3})));
  CHECK(numbers.max == 199);
  CHECK(numbers.mean == 99.5);
  CHECK(numbers.hash == trace::hash_of(x));
  CHECK(Trace::parse(recorder.trace().json(), "text").json() == recorder.trace().json());

  Recorder short_one({.events = 5});
  x.exp().log().sum().backward();
  CHECK(short_one.trace().events.size() == 5);
  CHECK_FALSE(short_one.trace().complete);
  Recorder small({.bytes = 1000});
  (x * 2.0).sum();
  int complete = 0;
  for (const auto& each : small.trace().numbers) {
    complete += each.complete;
    CHECK(each.complete != each.hash.has_value());
  }
  CHECK(complete == 2);  // 800 bytes, and what is no larger than a corner
}

TEST_CASE("a graph of 100,000 nodes is recorded whole and within bounds") {
  Recorder recorder;
  const Tensor x = tensor({1.0}).requires_grad_();
  Tensor y = x;
  for (int i = 0; i < 100'000; ++i) y = y * 1.00001;
  y.backward();
  const Trace trace = recorder.trace();
  CHECK(trace.complete);
  CHECK(trace.nodes.size() == 100'001);
  CHECK(trace.events.size() == 300'002);
  const Trace again = Trace::parse(trace.json(), "text");
  trace::State state(again);
  state.go_to(again.events.size());
  CHECK(same_bits(again.numbers[state.of(0).grad].values, x.grad()));
  state.go_to(0);
  CHECK(state.of(0).grad == kNone);
  const trace::Story story(again);
  CHECK(story.size() == 200'001);
  CHECK(story.text(story.size() - 1).find("back through mul #1") == 0);
}
