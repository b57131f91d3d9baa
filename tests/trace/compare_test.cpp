#include <doctest/doctest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <set>

#include <fmt/format.h>

#include <retrace/retrace.h>
#include <retrace/tests/files.h>
#include <retrace/trace/compare.h>

using namespace retrace;
using namespace retrace::testing;
using trace::compare;
using trace::Comparison;
using trace::Id;
using trace::Trace;

namespace {

struct Run {
  DType dtype = kFloat32;
  int steps = 2;
  std::int64_t width = 3;
  const char* activation = "tanh";  // "relu"; "none"; "twice"
  double lr = 0.1;
  float nudge = 0;  // added to one element of w
  trace::RecorderOptions options = {.program = "test"};
};

// Steps of y = f(x w) v with a squared error.
Trace run(const Run& of) {
  const Tensor x = tensor({{0.5, -1.0}, {2.0, 0.25}, {-0.75, 1.5}}, of.dtype);
  Tensor w = linspace(-1, 1, 2 * of.width, of.dtype).reshape({2, of.width}).detach();
  Tensor v = linspace(0.5, 1.5, of.width, of.dtype).reshape({of.width, 1}).detach();
  w[1][0].add_(of.nudge);
  w.requires_grad_(), v.requires_grad_();
  trace::Recorder recorder(of.options);
  recorder.name(w, "w"), recorder.name(v, "v");
  optim::SGD optimizer({w, v}, {.lr = of.lr, .momentum = 0.9});
  for (int step = 1; step <= of.steps; ++step) {
    recorder.training_step(step);
    optimizer.zero_grad();
    Tensor h = x.matmul(w);
    const std::string_view f = of.activation;
    if (f == "tanh" || f == "twice") h = tanh(h);
    if (f == "twice") h = sigmoid(h);
    if (f == "relu") h = relu(h);
    h.matmul(v).square().mean().backward();
    optimizer.step();
  }
  return recorder.trace();
}

Trace tensor_trace(const Tensor& w, const trace::RecorderOptions& options = {.program = "test"}) {
  trace::Recorder recorder(options);
  recorder.name(w, "w");
  w.sum();
  return recorder.trace();
}

const Comparison::Row& row(const Comparison& found, const std::string& name) {
  for (const Comparison::Row& each : found.rows) {
    if (each.name.starts_with(name)) return each;
  }
  FAIL("no row " << name);
  return found.rows.at(0);
}

// Whether they are the same does not depend on which is called A.
Comparison compared(const Trace& a, const Trace& b, double tolerance = 0) {
  const Comparison found = compare(a, b, tolerance), turned = compare(b, a, tolerance);
  CHECK(found.same() == turned.same());
  CHECK(found.differing == turned.differing);
  CHECK(found.structure.size() == turned.structure.size());
  return found;
}

}  // namespace

TEST_CASE("a trace is the same as itself, and as another run of the program") {
  const Comparison found = compared(run({}), run({}));
  CHECK(found.same());
  CHECK(found.compared > 60);
  CHECK(found.first.empty());
  REQUIRE(found.rows.size() == 3);  // w, v, the loss
  for (const Comparison::Row& each : found.rows) {
    REQUIRE(each.value.has_value());
    CHECK(each.value->same);
    CHECK(each.value->absolute == 0);
    CHECK(each.gradient.has_value() == !each.name.starts_with("loss"));
    CHECK(each.update.has_value() == !each.name.starts_with("loss"));
  }
  CHECK(compare(Trace(), Trace()).same());
}

