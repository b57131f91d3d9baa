#include <doctest/doctest.h>

#include <memory>

#include <retrace/autograd/autograd.h>
#include <retrace/nn/nn.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;

namespace {

// Has forward only.
struct Doubling : nn::Module {
  Tensor factor = register_parameter("factor", full({1}, 2));
  Tensor forward(const Tensor& x) { return x * factor; }
};

nn::Sequential make() { return {nn::Linear(2, 3), nn::ReLU(), nn::Linear(3, 1)}; }

}  // namespace

TEST_CASE("modules are called one after the other") {
  nn::Linear first(2, 3), last(3, 1);
  nn::Sequential net{first, nn::Tanh(), last};
  const Tensor x = randn({5, 2});
  CHECK(net(x).equal(last(tanh(first(x)))));
  CHECK(net.forward(x).equal(net(x)));
  CHECK(net.size() == 3);
  CHECK(net.named_parameters().at("2.weight").is_same(last.weight));
  CHECK(last.path() == "2");
}

TEST_CASE("an empty Sequential returns its input") {
  const nn::Sequential net;
  const Tensor x = ones({2});
  CHECK(net.empty());
  CHECK(net(x).is_same(x));
}

TEST_CASE("copies are the same Sequential, however they are written") {
  nn::Sequential a = make();
  nn::Sequential b = a, c{a}, d(a);
  const nn::Sequential constant = a;
  nn::Sequential e{constant}, f{nn::Sequential(a)};
  for (const nn::Sequential& copy : {b, c, d, e, f}) {
    CHECK(copy.is_same(a));
    CHECK(copy.size() == 3);
  }
  c.push_back(nn::Sigmoid());
  CHECK(a.size() == 4);
  CHECK(a.named_modules().contains("3"));
}

TEST_CASE("Sequentials nest") {
  nn::Sequential inner = make();
  nn::Sequential outer{inner, nn::ReLU()};
  CHECK(outer.named_parameters().contains("0.2.weight"));
  nn::Sequential alone;
  alone.push_back(make());
  CHECK(alone.size() == 1);
  CHECK(alone.named_parameters().contains("0.0.bias"));
  const std::string message = message_of<ShapeError>([&] { outer(randn({1, 5})); });
  CHECK(message.starts_with("0.0: "));
}

TEST_CASE("modules of one's own, and functions") {
  nn::Sequential net{Doubling(), [](const Tensor& x) { return x + 1.0; },
                     nn::Linear(2, 2, {.bias = false}), &relu};
  nn::init::eye_(net.named_parameters().at("2.weight"));
  CHECK(net(tensor({{1.0, -3.0}})).equal(tensor({{3.0, 0.0}})));
  CHECK(net.named_modules().at("1").type_name() == "Function");
  CHECK(net.named_modules().at("0").type_name() == "Doubling");
}

TEST_CASE("train and eval reach the layers") {
  nn::Sequential net{nn::Identity(), nn::Dropout(0.5)};
  const Tensor x = ones({100});
  CHECK(!net(x).equal(x));
  net.eval();
  CHECK(net(x).equal(x));
}

TEST_CASE("layers outlive the objects that they were made from") {
  auto layer = std::make_unique<nn::Linear>(2, 2);
  const Tensor weight = layer->weight;
  auto net = std::make_unique<nn::Sequential>(nn::Sequential{*layer, nn::ReLU()});
  layer.reset();
  nn::Sequential copy = *net;
  net.reset();
  CHECK(copy.named_parameters().at("0.weight").is_same(weight));
  CHECK(copy(ones({1, 2})).sizes() == Shape({1, 2}));
}

TEST_CASE("a Sequential cannot hold itself, and one that was moved from is refused") {
  nn::Sequential net = make();
  CHECK(!message_of<ValueError>([&] { net.push_back(net); }).empty());
  CHECK(net.size() == 3);
  nn::Sequential moved = std::move(net);
  CHECK(!message_of<ValueError>([&] { net(ones({1, 2})); }).empty());  // NOLINT
  CHECK(moved.size() == 3);
}
