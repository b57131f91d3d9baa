#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include <fmt/format.h>

#include <retrace/retrace.h>
#include <retrace/tests/files.h>
#include <retrace/trace/numbers.h>

using namespace retrace;
using namespace retrace::testing;
using trace::Trace;

namespace {

constexpr const char* kOddName = "w \"quoted\" </script><b> \\ \n\x01 süß 重み";

Trace small_trace() {
  trace::Recorder recorder({.program = "test"});
  recorder.training_step(1);
  const Tensor w = tensor({{0.1, -2.5}, {1e-30, 3.0}}).requires_grad_();
  const Tensor b = tensor({0.0, -0.0}).requires_grad_();
  recorder.name(w, kOddName);
  optim::SGD optimizer({w, b}, {.lr = 0.1, .momentum = 0.9});
  for (int i = 0; i < 2; ++i) {
    optimizer.zero_grad();
    (relu(w) + b).mean().backward();
    nn::utils::clip_grad_norm_({w, b}, 1e-3);
    optimizer.step();
  }
  return recorder.trace();
}

std::string refusal(const std::string& json) {
  return message_of<IoError>([&] { Trace::parse(json, "t.json"); });
}

std::string with(std::string json, const std::string& old, const std::string& now) {
  const std::size_t at = json.find(old);
  REQUIRE(at != std::string::npos);
  return json.replace(at, old.size(), now);
}

}  // namespace

TEST_CASE("a trace comes back from its file as it was, and the same run gives the same bytes") {
  const TemporaryFolder folder;
  const Trace trace = small_trace();
  const std::string path = folder / "trace.json";
  trace.save(path);
  CHECK(contents_of(path) == trace.json());
  CHECK(folder.files() == 1);
  const Trace again = Trace::load(path);
  CHECK(again.json() == trace.json());
  // Nodes are counted through a whole process, of which this is the second run.
  const auto uncounted = [](Trace each) {
    for (trace::Node& node : each.nodes) node.number = 0;
    return each.json();
  };
  CHECK(uncounted(small_trace()) == uncounted(trace));
  CHECK(again.events.size() == trace.events.size());
  CHECK(again.program == "test");
  REQUIRE(again.numbers.size() == trace.numbers.size());
  for (std::size_t i = 0; i < trace.numbers.size(); ++i)
    CHECK(again.numbers[i].values.equal(trace.numbers[i].values));
}

TEST_CASE("a name may hold anything, and nothing of it can end a script") {
  const Trace trace = small_trace();
  const std::string json = trace.json();
  CHECK(json.find('<') == std::string::npos);
  CHECK(Trace::parse(json, "t").nodes[0].name == kOddName);
  trace::Recorder recorder;
  const Tensor x = ones({1}).requires_grad_();
  recorder.name(x, "broken \xff\xc3");
  x.exp();
  CHECK(Trace::parse(recorder.trace().json(), "t").nodes[0].name ==
        "broken \xef\xbf\xbd\xef\xbf\xbd");
}

TEST_CASE("what is no whole trace of this version is refused, and why") {
  const std::string json = small_trace().json();
  CHECK(says(refusal(""), "t.json: not a trace of Retrace"));
  CHECK(says(refusal("{}"), "t.json: not a trace of Retrace: there is no \"format\""));
  CHECK(says(refusal("[1, 2]"), "not a trace"));
  CHECK(says(refusal("{\"format\": \"retrace-trace\", \"version\": 1,}"), "broken JSON at byte"));
  CHECK(says(refusal("{\"format\": \"retrace-trace\", \"format\": \"retrace-trace\"}"),
             "\"format\" comes twice in one object"));
  CHECK(says(refusal(json.substr(0, json.size() / 2)), "cut off after"));
  CHECK(says(refusal(with(json, "\"version\":1", "\"version\":7")),
             "a trace of version 7, this build reads version 1"));
  CHECK(says(refusal(with(json, "\"event\":\"computed\",\"node\":0",
                          "\"event\":\"computed\",\"node\":99")),
             "events[1].node: refers to node 99, which is not there; there are"));
  CHECK(says(refusal(with(json, "\"value\":0", "\"value\":-1")), "refers to numbers -1"));
  CHECK(says(refusal(with(json, "\"inputs\":[0]", "\"inputs\":[3]")), "inputs: refers to node 3"));
  CHECK(says(refusal(with(json, "\"event\":\"seed\"", "\"event\":\"dance\"")),
             "the event \"dance\" is none that this build knows"));
  CHECK(says(refusal(with(json, "\"input\":0", "\"input\":5")), "has 1 inputs"));
  CHECK(says(refusal(with(json, "\"shape\":[2,2]", "\"shape\":[2,-2]")), "is no shape"));
  CHECK(says(refusal(with(json, "\"dtype\":\"float32\"", "\"dtype\":\"float8\"")), "float8"));
  CHECK(says(refusal(with(json, "\"values\":\"", "\"values\":\"x ")), "is not a float32"));
  CHECK(says(refusal(with(json, "\"values\":\"", "\"values\":\"1 ")), "numbers"));
  CHECK(says(refusal(with(json, "\"complete\":true,", "")).empty() ? "ok" : "refused", "ok"));
  CHECK(says(refusal(with(json, "\"ops\":[", "\"ops\":7,\"oops\":[")),
             "trace.ops: there is no list"));
  CHECK(says(message_of<IoError>([] { Trace::load("/no/such/trace.json"); }),
             "/no/such/trace.json: "));
}