TEST_CASE("no tolerance makes one of integers, booleans and counts that are not equal") {
  const Trace trace = tensor_trace(tensor({1.0, 0.0}));
  for (const DType dtype : {kInt64, kBool}) {
    Trace x = trace, y = trace, z = trace;
    for (Trace* each : {&x, &y, &z}) each->numbers[0].dtype = dtype;
    x.numbers[0].values = y.numbers[0].values = tensor({1, 0}, dtype);
    z.numbers[0].values = tensor({1, 1}, dtype);
    CHECK(compared(x, y, 1).same());
    CHECK(!compared(x, z, 1).same());
  }
  Trace near = trace;
  near.numbers[0].values = tensor({1.0, 1.0});
  CHECK(compared(trace, near, 1).same());

  const auto with_event = [](const trace::Event& event) {
    Trace made;
    made.events.push_back(event);
    return made;
  };
  const auto step = [&](std::int64_t number) { return with_event(trace::TrainingStep{number}); };
  CHECK(compared(step(1000), step(1000), 0.1).same());
  CHECK(!compared(step(1000), step(1001), 0.1).same());
  const auto clip = [&](double norm, double type) {
    return with_event(trace::Clip{norm, type, 1, 1, {}});
  };
  CHECK(compared(clip(1, 2), clip(1.01, 2), 0.1).same());
  CHECK(!compared(clip(1, 2), clip(1, 2.01), 0.1).same());
  const auto dropped = [&](std::size_t count) {
    Trace made = with_event(trace::ZeroGrad{std::vector<Id>(count, 0)});
    made.nodes.resize(1);
    return made;
  };
  CHECK(compared(dropped(10), dropped(10), 0.5).same());
  CHECK(!compared(dropped(10), dropped(9), 0.5).same());
  Trace run_a = run({}), run_b = run({});
  for (trace::Event& event : run_b.events)
    if (auto* update = std::get_if<trace::Update>(&event)) ++update->step;
  CHECK(!compared(run_a, run_b, 0.9).same());
}

TEST_CASE("one bit of one number is found, and told with its place and both numbers") {
  const Trace a = run({});
  for (const char* what : {"value", "last"}) {
    CAPTURE(what);
    Trace b = run({});
    const bool is_last = what == std::string_view("last");
    Id id = 0;
    for (const trace::Event& event : b.events) {
      const auto* computed = std::get_if<trace::Computed>(&event);
      const auto* update = std::get_if<trace::Update>(&event);
      if (!is_last && computed != nullptr && b.nodes[computed->node].name == "w") {
        id = computed->value;
        break;
      }
      if (is_last && update != nullptr) id = update->after;
    }
    Tensor& values = b.numbers[id].values;
    values = values.clone();
    float& number = values.data_ptr<float>()[1];
    const float before = number;
    number = std::bit_cast<float>(std::bit_cast<std::uint32_t>(number) ^ 1);
    const Comparison found = compared(a, b);
    CHECK(!found.same());
    CHECK(found.structure.empty());
    CHECK(found.differing >= 1);
    CHECK(found.differing <= 4);  // the same list is told as the value before a later update
    CAPTURE(found.first);
    CHECK(says(found.first, is_last ? "SGD updates v" : "step 2: w [2, 3] is used for the first"));
    CHECK(says(found.first, is_last ? "the value after, float32 [3, 1]: element [1, 0] is "
                                    : "the value, float32 [2, 3]: element [0, 1] is "));
    CHECK(says(found.first, fmt::format("is {} in A, and {} in B; apart by ", before, number)));
    CHECK(says(found.first, is_last ? "1 of 3 elements" : "1 of 6 elements"));
    const Comparison::Row& which = row(found, is_last ? "v" : "w");
    CHECK(!which.value->same);
    CHECK(which.value->absolute == std::abs(static_cast<double>(before) - number));
    CHECK(which.value->relative > 0);
    CHECK(which.value->relative < 2e-7);
    CHECK(row(found, is_last ? "w" : "v").value->same);
    CHECK(compare(a, b, 1e-6).same());
    CHECK(!compare(a, b, 1e-9).same());
  }
}

TEST_CASE("a change that grows is told where it begins, with what came of it") {
  const Comparison found = compared(run({}), run({.nudge = 0.5f}));
  CHECK(found.structure.empty());
  CHECK(says(found.first, "step 2: w [2, 3] is used for the first time"));
  CHECK(says(found.first, "element [1, 0] is 0.2 in A, and 0.7 in B"));
  CHECK(row(found, "w").value->absolute >= 0.49);
  CHECK(row(found, "v").gradient->absolute > 0.01);
  CHECK(row(found, "v").update->absolute > 0.001);
  CHECK(row(found, "loss").value->absolute > 0);
  // Nothing but the learning rate: the first difference is the update.
  const Comparison faster = compared(run({}), run({.lr = 0.2}));
  CHECK(says(faster.first, "SGD updates w"));
  CHECK(says(faster.first, "the learning rate is 0.1 in A, and 0.2 in B"));
  CHECK(row(faster, "w").update->absolute > 0);
}

TEST_CASE("another op is told at its place, and what goes on behind it is still compared") {
  const Comparison found = compared(run({}), run({.activation = "relu"}));
  REQUIRE(found.structure.size() == 2);  // in each of two steps
  CHECK(says(found.structure[0], "step 3: A has forward: tanh #3"));
  CHECK(says(found.structure[0], "where B has forward: relu #3"));
  CHECK(found.differing > 0);
  CHECK(says(found.first, "forward: matmul #5"));
  CHECK(row(found, "v").gradient->absolute > 0);
}

