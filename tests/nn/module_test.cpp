#include <doctest/doctest.h>

#include <algorithm>
#include <memory>
#include <sstream>

#include <retrace/autograd/autograd.h>
#include <retrace/nn/nn.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

struct Block : nn::Module {
  nn::Linear up{4, 8}, down{8, 4, {.bias = false}};
  nn::LayerNorm norm{4};
  Block() {
    register_module("up", up);
    register_module("down", down);
    register_module("norm", norm);
  }
  Tensor forward(const Tensor& x) { return x + down(gelu(up(norm(x)))); }
};

struct Net : nn::Module {
  std::vector<Block> blocks{2};
  nn::Dropout dropout{0.5};
  Tensor scale = register_parameter("scale", ones({4}));
  Tensor steps = register_buffer("steps", zeros({1}));
  Net() {
    for (std::size_t i = 0; i < blocks.size(); ++i)
      register_module("block" + std::to_string(i), blocks[i]);
    register_module("dropout", dropout);
  }
  Tensor forward(Tensor x) {
    for (auto& block : blocks) x = block.forward(x);
    return dropout(x) * scale;
  }
};

template <class Dict>
std::vector<std::string> names_of(const Dict& dict) {
  std::vector<std::string> names;
  for (const auto& [name, value] : dict) names.push_back(name);
  return names;
}
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("names in order: a module's own tensors before those of its parts") {
  const Net net;
  CHECK(names_of(net.named_parameters()) ==
        Names{"scale", "block0.up.weight", "block0.up.bias", "block0.down.weight",
              "block0.norm.weight", "block0.norm.bias", "block1.up.weight", "block1.up.bias",
              "block1.down.weight", "block1.norm.weight", "block1.norm.bias"});
  CHECK(net.parameters().size() == 11);
  CHECK(names_of(net.named_buffers()) == Names{"steps"});
  CHECK(names_of(net.named_modules()) == Names{"", "block0", "block0.up", "block0.down",
                                               "block0.norm", "block1", "block1.up", "block1.down",
                                               "block1.norm", "dropout"});
  CHECK(net.named_parameters().at("block1.up.weight").is_same(net.blocks[1].up.weight));
  CHECK(net.named_modules().at("block1.norm").is_same(net.blocks[1].norm));
}

TEST_CASE("parameters want gradients, buffers do not") {
  Net net;
  net.eval();
  net.forward(randn({3, 4})).sum().backward();
  for (const Tensor& p : net.parameters()) CHECK(p.grad().defined());
  CHECK(!net.steps.requires_grad());
  net.zero_grad();
  for (const Tensor& p : net.parameters()) CHECK(!p.grad().defined());
  net.requires_grad_(false);
  CHECK(!net.forward(randn({3, 4})).requires_grad());
  net.requires_grad_();
  CHECK(net.scale.requires_grad());
}

TEST_CASE("paths") {
  Net net;
  CHECK(net.path().empty());
  CHECK(net.blocks[1].path() == "block1");
  CHECK(net.blocks[1].norm.path() == "block1.norm");
  const nn::LayerNorm copy = net.blocks[0].norm;
  CHECK(copy.path() == "block0.norm");
  CHECK(copy.type_name() == "LayerNorm");
  CHECK(net.type_name() == "Net");
  CHECK(net.named_modules().at("block0").type_name() == "Block");
  CHECK(net.named_modules().at("").type_name() == "Net");
}

TEST_CASE("a path begins at the outermost module that is still there") {
  Block block;
  {
    Net net;
    net.register_module("extra", block);
    CHECK(block.up.path() == "extra.up");
  }
  CHECK(block.up.path() == "up");
  Net second;
  second.register_module("again", block);
  CHECK(block.up.path() == "again.up");
}

TEST_CASE("errors name the module that they come from") {
  Net net;
  CHECK(message_of<ShapeError>([&] { net.forward(randn({3, 5})); }).starts_with("block0.norm: "));
  const std::string message = message_of<ShapeError>([&] { net.blocks[1].down(randn({3, 5})); });
  CHECK(message.starts_with("block1.down: "));
  CHECK(says(message, "[3, 5]"));
  const std::string by_hand = message_of<ShapeError>([&] {
    const nn::Scope scope(net.blocks[0]);
    ones({2}) + ones({3});
  });
  CHECK(by_hand.starts_with("block0: "));
  CHECK(message_of<ShapeError>([] { ones({2}) + ones({3}); }).starts_with("add"));
}