TEST_CASE("what no run can have computed is refused, and members that are not known") {
  const std::string json = small_trace().json();
  const auto refused = [&](const std::string& old, const std::string& now, std::string_view why) {
    CAPTURE(now);
    const std::string message = refusal(with(json, old, now));
    CHECK_MESSAGE(says(message, why), message);
  };
  refused("\"number\":", "\"number\":-", "trace.nodes[1].number: -");
  refused("\"step\":1", "\"step\":-7", ".step: -7 is no whole number from 0 to");
  refused("{\"shape\":[2],\"dtype\":\"float32\",",
          "{\"inputs\":[0],\"shape\":[2],\"dtype\":\"float32\",",
          "trace.nodes[2].inputs: there is no \"op\" that has them");
  refused("\"node\":1,\"value\":1", "\"node\":1,\"value\":2",
          "trace.events[2].value: is [2], and node 1 is [2, 2]");
  refused("\"computed\",\"node\":2", "\"computed\",\"node\":0",
          "node: 0 is computed a second time");
  refused("\"upstream\":[4],\"gradient\":5", "\"upstream\":[4],\"gradient\":4",
          "trace.events[7].gradient: is [], and node 3 is [2, 2]");
  refused("\"accumulation\",\"node\":1,", "\"accumulation\",\"node\":5,",
          "trace.events[10].node: is 5, and input 0 of node 3 is 1");
  refused("\"in_grad\":true", "\"in_gradd\":true",
          "the member \"in_gradd\" is none that this build knows there");
  refused("\"version\":1", "\"version\":1,\"more\":1", "trace: the member \"more\" is none");
  refused("\"kept\":[{", "\"kept\":[{\"more\":1,", ".kept[0]: the member \"more\" is none");
  refused("\"values\":\"0 -0\"", "\"values\":\"0 -0 \"", "there are 3 numbers or more");
  for (const char* word : {"nan", "-NaN", "nan(abc)", "inf", "infinity", "1e999"})
    refused("\"values\":\"0 -0\"", fmt::format("\"values\":\"0 {}\"", word), "is not a float32");
}

TEST_CASE("a summary that no numbers have is refused") {
  trace::Recorder recorder({.elements = 1, .corner = 1, .program = "test"});
  tensor({0.5, -2.0, 4.0}).sum();
  const std::string json = recorder.trace().json();
  for (const char* count : {"-9", "4", "0.5"})
    CHECK(says(refusal(with(json, "\"non_finite\":0", std::string("\"non_finite\":") + count)),
               "is no whole number from 0 to 3"));
  CHECK(says(refusal(with(json, "\"min\":-2", "\"min\":5")),
             "numbers[0]: there are no numbers from 5 to 4 with the norm"));
  CHECK(says(refusal(with(json, "\"norm\":", "\"norm\":-")), "with the norm -"));
}