TEST_CASE("an op more is told at its place, forwards and backwards") {
  const Comparison found = compared(run({.steps = 1}), run({.steps = 1, .activation = "twice"}));
  REQUIRE(found.structure.size() == 3);
  CHECK(says(found.structure[0], "step 4: only B has forward: sigmoid #4"));
  CHECK(says(found.structure[1], "A has back through matmul #5 to tanh #3"));
  CHECK(says(found.structure[1], "where B has back through matmul #6 to sigmoid #4"));
  CHECK(says(found.structure[2], "only B has back through sigmoid #4 to tanh #3"));
  CHECK(compare(run({.steps = 1}), run({.steps = 1, .activation = "none"}))
            .structure.at(0)
            .starts_with("step 3: only A has forward: tanh #3"));
}

TEST_CASE("another shape is told with the names of what has it") {
  const Comparison found = compared(run({}), run({.width = 4}));
  REQUIRE(found.structure.size() >= 2);
  CHECK(found.structure[0] == "step 2: w is [2, 3] in A, and [2, 4] in B");
  CHECK(says(found.first, "the value is [2, 3] in A, and [2, 4] in B"));
  CHECK(!row(found, "w").value.has_value());
  CHECK(row(found, "loss").value.has_value());
}

TEST_CASE("one more step is told as what only one of them does") {
  const Comparison found = compared(run({}), run({.steps = 3}));
  REQUIRE(found.structure.size() == 1);
  CHECK(says(found.structure[0], "only B goes on, with step 3 of the training begins, and "));
  CHECK(!says(found.structure[0], "recorder"));
  CHECK(found.differing == 0);
  CHECK(!found.same());
}

TEST_CASE("of a trace that ends early the rest is said to be missing") {
  const Trace whole = run({});
  const Trace part = run({.options = {.events = 20, .program = "test"}});
  REQUIRE(!part.complete);
  const Comparison found = compared(whole, part);
  REQUIRE(found.structure.size() == 1);
  CHECK(says(found.structure[0], "only A goes on"));
  CHECK(says(found.structure[0], "the recorder of the other kept no more"));
  CHECK(found.differing == 0);
  CHECK(compared(part, run({.options = {.events = 20, .program = "test"}})).same());
}

TEST_CASE("NaN in both is the same, NaN in one is infinitely far") {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  const auto trace = [](double value) { return tensor_trace(tensor({1.0, value}, kFloat64)); };
  for (const double tolerance : {0.0, 1e-3, 1e300}) {
    CAPTURE(tolerance);
    CHECK(compared(trace(nan), trace(nan), tolerance).same());
    CHECK(compared(trace(inf), trace(inf), tolerance).same());
    CHECK(!compared(trace(nan), trace(1), tolerance).same());
    CHECK(!compared(trace(inf), trace(-inf), tolerance).same());
    CHECK(!compared(trace(inf), trace(1e308), tolerance).same());
    CHECK(!compared(trace(inf), trace(nan), tolerance).same());
  }
  const Comparison found = compare(trace(1), trace(nan));
  CHECK(says(found.first, "element [1] is 1 in A, and NaN in B; apart by inf"));
  CHECK(!compared(trace(0.0), trace(-0.0)).same());
  CHECK(compared(trace(0.0), trace(-0.0), 1e-9).same());
}

TEST_CASE("a tolerance is relative to the largest number of the tensor") {
  const auto trace = [](double small) { return tensor_trace(tensor({100.0, small}, kFloat64)); };
  CHECK(compared(trace(1), trace(1.5), 5e-3).same());
  CHECK(!compared(trace(1), trace(1.5), 4.9e-3).same());
  CHECK(says(compare(trace(1), trace(1.5)).first, "apart by 0.5, relative 0.005"));
  const auto one = [](double value) { return tensor_trace(tensor({value}, kFloat64)); };
  CHECK(!compared(one(0), one(1e-300), 0.5).same());
  CHECK(compared(one(9), one(10), 0.1).same());
  // Whole numbers that no double tells apart.
  const auto whole = [](std::int64_t value) { return tensor_trace(full({1}, value, kInt64)); };
  const std::int64_t large = (std::int64_t{1} << 60) + 1;
  CHECK(compared(whole(large), whole(large)).same());
  CHECK(!compared(whole(large), whole(large - 1)).same());
}

