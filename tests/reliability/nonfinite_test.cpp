// Faults that make numbers which are none, each at another op or in another place, and what
// AnomalyMode reports of them.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <retrace/retrace.h>
#include <retrace/tests/figures.h>
#include <retrace/tests/files.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <functional>
#include <limits>
#include <regex>
#include <set>

using namespace retrace;
using testing::message_of;

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const double kNaN = std::numeric_limits<double>::quiet_NaN();

using Function = std::function<Tensor(const Tensor&)>;

struct Probe : nn::Module {
  Function f;
  Tensor forward(const Tensor& x) const {
    const nn::Scope scope(*this);
    return f(x);
  }
};

/// y = probe(in(x)), whose probe is where a fault is put.
struct Net : nn::Module {
  nn::Linear in{2, 2};
  Probe probe;
  Net() {
    register_module("in", in);
    register_module("probe", probe);
    probe.f = [](const Tensor& x) { return x; };
  }
  Tensor forward(const Tensor& x) const { return probe.forward(in(x)); }
};

/// The gradient of this op of one's own is 0 / 0.
struct Own final : NodeOf<Own> {
  static constexpr std::string_view op = "own", formula = "y = x", gradient = "dx = 0 / 0";
  void backward(const Tensor& g, Gradients& gradients) override { gradients.give(0, g * kNaN); }
};

enum class Watch { nan, infinities };

struct Fault {
  std::string what;
  std::string begin;  ///< of the report: the place, the way and the op
  Watch watch;
  std::function<void(Net&, optim::Optimizer&)> run;
};

Tensor input() { return tensor({{1.0, 2.0}}); }

/// Computed by an op in the probe: forward.
Fault in_probe(const char* what, const char* begin, Watch watch, Function f) {
  return {what, begin, watch, [f](Net& net, optim::Optimizer&) {
            net.probe.f = f;
            net.forward(input());
          }};
}

/// The gradient of an op in the probe, at `x`.
Fault going_back(const char* what, const char* begin, Watch watch, const NestedList& x,
                 Function f) {
  return {what, begin, watch, [x, f](Net& net, optim::Optimizer&) {
            const Tensor leaf = tensor(x).requires_grad_();
            net.probe.f = [&](const Tensor&) { return f(leaf); };
            net.forward(input()).sum().backward();
          }};
}

Tensor at(const NestedList& values) { return tensor(values); }

std::vector<Fault> forward_faults() {
  const auto constant = [](const char* what, const char* begin, Watch watch, auto f) {
    return in_probe(what, begin, watch, [f](const Tensor&) { return f(); });
  };
  using enum Watch;
  return {
      constant("log of -1", "probe: log: ", nan,
               [] {
                 return at({1.0, -1.0}).log();
               }),
      constant("0 / 0", "probe: div: ", nan,
               [] {
                 return at({1.0, 0.0}) / at({2.0, 0.0});
               }),
      constant("inf - inf", "probe: sub: ", nan, [] { return at({kInfinity}) - at({kInfinity}); }),
      constant("inf + -inf", "probe: add: ", nan,
               [] { return at({kInfinity}) + at({-kInfinity}); }),
      constant("0 * inf", "probe: mul: ", nan, [] { return at({0.0}) * at({kInfinity}); }),
      constant("sqrt of -1", "probe: sqrt: ", nan, [] { return at({-1.0}).sqrt(); }),
      constant("root of a negative", "probe: pow: ", nan, [] { return at({-8.0}).pow(1.0 / 3); }),
      constant("log1p of -2", "probe: log1p: ", nan, [] { return log1p(at({-2.0})); }),
      constant("rsqrt of -1", "probe: rsqrt: ", nan, [] { return rsqrt(at({-1.0})); }),
      constant("acos of 2", "probe: acos: ", nan, [] { return acos(at({2.0})); }),
      constant("sin of inf", "probe: sin: ", nan, [] { return sin(at({kInfinity})); }),
      constant("x mod 0", "probe: fmod: ", nan, [] { return fmod(at({1.0}), 0.0); }),
      constant("std of one", "probe: std: ", nan, [] { return at({3.0}).std(); }),
      constant("softmax of a masked row", "probe: softmax: ", nan,
               [] {
                 return at({{-kInfinity, -kInfinity}, {0.0, 1.0}}).softmax(-1);
               }),
      constant("layer_norm of inf", "probe: layer_norm: ", nan,
               [] {
                 return layer_norm(at({{1.0, kInfinity}}), {2});
               }),
      constant("exp overflows", "probe: exp: ", infinities,
               [] {
                 return at({1.0, 200.0}).exp();
               }),
      constant("a float32 product overflows", "probe: mul: ", infinities,
               [] { return at({1e30}) * at({1e30}); }),
      constant("a matrix product overflows", "probe: matmul: ", infinities,
               [] {
                 return at({{1e30, 1.0}}).matmul(at({{1e30}, {1.0}}));
               }),
      constant("a sum overflows", "probe: sum: ", infinities,
               [] {
                 return at({3e38, 3e38}).sum();
               }),
      constant("log of 0", "probe: log: ", infinities, [] { return at({0.0}).log(); }),
      constant("1 / 0", "probe: reciprocal: ", infinities, [] { return reciprocal(at({0.0})); }),
      constant("a running product overflows", "probe: cumprod: ", infinities,
               [] {
                 return cumprod(at({1e30, 1e30}), 0);
               }),
      constant("a mask of -inf", "probe: masked_fill: ", infinities,
               [] {
                 return at({1.0, 2.0}).masked_fill(tensor({true, false}), -kInfinity);
               }),
      constant("a loss in a module", "probe: mse_loss: ", infinities,
               [] { return losses::mse_loss(at({1e30}), at({-1e30})); }),
  };
}