TEST_CASE("of any number of inputs a text tells those that it speaks of") {
  const trace::Op cat{"cat", "y = x0, x1, ... along a dim", "dxk = g where xk lies", false};
  using Spoken = std::map<std::size_t, std::string>;
  CHECK(trace::spoken_of(cat, cat.formula, 3) == Spoken{{0, "x0"}, {1, "x1"}});
  CHECK(trace::spoken_of(cat, "y = max1 x12", 20) == Spoken{{12, "x12"}});
  const trace::Op linear{"linear", "y = x Wᵀ + b", "dx = g W, dW = gᵀ x, db = Σ g", false};
  CHECK(trace::spoken_of(linear, "dW = gᵀ x", 3) == Spoken{{0, "x"}, {1, "W"}});
  CHECK(trace::letter_of(linear, 2, 3) == "b");
  CHECK(trace::letter_of(cat, 2, 3) == "x2");
  CHECK(trace::letter_of({"exp", "y = eˣ", "", true}, 0, 1) == "x");
}

TEST_CASE("the hash of what is not kept comes back, and may be missing") {
  trace::Recorder recorder({.elements = 1, .corner = 1, .program = "test"});
  tensor({0.5, -2.0, 4.0}).sum();
  const std::string json = recorder.trace().json();
  const std::optional<std::uint64_t> hash = recorder.trace().numbers.at(0).hash;
  REQUIRE(hash.has_value());
  const std::string member = ",\"hash\":\"" + trace::hash_text(*hash) + '"';
  CHECK(Trace::parse(json, "t").numbers[0].hash == hash);
  CHECK(Trace::parse(json, "t").json() == json);
  const std::string bare = with(json, member, "");
  CHECK(!Trace::parse(bare, "t").numbers[0].hash.has_value());
  CHECK(Trace::parse(bare, "t").json() == bare);
  for (const char* wrong : {"\"\"", "\"12\"", "\"0123456789ABCDEF\"", "\"+123456789abcdef\"",
                            "\"0123456789abcdef0\"", "\"0123456789abcdeg\""})
    CHECK(says(refusal(with(json, member, std::string(",\"hash\":") + wrong)),
               "numbers[0].hash: " + std::string(wrong) + " is not 16 of the digits 0 to f"));
  CHECK(says(refusal(with(json, member, ",\"hash\":12")), "numbers[0].hash: there is no text"));
}

TEST_CASE("a hash is what docs/trace.md says, on every machine") {
  const auto hash = [](const Tensor& x) { return trace::hash_text(trace::hash_of(x)); };
  const double nan = std::nan("");
  CHECK(hash(zeros({0})) == "9e3779b97f4a7c15");
  CHECK(hash(tensor({0.5, -2.0, nan})) == "0f623ee4748d48fa");
  CHECK(hash(tensor({0.5, -2.0, -nan})) == "0f623ee4748d48fa");
  CHECK(hash(tensor({0.5, -2.0, nan}, kFloat64)) == "7f8f7cd8b62e4dce");
  CHECK(hash(tensor({1, -2, 3})) == "a066b2b962751b3f");
  CHECK(hash(tensor({1, 0, 1}, kBool)) == "89eedf17cb27f266");
  CHECK(hash(tensor({0.0})) != hash(tensor({-0.0})));
}