TEST_CASE("of a large tensor the corner and the summary are compared") {
  const auto trace = [](std::int64_t at, float value, std::int64_t keep = 16) {
    Tensor x = arange(0, 400, 1, kFloat32).reshape({20, 20}).clone();
    x[at / 20][at % 20].fill_(value);
    return tensor_trace(x, {.elements = keep, .corner = 4, .program = "test"});
  };
  CHECK(compared(trace(0, 0), trace(0, 0)).same());
  const Comparison in_corner = compared(trace(21, 21), trace(21, 22));
  CHECK(says(in_corner.first, "element [1, 1] is 21 in A, and 22 in B"));
  CHECK(says(in_corner.first, "apart by 1, relative 0.00251"));  // to 399, outside of the corner
  CHECK(says(in_corner.first, "1 of 16 elements differ in the corner that was kept"));
  const Comparison outside = compared(trace(399, 399), trace(399, 500));
  CHECK(says(outside.first, "float32 [20, 20]: maximum is 399 in A, and 500 in B"));
  CHECK(says(outside.first, "0 of 16 elements differ in the corner"));
  const Comparison inside = compared(trace(300, 300), trace(300, 301));
  CHECK(says(inside.first, "mean is 199.5 in A, and 199.5025 in B"));
  CHECK(compared(trace(300, 300), trace(300, 301), 1e-3).same());
  CHECK(says(compare(trace(300, 300), trace(300, std::nanf(""))).first,
             "number of NaN and infinite elements is 0 in A, and 1 in B"));
  // All elements are known of one, the corner of the other.
  CHECK(compared(trace(300, 300), trace(300, 300, 4096)).same());
  CHECK(!compared(trace(300, 300), trace(300, 301, 4096)).same());
}

TEST_CASE("elements that were not kept are the same when the hashes are") {
  const auto trace = [](bool exchanged, DType dtype = kFloat32, std::int64_t keep = 16) {
    Tensor x = arange(0, 400, 1, dtype).reshape({20, 20}).clone();
    if (exchanged) x[15][15].fill_(210), x[10][10].fill_(315);
    return tensor_trace(x, {.elements = keep, .corner = 4, .program = "test"});
  };
  const auto without_hash = [](Trace of) {
    for (trace::Numbers& each : of.numbers) each.hash.reset();
    return of;
  };
  const Trace a = trace(false), b = trace(true);
  CHECK(compared(a, trace(false)).in_part == 0);
  const Comparison found = compared(a, b);
  CHECK(found.differing == 1);
  CHECK(found.in_part == 0);
  CHECK(says(found.first, "the value, float32 [20, 20]: hash of all elements is "));
  CHECK(says(found.first, "0 of 16 elements differ in the corner that was kept"));
  CHECK(!says(found.first, "apart by"));
  // What a tolerance allows may lie beyond it.
  CHECK(compared(a, b, 1e-9).same());
  CHECK(compared(a, b, 1e-9).in_part == 1);
  CHECK(compared(a, a, 1e-9).in_part == 0);
  CHECK(!compared(trace(false, kInt64), trace(true, kInt64), 1).same());
  // Whole in one of them.
  CHECK(compared(a, trace(false, kFloat32, 4096)).same());
  CHECK(compared(a, trace(false, kFloat32, 4096)).in_part == 0);
  CHECK(!compared(a, trace(true, kFloat32, 4096)).same());
  for (const Trace& other : {a, b, without_hash(a), trace(true, kFloat32, 4096)}) {
    CHECK(compared(without_hash(a), other).same());
    CHECK(compared(without_hash(a), other).in_part == 1);
  }
  // Of other dtypes hashes say nothing.
  CHECK(compared(a, trace(true, kFloat64), 1e-9).in_part == 1);
  CHECK(compared(a, trace(true, kFloat64), 1e-9).same());
}