TEST_CASE("bad names are refused") {
  Net net;
  const auto refused = [](auto f) { return message_of<ValueError>(f); };
  CHECK(says(refused([&] { net.register_parameter("", ones({1})); }), "empty"));
  CHECK(says(refused([&] { net.register_parameter("a.b", ones({1})); }), "\"a.b\" has a dot"));
  CHECK(says(refused([&] { net.register_buffer("", ones({1})); }), "empty"));
  CHECK(says(refused([&] { net.register_module("a.b", Block()); }), "a dot"));
  // Names are shared by parameters, buffers and modules.
  for (const char* taken : {"scale", "steps", "block0"}) {
    CHECK(says(refused([&] { net.register_parameter(taken, ones({1})); }), "is taken"));
    CHECK(says(refused([&] { net.register_buffer(taken, ones({1})); }), "is taken"));
    CHECK(says(refused([&] { net.register_module(taken, Block()); }), "is taken"));
  }
  CHECK(names_of(net.state_dict()).size() == 12);
}

TEST_CASE("bad tensors are refused") {
  nn::Module module;
  CHECK(!message_of<ValueError>([&] { module.register_parameter("a", {}); }).empty());
  CHECK(!message_of<ValueError>([&] { module.register_buffer("a", {}); }).empty());
  CHECK(
      !message_of<DTypeError>([&] { module.register_parameter("a", zeros({1}, kInt64)); }).empty());
  Tensor leaf = ones({1}).requires_grad_();
  CHECK(!message_of<AutogradError>([&] { module.register_parameter("a", leaf * 2.0); }).empty());
  CHECK(says(message_of<AutogradError>([&] { module.register_buffer("a", leaf); }),
             "register_buffer: \"a\" of shape [1] wants a gradient"));
  CHECK(!message_of<AutogradError>([&] { module.register_buffer("a", leaf * 2.0); }).empty());
  CHECK(module.buffers().empty());
  CHECK(module.state_dict().empty());
  module.register_parameter("a", zeros({1}, kInt64), false);
  CHECK(module.parameters().size() == 1);
}

TEST_CASE("a module cannot be below itself") {
  Net net;
  CHECK(says(message_of<ValueError>([&] { net.register_module("self", net); }), "below itself"));
  CHECK(!message_of<ValueError>([&] { net.blocks[0].up.register_module("top", net); }).empty());
  CHECK(net.named_modules().size() == 10);
}

TEST_CASE("tied parameters and shared modules count once") {
  struct Tied : nn::Module {
    nn::Embedding tokens{5, 3};
    nn::Linear head{tokens.weight};
    nn::Linear shared{2, 2};
    Tied() {
      register_module("tokens", tokens);
      register_module("head", head);
      register_module("a", shared);
      register_module("b", shared);
    }
  };
  Tied tied;
  CHECK(names_of(tied.named_parameters()) == Names{"tokens.weight", "a.weight", "a.bias"});
  CHECK(names_of(tied.state_dict()) ==
        Names{"tokens.weight", "head.weight", "a.weight", "a.bias", "b.weight", "b.bias"});
  const StateDict state = tied.state_dict();
  CHECK(state.at("tokens.weight").is_same(state.at("head.weight")));
  CHECK(tied.shared.path() == "a");
  CHECK(names_of(tied.named_modules()) == Names{"", "tokens", "head", "a"});
}

TEST_CASE("train and eval reach every module below") {
  Net net;
  CHECK(net.is_training());
  net.eval();
  for (auto& [name, module] : net.named_modules()) CHECK(!module.is_training());
  net.blocks[1].train();
  CHECK(!net.is_training());
  CHECK(net.blocks[1].up.is_training());
  CHECK(!net.dropout.is_training());
}