std::vector<Fault> backward_faults() {
  using enum Watch;
  return {
      going_back("sqrt(0) * 0", "probe: backward of sqrt: ", nan, {0.0, 4.0},
                 [](const Tensor& x) { return x.sqrt() * 0.0; }),
      going_back("log(0) * 0", "probe: backward of log: ", nan, {0.0, 4.0},
                 [](const Tensor& x) { return where(x > 0, x.log(), 0.0); }),
      going_back("norm of inf", "probe: backward of norm: ", nan, {kInfinity, 1.0},
                 [](const Tensor& x) { return x.norm(); }),
      going_back("division by 0", "probe: backward of div: ", nan, {0.0},
                 [](const Tensor& x) { return where(x > 0, at({1.0}) / x, 0.0); }),
      going_back("pow(0, 0.5) * 0", "probe: backward of pow: ", nan, {0.0},
                 [](const Tensor& x) { return x.pow(0.5) * 0.0; }),
      going_back("exp(200) * 0", "probe: backward of exp: ", nan, {200.0},
                 [](const Tensor& x) { return where(x < 0, x.exp(), 0.0); }),
      going_back("asin(1) * 0", "probe: backward of asin: ", nan, {1.0},
                 [](const Tensor& x) { return asin(x) * 0.0; }),
      going_back(
          "an op of one's own", "probe: backward of own: ", nan, {1.0},
          [](const Tensor& x) { return record<Own>(x.detach().clone(), {&x}, [](Own&) {}); }),
      going_back("a hook's NaN", "probe: backward of square: ", nan, {1.0},
                 [](const Tensor& x) {
                   const Tensor y = x.square();
                   y.register_hook([](const Tensor& g) { return g * kNaN; });
                   return y * 2.0;
                 }),
      going_back("gradients of inf and -inf meet", "probe: backward of mul: ", nan, {1.0},
                 [](const Tensor& x) {
                   return where(x > 0, 0.0, x * kInfinity) + where(x > 0, 0.0, x * 1.0);
                 }),
      going_back("a gradient overflows", "probe: backward of mul: ", infinities, {1e-38},
                 [](const Tensor& x) { return x * 1e20 * 1e20; }),
      {"infinities of two passes meet in a leaf", "probe: backward of mul: ", nan,
       [](Net& net, optim::Optimizer&) {
         const Tensor x = at({1.0}).requires_grad_();
         net.probe.f = [&](const Tensor&) { return x * kInfinity; };
         net.forward(input()).backward(at({1.0}));
         net.forward(input()).backward(at({-1.0}));
       }},
  };
}

std::vector<Fault> faults_elsewhere() {
  using enum Watch;
  return {
      {"in the input", "in: linear: ", nan,
       [](Net& net, optim::Optimizer&) {
         net.forward(at({{1.0, kNaN}}));
       }},
      {"in a parameter", "in: linear: ", nan,
       [](Net& net, optim::Optimizer&) {
         net.in.bias.detach().fill_(kNaN);
         net.forward(input());
       }},
      {"in the optimizer's state", "in: linear: ", nan,
       [](Net& net, optim::Optimizer& optimizer) {
         StateDict state = optimizer.state_dict();
         state.at("0.momentum_buffer").fill_(kNaN);
         optimizer.load_state_dict(state);
         net.forward(input()).sum().backward();
         optimizer.step();
         net.forward(input());
       }},
      {"a layer's product overflows", "in: linear: ", infinities,
       [](Net& net, optim::Optimizer&) {
         net.in.weight.detach().fill_(10.0);
         net.forward(at({{3e38, 3e38}}));
       }},
      {"in the loss", "cross_entropy: ", nan,
       [](Net&, optim::Optimizer&) {
         losses::cross_entropy(at({{kInfinity, 0.0}}), tensor({0}));
       }},
      {"in the loss's gradient", "backward of mse_loss: ", infinities,
       [](Net&, optim::Optimizer&) {
         const Tensor x = at({0.9}).requires_grad_();
         (losses::mse_loss(x, at({0.0})) * 3e38).backward();
       }},
  };
}