TEST_CASE(
    "distances are those of elements, not of means and norms, and say when some are missing") {
  const auto trace = [](float value) {
    Tensor w = linspace(-3.5, 3.5, 400).reshape({20, 20}).clone();
    w[10][10].fill_(value);
    w.requires_grad_();
    trace::Recorder recorder({.elements = 100, .corner = 4, .program = "test"});
    recorder.name(w, "w");
    optim::SGD optimizer({w}, {.lr = 0.1});
    (w * w).sum().backward();
    optimizer.step();
    return recorder.trace();
  };
  for (const double tolerance : {0.0, 0.02}) {
    CAPTURE(tolerance);
    const Comparison found = compared(trace(3), trace(-3), tolerance);
    CHECK(found.same() == (tolerance > 0));
    CHECK((found.in_part > 0) == (tolerance > 0));
    for (const auto& each :
         {row(found, "w").value, row(found, "w").gradient, row(found, "w").update}) {
      REQUIRE(each.has_value());
      CHECK(!each->whole);
      CHECK(each->absolute == 0);
    }
    CHECK(row(found, "loss").value->whole);
    const Comparison same = compared(trace(3), trace(3), tolerance);
    CHECK(same.same());
    CHECK(same.in_part == 0);
    for (const auto& each : {row(same, "w").value, row(same, "w").gradient, row(same, "w").update})
      CHECK(each->whole);
  }
  CHECK(
      says(compare(trace(3), trace(-3)).first, "; apart by 0.015, relative 0.00429"));  // of means
}

TEST_CASE("which gradients are dropped and clipped is compared, not how many") {
  const auto trace = [](bool first) {
    trace::Recorder recorder({.program = "test"});
    const Tensor a = full({2}, 1.0).requires_grad_(), b = full({2}, 1.0).requires_grad_();
    recorder.name(a, "a"), recorder.name(b, "b");
    (a * b).sum().backward();
    nn::utils::clip_grad_norm_({first ? a : b}, 0.5);
    (first ? a : b).zero_grad();
    return recorder.trace();
  };
  CHECK(compared(trace(true), trace(true)).same());
  const Comparison found = compared(trace(true), trace(false));
  REQUIRE(found.structure.size() == 3);
  CHECK(says(found.structure[0], "the gradient of a is clipped in A, where B clips that of b"));
  CHECK(says(found.structure[1], "the gradient of a is dropped in A only"));
  CHECK(says(found.structure[2], "the gradient of b is dropped in B only"));
  CHECK(found.differing == 0);
  // The order in which they are dropped together says nothing.
  Trace a = run({}), b = run({});
  for (trace::Event& event : b.events) {
    auto* dropped = std::get_if<trace::ZeroGrad>(&event);
    if (dropped != nullptr) std::swap(dropped->nodes.at(0), dropped->nodes.at(1));
  }
  CHECK(compared(a, b).same());
}

TEST_CASE("float32 beside float64: another dtype bit for bit, the same within a tolerance") {
  const Trace narrow = run({}), wide = run({.dtype = kFloat64});
  const Comparison exact = compared(narrow, wide);
  REQUIRE(!exact.structure.empty());
  CHECK(says(exact.structure.back(), "is float32 in A, and float64 in B; of "));
  CHECK(!exact.same());
  const Comparison close = compared(narrow, wide, 1e-5);
  CHECK(close.same());
  CHECK(says(close.note, "is float32 in A, and float64 in B"));
  CHECK(close.compared == exact.compared);
  CHECK(row(close, "w").gradient->absolute > 0);
  CHECK(row(close, "w").gradient->relative < 1e-5);
  CHECK(!compared(narrow, wide, 1e-12).same());
}

TEST_CASE("parameters with other names are told, and two other programs do not agree on anything") {
  const auto trace = [](const char* name) {
    trace::Recorder recorder({.program = "test"});
    const Tensor w = tensor({1.0, 2.0}).requires_grad_();
    recorder.name(w, name);
    (w * w).sum().backward();
    return recorder.trace();
  };
  const Comparison renamed = compared(trace("w"), trace("weight"));
  REQUIRE(!renamed.structure.empty());
  CHECK(says(renamed.structure[0], "A has w [2] is used for the first time"));
  CHECK(renamed.differing == 0);
  REQUIRE(renamed.rows.size() == 2);
  CHECK(renamed.rows[0].name == "w");
  CHECK(renamed.rows[0].gradient->same);
  CHECK(!compared(trace("w"), run({})).same());
  CHECK(!compared(trace("w"), Trace()).same());
}

TEST_CASE("a parameter made while the recorder lived has a row like any other") {
  const auto trace = [](double factor) {
    trace::Recorder recorder({.program = "test"});
    const Tensor w = (tensor({1.0, 2.0}) * factor).requires_grad_();
    recorder.name(w, "w");
    (w * w).sum().backward();
    return recorder.trace();
  };
  const Comparison found = compared(trace(1), trace(1.5));
  CHECK(row(found, "w").value->absolute == 1);
  CHECK(row(found, "w").gradient->absolute == 2);
}

