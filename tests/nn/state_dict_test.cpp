#include <doctest/doctest.h>

#include <retrace/autograd/autograd.h>
#include <retrace/nn/nn.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/safetensors.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

struct Net : nn::Module {
  nn::Linear fc{3, 2};
  Tensor scale = register_parameter("scale", ones({2}));
  Tensor mean = register_buffer("mean", zeros({2}));
  Tensor mask = register_buffer("mask", ones({2}, kBool), false);
  Net() { register_module("fc", fc); }
};

struct Tied : nn::Module {
  nn::Embedding tokens{5, 3};
  nn::Linear head{tokens.weight};
  Tied() {
    register_module("tokens", tokens);
    register_module("head", head);
  }
};

}  // namespace

TEST_CASE("a state holds parameters and persistent buffers, detached, in the module's memory") {
  Net net;
  StateDict state = net.state_dict();
  CHECK(state.size() == 4);
  CHECK(!state.contains("mask"));
  CHECK(!state.at("fc.weight").requires_grad());
  state.at("fc.weight").fill_(2);
  CHECK(net.fc.weight.equal(full({2, 3}, 2)));
}

TEST_CASE("a loaded state is copied, and gives the same outputs") {
  Net a, b;
  const auto version = b.fc.weight.version();
  const nn::LoadResult result = b.load_state_dict(a.state_dict());
  CHECK(result.missing_keys.empty());
  CHECK(result.unexpected_keys.empty());
  const Tensor x = randn({4, 3});
  CHECK(a.fc(x).equal(b.fc(x)));
  CHECK(b.fc.weight.version() > version);
  nn::init::zeros_(a.fc.weight);
  CHECK(!a.fc.weight.equal(b.fc.weight));
  CHECK(b.fc.weight.requires_grad());
  CHECK(b.fc.weight.is_leaf());
}

TEST_CASE("loading its own state, or a transposed view of itself") {
  nn::Linear fc(3, 3, {.bias = false});
  const Tensor before = fc.weight.detach().clone();
  fc.load_state_dict(fc.state_dict());
  CHECK(fc.weight.equal(before));
  StateDict transposed;
  transposed["weight"] = fc.weight.detach().t();
  fc.load_state_dict(transposed);
  CHECK(fc.weight.equal(before.t()));
}

TEST_CASE("loading its own numbers exchanged: each is what it was given") {
  nn::Linear a(3, 3), b(3, 3);
  struct Pair : nn::Module {
    Pair(const nn::Linear& first, const nn::Linear& second) {
      register_module("a", first);
      register_module("b", second);
    }
  } pair(a, b);
  const Tensor first = a.weight.detach().clone(), second = b.weight.detach().clone();
  StateDict state = pair.state_dict();
  std::swap(state["a.weight"], state["b.weight"]);
  pair.load_state_dict(state);
  CHECK(a.weight.detach().equal(second));
  CHECK(b.weight.detach().equal(first));
}

TEST_CASE("a tensor that cannot be written to is found before anything is changed") {
  struct Odd : nn::Module {
    Tensor scale = register_parameter("scale", ones({2}));
    Tensor wide = register_buffer("wide", ones({1}).expand({2}));
  } odd;
  const StateDict state = {{"scale", zeros({2})}, {"wide", zeros({2})}};
  CHECK(says(message_of<ValueError>([&] { odd.load_state_dict(state); }),
             "cannot be written to: wide [2] is expanded"));
  CHECK(odd.scale.detach().equal(ones({2})));
}

TEST_CASE("everything that does not fit is in one error, and nothing is changed") {
  Net net;
  StateDict state = Net().state_dict();
  state.erase("scale");
  state.erase("mean");
  state["fc.weight"] = zeros({2, 4});
  state["fc.bias"] = zeros({2}, kFloat64);
  state["extra"] = zeros({1});
  state["fc"] = zeros({1});
  const StateDict live = net.state_dict();
  NamedTensors before;
  for (const auto& [name, tensor] : live) before[name] = tensor.clone();
  const std::string message = message_of<ValueError>([&] { net.load_state_dict(state); });
  CHECK(says(message, "load_state_dict: the state does not fit Net, nothing was loaded"));
  CHECK(says(message, "missing: scale"));
  CHECK(says(message, "missing: mean"));
  CHECK(says(message, "unexpected: extra"));
  CHECK(says(message, "unexpected: fc\n"));
  CHECK(says(message, "another shape: fc.weight is [2, 4], the module's [2, 3]"));
  CHECK(says(message, "another dtype: fc.bias [2] is float64, the module's float32"));
  for (const auto& [name, tensor] : before) CHECK(live.at(name).equal(tensor));
}

TEST_CASE("one wrong name is enough") {
  Net net;
  const Tensor before = net.fc.weight.detach().clone();
  StateDict state = Net().state_dict();
  state["mean"] = Tensor();
  CHECK(
      says(message_of<ValueError>([&] { net.load_state_dict(state, false); }), "undefined: mean"));
  state["mean"] = zeros({3});
  CHECK(says(message_of<ValueError>([&] { net.load_state_dict(state, false); }), "another shape"));
  CHECK(net.fc.weight.equal(before));
}

TEST_CASE("not strict, names are returned and the rest is loaded") {
  Net net;
  StateDict state;
  state["scale"] = full({2}, 5);
  state["fc.extra"] = zeros({1});
  const nn::LoadResult result = net.load_state_dict(state, false);
  CHECK(result.missing_keys == std::vector<std::string>{"mean", "fc.weight", "fc.bias"});
  CHECK(result.unexpected_keys == std::vector<std::string>{"fc.extra"});
  CHECK(net.scale.equal(full({2}, 5)));
}

TEST_CASE("of the names of a tied tensor one is enough") {
  Tied tied;
  StateDict state;
  state["head.weight"] = full({5, 3}, 2);
  tied.load_state_dict(state);
  CHECK(tied.tokens.weight.equal(full({5, 3}, 2)));
  CHECK(tied.head.weight.is_same(tied.tokens.weight));
  state["tokens.weight"] = full({5, 3}, 2);
  tied.load_state_dict(state);
  state["tokens.weight"] = full({5, 3}, 3);
  CHECK(says(message_of<ValueError>([&] { tied.load_state_dict(state); }),
             "not tied: tokens.weight and head.weight differ"));
  CHECK(tied.tokens.weight.equal(full({5, 3}, 2)));
  CHECK(says(message_of<ValueError>([&] { tied.load_state_dict({}); }), "missing: head.weight"));
}

TEST_CASE("through a file, tied tensors are stored once") {
  const testing::TemporaryFolder folder;
  const Tied tied;
  save_safetensors(folder / "tied", tied.state_dict());
  const StateDict state = load_safetensors(folder / "tied");
  CHECK(state.at("head.weight").is_same(state.at("tokens.weight")));
  Tied other;
  other.load_state_dict(state);
  CHECK(other.tokens.weight.equal(tied.tokens.weight));
}

TEST_CASE("loading into a module changed the version, so an older graph refuses to go back") {
  Net net;
  const Tensor loss = net.fc(randn({1, 3}).requires_grad_()).sum();
  net.load_state_dict(Net().state_dict());
  CHECK(!message_of<AutogradError>([&] { loss.backward(); }).empty());
}
