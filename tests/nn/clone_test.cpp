#include <doctest/doctest.h>

#include <map>
#include <optional>

#include <retrace/autograd/autograd.h>
#include <retrace/nn/nn.h>
#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>

using namespace retrace;

namespace {

struct Block : nn::Module {
  nn::Linear fc{4, 4};
  nn::Dropout dropout{0.25};
  Block() {
    register_module("fc", fc);
    register_module("dropout", dropout);
  }
  Tensor forward(const Tensor& x) { return x + dropout(fc(x)); }
};

// Holds its parts in every way that C++ copies.
struct Net : nn::Module {
  nn::Embedding tokens{7, 4};
  std::vector<Block> blocks{3};
  std::map<std::string, nn::Linear> heads;
  std::optional<nn::LayerNorm> norm{nn::LayerNorm(4)};
  nn::Sequential tail{nn::Linear(4, 4), nn::GELU(), Block(),
                      [](const Tensor& x) { return x * 2.0; }};
  nn::Linear logits{tokens.weight};
  Tensor scale = register_parameter("scale", ones({4}));
  Tensor frozen = register_parameter("frozen", ones({4}), false);
  Tensor count = register_buffer("count", zeros({1}, kInt64));
  Tensor mask = register_buffer("mask", ones({4}), false);
  int width = 4;

  Net() {
    register_module("tokens", tokens);
    for (std::size_t i = 0; i < blocks.size(); ++i)
      register_module("block" + std::to_string(i), blocks[i]);
    heads.emplace("a", nn::Linear(4, 4));
    heads.emplace("b", nn::Linear(4, 4, {.bias = false}));
    for (auto& [name, head] : heads) register_module("head_" + name, head);
    register_module("norm", *norm);
    register_module("tail", tail);
    register_module("logits", logits);
  }
  Tensor forward(const Tensor& index) {
    Tensor x = tokens(index) * scale * frozen * mask;
    for (auto& block : blocks) x = block.forward(x);
    for (auto& [name, head] : heads) x = x + head(x);
    return logits(tail((*norm)(x)));
  }
};

Tensor indices() { return tensor({0, 3, 6, 1}); }

}  // namespace

TEST_CASE("a clone computes the same with tensors of its own") {
  Net net;
  net.eval();
  net.blocks[1].train();
  net.count.fill_(3);
  Net copy = nn::clone(net);
  CHECK(!copy.is_same(net));
  CHECK(copy.width == 4);
  const NamedTensors mine = net.named_parameters(), theirs = copy.named_parameters();
  REQUIRE(mine.size() == theirs.size());
  auto other = theirs.begin();
  for (const auto& [name, tensor] : mine) {
    CHECK(name == other->first);
    CHECK(tensor.equal(other->second));
    CHECK(!tensor.is_same(other->second));
    CHECK(tensor.data_ptr<float>() != other->second.data_ptr<float>());
    CHECK(tensor.requires_grad() == other->second.requires_grad());
    CHECK(other->second.is_leaf());
    ++other;
  }
  CHECK(!copy.frozen.requires_grad());
  CHECK(copy.count.item<int>() == 3);
  CHECK(copy.blocks[1].is_training());
  CHECK(!copy.is_training());
  copy.eval();
  net.eval();
  CHECK(net.forward(indices()).equal(copy.forward(indices())));
}

TEST_CASE("members of a clone are its registered parts") {
  Net net, copy = nn::clone(net);
  const NamedTensors p = copy.named_parameters();
  CHECK(copy.scale.is_same(p.at("scale")));
  CHECK(copy.count.is_same(copy.named_buffers().at("count")));
  CHECK(copy.mask.is_same(copy.named_buffers().at("mask")));
  CHECK(copy.blocks[2].fc.weight.is_same(p.at("block2.fc.weight")));
  CHECK(copy.heads.at("b").weight.is_same(p.at("head_b.weight")));
  CHECK(copy.norm->bias.is_same(p.at("norm.bias")));
  CHECK(copy.blocks[2].fc.path() == "block2.fc");
  CHECK(copy.summary() == net.summary());
}