TEST_CASE("a shape that nobody has the memory for costs none") {
  const std::string json = small_trace().json();
  const std::string huge =
      with(json, "\"numbers\":[\n{\"shape\":[2,2]", "\"numbers\":[\n{\"shape\":[1048576,1048576]");
  CHECK(says(refusal(huge), "there cannot be 1099511627776 numbers in"));
  CHECK(says(refusal(with(json, "\"shape\":[2,2]", "\"shape\":[9223372036854775807,9]")),
             "is no shape"));
  CHECK(says(refusal(std::string(100'000, '[')), "not a trace"));
  CHECK(says(refusal(with(json, "\"shape\":[2,2]", "\"shape\":[0,1099511627776,1099511627776]")),
             "is no shape"));
  // Nor is a tensor without elements told row by row.
  trace::Numbers none;
  none.sizes = {1'000'000'000, 0};
  none.values = empty(none.sizes);
  CHECK(trace::brief(none) == "[]");
  CHECK(trace::table(none) == "float32 [1000000000, 0]");
}

TEST_CASE("what is wrong with a trace is said in a short line, whatever it holds") {
  const std::string json = small_trace().json();
  const std::string odd = "\\n" + std::string(5000, 'x');
  for (const auto& [old, now] : {std::pair("\"event\":\"seed\"", "\"event\":\"" + odd + '"'),
                                 std::pair("\"values\":\"", "\"values\":\"" + odd),
                                 std::pair("\"dtype\":\"float32\"", "\"dtype\":\"" + odd + '"')}) {
    const std::string message = refusal(with(json, old, now));
    CHECK_MESSAGE((message.size() < 300 && message.find('\n') == std::string::npos), message);
  }
}

TEST_CASE("of broken bytes nothing worse comes than a refusal") {
  const std::string json = small_trace().json();
  std::uint64_t random = 1;
  const auto below = [&random](std::size_t n) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::size_t>(random >> 33) % n;
  };
  int read = 0, refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string broken = json;
    for (std::size_t k = 0; k <= below(3); ++k) {
      const std::size_t at = below(broken.size());
      switch (below(4)) {
        case 0:
          broken[at] = static_cast<char>(below(256));
          break;
        case 1:
          broken.erase(at, below(20));
          break;
        case 2:
          broken.insert(at, std::string(1, "0123456789-,[]{}\"n"[below(18)]));
          break;
        default:
          std::swap(broken[at], broken[below(broken.size())]);
      }
    }
    try {
      const Trace trace = Trace::parse(broken, "t");
      const trace::Story story(trace);
      for (std::size_t k = 0; k < story.size(); ++k) read += story.text(k).empty() ? 0 : 1;
    } catch (const IoError&) {
      ++refused;
    }
  }
  CHECK(read > 100);
  CHECK(refused > 1000);
}

TEST_CASE("a state is that after its events, forwards and backwards") {
  const Trace trace = small_trace();
  std::vector<std::vector<trace::NodeState>> states(
      1, std::vector<trace::NodeState>(trace.nodes.size()));
  for (const trace::Event& event : trace.events) {
    states.push_back(states.back());
    trace::replay(event, states.back());
  }
  trace::State state(trace);
  const auto check_at = [&](std::size_t k) {
    state.go_to(k);
    CHECK(state.position() == k);
    for (trace::Id node = 0; node < trace.nodes.size(); ++node) {
      CHECK(state.of(node).value == states[k][node].value);
      CHECK(state.of(node).upstream == states[k][node].upstream);
      CHECK(state.of(node).grad == states[k][node].grad);
    }
  };
  for (std::size_t k = 0; k <= trace.events.size(); ++k) check_at(k);
  for (std::size_t k = trace.events.size() + 1; k-- > 0;) check_at(k);
}

TEST_CASE("the parts of a gradient text belong to the inputs, with what they speak of") {
  const trace::Op norm{"norm", "n = (x - m) / s, y = n · w + b",
                       "h = g · w, dx = (h - mean(h)) / s, dw = Σ g · n, db = Σ g", false};
  CHECK(trace::letters(norm, 3) == std::vector<std::string>{"x", "w", "b"});
  CHECK(trace::rule_of(norm, 0, 3) == "h = g · w, dx = (h - mean(h)) / s");
  CHECK(trace::rule_of(norm, 1, 3) == "dw = Σ g · n");
  CHECK(trace::letters(norm, 2).empty());
  CHECK(trace::rule_of(norm, 0, 2) == norm.gradient);
  const trace::Op linear{"linear", "y = x Wᵀ + b", "dx = g W, dW = gᵀ x, db = Σ g", false};
  CHECK(trace::letters(linear, 3) == std::vector<std::string>{"x", "W", "b"});
  CHECK(trace::rule_of(linear, 1, 3) == "dW = gᵀ x");
  CHECK(trace::letters({"op", "y = x", "none", false}, 1).empty());
}

TEST_CASE("a step calls the result y, and tells an element that says something") {
  trace::Recorder recorder;
  const Tensor x = tensor({{-1.0, 2.0}, {3.0, -4.0}}).requires_grad_();
  relu(layer_norm(x, {2}, ones({2}), zeros({2}))).sum().backward();
  const Trace trace = recorder.trace();
  const trace::Story story(trace);
  std::string all;
  for (std::size_t k = 0; k < story.size(); ++k) all += story.text(k) + "\n";
  CHECK(!says(all, "  n = ["));
  CHECK(says(all, "Element [0, 1] of g · dy/dx: 1 · 1 = 1"));
}