TEST_CASE("an EvalGuard puts each module back into its own mode, wherever it is by then") {
  Net net;
  net.blocks[0].eval();
  net.blocks[0].norm.train();
  const nn::Module added = nn::Linear(2, 2), late = nn::Linear(2, 2);
  {
    const nn::EvalGuard eval(net);
    for (auto& [name, module] : net.named_modules()) CHECK(!module.is_training());
    // In front of the others, which all move up.
    net.blocks[0].register_module("added", added);
    net.blocks[0].up.register_module("late", late);
  }
  CHECK(net.is_training());
  CHECK(!net.blocks[0].is_training());
  CHECK(!net.blocks[0].up.is_training());
  CHECK(!net.blocks[0].down.is_training());
  CHECK(net.blocks[0].norm.is_training());
  CHECK(net.blocks[1].is_training());
  CHECK(net.blocks[1].norm.is_training());
  CHECK(net.dropout.is_training());
  CHECK(added.is_training());
  net.blocks[1].set_training(false);
  CHECK(!net.blocks[1].is_training());
  CHECK(net.blocks[1].up.is_training());
}

TEST_CASE("a frozen parameter stays so where it is tied") {
  nn::Embedding tokens(5, 3);
  tokens.requires_grad_(false);
  const nn::Linear head(tokens.weight);
  CHECK_FALSE(tokens.weight.requires_grad());
  CHECK(head.weight.is_same(tokens.weight));
  tokens.requires_grad_();
  CHECK(nn::Linear(tokens.weight).weight.requires_grad());
  CHECK(nn::Linear(ones({2, 3}), ones({2})).bias.requires_grad());
}

TEST_CASE("to converts floating tensors for all handles") {
  Net net;
  net.register_buffer("count", zeros({1}, kInt64));
  const nn::Linear copy = net.blocks[0].up;
  const Tensor before = copy.weight.detach().clone();
  net.forward(randn({2, 4})).sum().backward();
  net.to(kFloat64);
  CHECK(copy.weight.dtype() == kFloat64);
  CHECK(copy.weight.detach().to(kFloat32).equal(before));
  CHECK(copy.weight.requires_grad());
  CHECK(!copy.weight.grad().defined());
  CHECK(net.steps.dtype() == kFloat64);
  CHECK(net.named_buffers().at("count").dtype() == kInt64);
  CHECK(net.forward(randn({2, 4}, kFloat64)).dtype() == kFloat64);
  CHECK(!message_of<DTypeError>([&] { net.to(kInt64); }).empty());
  CHECK(copy.weight.dtype() == kFloat64);
}

TEST_CASE("a refused to converts nothing") {
  Net net;
  net.steps.add_(ones({1}).requires_grad_());  // on the tape, after it was registered
  CHECK(says(message_of<AutogradError>([&] { net.to(kFloat64); }),
             "to: \"steps\" of shape [1] was computed on the tape"));
  for (const Tensor& parameter : net.parameters()) CHECK(parameter.dtype() == kFloat32);
}

TEST_CASE("apply reaches every module, parents first") {
  Net net;
  Names types;
  net.apply([&](nn::Module& module) {
    types.push_back(module.type_name());
    if (module.type_name() == "Linear") {
      for (const Tensor& p : module.parameters()) nn::init::constant_(p, 7);
    }
  });
  CHECK(types == Names{"Net", "Block", "Linear", "Linear", "LayerNorm", "Block", "Linear", "Linear",
                       "LayerNorm", "Dropout"});
  CHECK(net.blocks[1].down.weight.equal(full({4, 8}, 7)));
  CHECK(net.blocks[1].norm.weight.equal(ones({4})));
}

// Handles ---------------------------------------------------------------------------------------

TEST_CASE("a copy is the same module") {
  Net net;
  Net copy = net;
  CHECK(copy.is_same(net));
  copy.eval();
  CHECK(!net.is_training());
  nn::init::constant_(copy.scale, 3);
  CHECK(net.scale.equal(full({4}, 3)));
  const nn::Module sliced = net;
  CHECK(sliced.parameters().size() == 11);
  CHECK(sliced.type_name() == "Module");
  net.summary();
  CHECK(sliced.type_name() == "Net");
}