TEST_CASE("tied parameters stay tied in a clone") {
  Net net, copy = nn::clone(net);
  CHECK(copy.logits.weight.is_same(copy.tokens.weight));
  CHECK(!copy.logits.weight.is_same(net.logits.weight));
}

TEST_CASE("every handle that a clone computes with is its own") {
  Net net, copy = nn::clone(net);
  net.eval(), copy.eval();
  const Tensor before = net.forward(indices()).detach().clone();
  for (const Tensor& p : copy.parameters()) nn::init::constant_(p, 0.125);
  for (const Tensor& b : copy.buffers()) nn::init::constant_(b, 2);
  CHECK(net.forward(indices()).equal(before));
  CHECK(!copy.forward(indices()).equal(before));
  copy.forward(indices()).sum().backward();
  for (const Tensor& p : net.parameters()) CHECK(!p.grad().defined());
  for (const Tensor& p : copy.parameters()) CHECK(p.grad().defined() == p.requires_grad());
}

TEST_CASE("training a clone leaves the original alone, and the other way round") {
  manual_seed(1);
  Net net, copy = nn::clone(net);
  optim::SGD optimizer(copy.parameters(), {.lr = 0.1});
  net.eval(), copy.eval();
  const Tensor before = net.forward(indices()).detach().clone();
  copy.forward(indices()).square().sum().backward();
  optimizer.step();
  CHECK(net.forward(indices()).equal(before));
  CHECK(!copy.forward(indices()).equal(before));
}

TEST_CASE("gradients are not cloned") {
  Net net;
  net.forward(indices()).sum().backward();
  CHECK(net.scale.grad().defined());
  CHECK(!nn::clone(net).scale.grad().defined());
}

TEST_CASE("a part can be cloned alone") {
  Net net;
  Block part = nn::clone(net.blocks[1]);
  CHECK(part.path().empty());
  CHECK(part.fc.path() == "fc");
  CHECK(part.fc.weight.equal(net.blocks[1].fc.weight));
  CHECK(!part.fc.weight.is_same(net.blocks[1].fc.weight));
  CHECK(net.blocks[1].fc.path() == "block1.fc");
}

TEST_CASE("after cloning, copies are copies again") {
  Net net;
  const Net clone = nn::clone(net);
  const Net copy = net;
  CHECK(copy.is_same(net));
  CHECK(copy.scale.is_same(net.scale));
  const Net again = nn::clone(clone);
  CHECK(!again.is_same(clone));
}

TEST_CASE("a clone outlives the original") {
  auto net = std::make_unique<Net>();
  net->eval();
  const Tensor before = net->forward(indices()).detach().clone();
  Net copy = nn::clone(*net);
  net.reset();
  CHECK(copy.forward(indices()).equal(before));
}

TEST_CASE("a sliced module can be cloned") {
  Net net;
  const nn::Module copy = nn::clone(static_cast<const nn::Module&>(net));
  CHECK(copy.parameters().size() == net.parameters().size());
  CHECK(!copy.parameters()[0].is_same(net.parameters()[0]));
}

TEST_CASE("views as parameters keep their numbers, strides or not") {
  struct Viewed : nn::Module {
    Tensor base = arange(6.0).view({2, 3});
    Tensor column = register_parameter("column", base.t()[1]);
  };
  Viewed viewed;
  const Viewed copy = nn::clone(viewed);
  CHECK(copy.column.equal(tensor({1.0, 4.0})));
  CHECK(copy.base.is_same(viewed.base));  // not registered: shared, as documented
}

TEST_CASE("a Sequential is cloned with its layers") {
  nn::Sequential a{nn::Linear(2, 2), nn::Tanh()};
  nn::Sequential alias = a, b = nn::clone(a);
  b.push_back(nn::Linear(2, 3));
  CHECK(a.size() == 2);
  CHECK(alias.size() == 2);
  CHECK(b.size() == 3);
  const Tensor x = randn({4, 2});
  CHECK(b(x).sizes() == Shape({4, 3}));
  const Tensor before = a(x).detach().clone();
  nn::init::zeros_(b.named_parameters().at("0.weight"));
  CHECK(a(x).equal(before));
}