// Empty when it says all there is to say.
std::string lacks(const Fault& fault, const std::string& message) {
  if (!message.starts_with(fault.begin)) return "another start";
  const bool back = testing::says(fault.begin, "backward of ");
  if (!testing::says(message, back ? "the gradient of input " : "the result ")) return "the way";
  if (!std::regex_search(message, std::regex(R"(is (NaN|-?inf) at element \d)")))
    return "the element";
  const std::string step = fmt::format("after {} optimizer step", optimizer_steps);
  if (!testing::says(message, step)) return step;
  // Of what went in: dtype, shape, least and most.
  if (!std::regex_search(message, std::regex(R"(float32 \[[\d, ]*\] from \S+ to \S+)")))
    return "a range";
#ifdef RETRACE_HAVE_LIBDW
  if (!testing::says(message, "nonfinite_test.cpp:")) return "the line";
#endif
  return "";
}

}  // namespace

TEST_CASE("C22: faults that make NaN and infinities are reported with op, place, step and ranges") {
  std::vector<Fault> faults = forward_faults();
  for (const auto& more : {backward_faults(), faults_elsewhere()})
    faults.insert(faults.end(), more.begin(), more.end());
  std::int64_t found = 0;
  std::set<std::string> begins;
  for (const Fault& fault : faults) {
    Net net;
    optim::SGD optimizer(net.parameters(), {.lr = 0.01, .momentum = 0.9});
    net.forward(input()).sum().backward();
    optimizer.step();  // a step without a fault
    optimizer.zero_grad();
    const std::string message = message_of<AutogradError>([&] {
      const AnomalyMode checks(true, fault.watch == Watch::infinities);
      fault.run(net, optimizer);
    });
    const std::string missing = lacks(fault, message);
    CHECK_MESSAGE(missing.empty(), fault.what << ": " << missing << ": " << message);
    found += missing.empty();
    begins.insert(fault.begin);
  }
  const auto all = static_cast<std::int64_t>(faults.size());
  CHECK(all >= 25);
  testing::figure("R60", "injected NaN and infinities reported with op, module, step and ranges",
                  testing::of(found, all) + " faults in " + std::to_string(begins.size()) +
                      " ops and places (of at least 25)",
                  found == all && all >= 25);
}

TEST_CASE("infinities are refused where they are asked for only") {
  const Tensor zero = tensor({0.0});
  {
    const AnomalyMode checks;
    CHECK_NOTHROW(zero.log());
    const AnomalyMode all(true, true);
    CHECK(testing::says(message_of<AutogradError>([&] { zero.log(); }), "is -inf at element 0"));
    const AnomalyMode some;
    CHECK_NOTHROW(zero.log());
  }
  CHECK_NOTHROW(zero.log());
}

TEST_CASE("values are found wherever they stand") {
  const AnomalyMode checks(true, true);
  for (const DType dtype : {kFloat32, kFloat64}) {
    for (std::int64_t n : {1, 7, 64, 1000}) {
      const Tensor most = full({n}, std::numeric_limits<float>::max(), dtype);
      CHECK_NOTHROW(most * 1.0);
      CHECK_NOTHROW(most * -1.0);
      CHECK_NOTHROW(most * 0.0);
      for (const std::int64_t i : {std::int64_t{0}, n / 2, n - 1}) {
        Tensor x = ones({n}, dtype);
        x[i] = kNaN;
        const std::string message = message_of<AutogradError>([&] { x * 2.0; });
        CHECK_MESSAGE(testing::says(message, fmt::format("is NaN at element {},", i)), message);
      }
    }
  }
}

TEST_CASE("what checks cost") {
  // Of one thread, so that what else runs on this machine does not count.
  const int threads = num_threads();
  set_num_threads(1);
  const auto processor_seconds = [] {
    timespec time{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  nn::Mlp net(256, 10, {.hidden = {256, 256}, .activation = &relu});
  optim::AdamW optimizer(net.parameters());
  const Tensor x = randn({256, 256}), target = randint(0, 10, {256});
  const auto seconds = [&](bool on) {
    const AnomalyMode checks(on);
    const double start = processor_seconds();
    for (int step = 0; step < 3; ++step) {
      optimizer.zero_grad();
      losses::cross_entropy(net(x), target).backward();
      optimizer.step();
    }
    return processor_seconds() - start;
  };
  std::vector<double> off, on;
  for (int i = 0; i < 31; ++i) {
    off.push_back(seconds(false));
    on.push_back(seconds(true));
  }
  set_num_threads(threads);
  const auto median = [](std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + 15, values.end());
    return values[15];
  };
  const double more = median(on) / median(off) - 1;
  CHECK(std::isfinite(more));  // how much is a figure, and no test
  testing::figure("R60", "what checks add to a step of a network of 256-256-256-10, batch 256",
                  fmt::format("{:.1f} % (of 30 %)", more * 100), more <= 0.3);
}