TEST_CASE("a module that was moved from is refused") {
  Net net;
  const std::string path = net.blocks[0].path();
  Net moved = std::move(net);
  CHECK(moved.parameters().size() == 11);
  CHECK(moved.blocks[0].path() == path);
  // NOLINTBEGIN(bugprone-use-after-move)
  CHECK(says(message_of<ValueError>([&] { net.parameters(); }), "moved from"));
  CHECK(!message_of<ValueError>([&] { net.register_parameter("a", ones({1})); }).empty());
  CHECK(!message_of<ValueError>([&] { moved.register_module("a", net); }).empty());
  CHECK(!message_of<ValueError>([&] { net.summary(); }).empty());
  CHECK(net.path().empty());
  nn::Linear linear{2, 2}, other = std::move(linear);
  CHECK(!message_of<ValueError>([&] { linear(ones({1, 2})); }).empty());
  linear = other;
  CHECK(linear(ones({1, 2})).equal(other(ones({1, 2}))));
  // NOLINTEND(bugprone-use-after-move)
}

TEST_CASE("modules in containers that grow and shrink") {
  struct Stack : nn::Module {
    std::vector<nn::Linear> layers;
    Stack() {
      for (int i = 0; i < 20; ++i) {
        layers.emplace_back(3, 3);
        register_module(std::to_string(i), layers.back());
      }
    }
  };
  Stack stack;
  for (std::size_t i = 0; i < stack.layers.size(); ++i) {
    CHECK(stack.layers[i].path() == std::to_string(i));
    CHECK(
        stack.named_parameters().at(std::to_string(i) + ".weight").is_same(stack.layers[i].weight));
  }
  stack.layers.erase(stack.layers.begin());
  CHECK(stack.layers[0].path() == "1");
  stack.layers.clear();
  CHECK(stack.parameters().size() == 40);
}

TEST_CASE("parents, parts, copies, parameters and graphs may go in any order") {
  int order[] = {0, 1, 2, 3, 4};
  do {
    auto net = std::make_unique<Net>();
    auto part = std::make_unique<nn::Linear>(net->blocks[0].up);
    auto copy = std::make_unique<nn::Module>(*net);
    Tensor parameter = part->weight;
    net->eval();
    Tensor loss = net->forward(ones({1, 4})).sum();
    for (const int victim : order) {
      if (part) CHECK((part->path() == "block0.up" || part->path().empty()));
      if (copy) CHECK(copy->parameters().size() == 11);
      if (victim == 0) net.reset();
      if (victim == 1) part.reset();
      if (victim == 2) copy.reset();
      if (victim == 3) parameter = {};
      if (victim == 4) {
        loss.backward();
        loss = {};
      }
    }
  } while (std::next_permutation(std::begin(order), std::end(order)));
}

TEST_CASE("a part that outlives its parent is complete") {
  nn::Linear part = [] { return Net().blocks[1].up; }();
  CHECK(part.path() == "");
  CHECK(part(ones({1, 4})).sizes() == Shape({1, 8}));
  CHECK(part.parameters().size() == 2);
}

TEST_CASE("register_module gives back what it was given") {
  struct Inline : nn::Module {
    nn::Linear fc = register_module("fc", nn::Linear(2, 3));
  };
  const Inline module;
  CHECK(module.fc.path() == "fc");
  CHECK(module.named_parameters().at("fc.bias").is_same(module.fc.bias));
}

// Summary ---------------------------------------------------------------------------------------

TEST_CASE("the summary is a tree with sizes and numbers of parameters") {
  std::ostringstream out;
  out << Net();
  CHECK(out.str() ==
        R"(Net(                                                            164
  (scale): float32 [4]                                            4
  (steps): float32 [1] buffer
  (block0): Block(                                               80
    (up): Linear(in_features=4, out_features=8, bias=true)       40
    (down): Linear(in_features=8, out_features=4, bias=false)    32
    (norm): LayerNorm([4], eps=1e-05, elementwise_affine=true)    8
  )
  (block1): Block(                                               80
    (up): Linear(in_features=4, out_features=8, bias=true)       40
    (down): Linear(in_features=8, out_features=4, bias=false)    32
    (norm): LayerNorm([4], eps=1e-05, elementwise_affine=true)    8
  )
  (dropout): Dropout(p=0.5)
)
164 parameters, 164 trainable, 656 bytes)");
}