TEST_CASE("what a trace may leave out is no difference, what it must have is one") {
  const Trace a = run({});
  Trace b = a;
  for (trace::Event& event : b.events) {
    if (auto* given = std::get_if<trace::Contribution>(&event)) given->local = trace::kNone;
  }
  for (trace::Node& node : b.nodes) node.site.clear();
  CHECK(compared(a, b).same());
  CHECK(compare(a, b).compared < compare(a, a).compared);
  for (trace::Event& event : b.events) {
    if (auto* sum = std::get_if<trace::Accumulation>(&event)) sum->before = sum->after;
  }
  const Comparison found = compared(a, b);
  CHECK(says(found.first, "the gradient before is there in B only"));
  Trace d = a;
  for (trace::Event& event : d.events) {
    if (auto* update = std::get_if<trace::Update>(&event)) update->kept.clear();
  }
  CHECK(says(compared(a, d).first, "SGD updates w\n  it is told with 7 numbers and tensors in A"));
  // Wired otherwise: the product has its operands in the other order.
  Trace c = a;
  for (trace::Node& node : c.nodes) {
    if (node.inputs.size() == 2) std::swap(node.inputs[0], node.inputs[1]);
  }
  CHECK(says(compared(a, c).structure.at(0), "matmul #2 has the input "));
}

TEST_CASE("a tolerance that is none is refused") {
  const double inf = std::numeric_limits<double>::infinity();
  for (const double each : {-1e-9, std::nan(""), inf})
    CHECK(says(message_of<ValueError>([&] { compare(Trace(), Trace(), each); }),
               "give a finite number from 0 on"));
}

TEST_CASE("tensors of one name are compared each with its own partner, and told apart") {
  const auto two_nets = [] {
    manual_seed(0);
    nn::Sequential first{nn::Linear(2, 2)}, second{nn::Linear(2, 2)};
    trace::Recorder recorder({.program = "test"});
    second(first(tensor({{1.0, 2.0}}))).square().sum().backward();
    for (const nn::Sequential& net : {first, second})
      optim::SGD(net.parameters(), {.lr = 0.1}).step();
    return recorder.trace();
  };
  const Comparison found = compared(two_nets(), two_nets());
  CHECK(found.same());
  REQUIRE(found.rows.size() == 5);
  std::set<std::string> names;
  for (const Comparison::Row& each : found.rows) {
    CAPTURE(each.name);
    names.insert(each.name);
    for (const auto& distance : {each.value, each.gradient, each.update})
      if (distance) CHECK(distance->absolute == 0);
  }
  CHECK(names.size() == 5);
  CHECK(says(row(found, "0.weight").name, "0.weight #"));
}

TEST_CASE("a parameter without a partner is compared with one of its name that has none") {
  const Trace trace = tensor_trace(tensor({1.0}).requires_grad_());
  Trace other = trace;
  other.numbers[0].values = tensor({3.0});
  other.events.insert(other.events.begin(), 500, trace::TrainingStep{1});  // nothing meets
  CHECK(row(compare(trace, trace), "w").value->absolute == 0);
  CHECK(row(compare(trace, other), "w").value->absolute == 2);
}

TEST_CASE("what a program changes by hand counts among the values and gradients of a parameter") {
  const auto by_hand = [](double lr) {
    const Tensor w = tensor({1.0, 2.0}).requires_grad_();
    trace::Recorder recorder({.program = "test"});
    recorder.name(w, "w");
    for (int i = 0; i < 2; ++i) {
      w.square().sum().backward();
      const NoGradGuard no_grad;
      Tensor gradient = w.grad();
      gradient.mul_(lr);
      Tensor(w).sub_(gradient);
    }
    w.sum();
    return recorder.trace();
  };
  const Comparison found = compared(by_hand(0.5), by_hand(0.25));
  CHECK(found.differing > 0);
  CHECK(row(found, "w").value->absolute > 0);

  const auto scaled = [](double by) {
    const Tensor w = tensor({1.0, 2.0}).requires_grad_();
    trace::Recorder recorder({.program = "test"});
    recorder.name(w, "w");
    w.square().sum().backward();
    {
      const NoGradGuard no_grad;
      Tensor(w.grad()).mul_(by);
    }
    optim::SGD({w}, {.lr = 0.1}).zero_grad();
    return recorder.trace();
  };
  CHECK(row(compared(scaled(2), scaled(3)), "w").gradient->absolute == 4);
}
