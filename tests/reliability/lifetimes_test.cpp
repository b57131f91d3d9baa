// What may go before what: every order in which a module, its optimizer, a tensor, the holder of a
// hook and a graph can be destroyed, and handles that hold nothing.
#include <doctest/doctest.h>

#include <retrace/retrace.h>
#include <retrace/tests/figures.h>
#include <retrace/tests/files.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>

using namespace retrace;

namespace {

/// Holds a tensor and hooks of it, which hold tensors themselves.
struct Holder {
  Holder(const Tensor& hidden, const nn::Module& module) : tensor(hidden) {
    tensor.register_hook([seen = seen, module](const Tensor& g) {
      ++*seen;
      CHECK(module.parameters().size() == 2);
      return g * 2.0;
    });
    tensor.retain_grad();
  }
  Tensor tensor;
  std::shared_ptr<int> seen = std::make_shared<int>(0);
};

struct Five {
  std::optional<nn::Linear> module;
  std::optional<optim::AdamW> optimizer;
  std::optional<Tensor> tensor;
  std::optional<Holder> holder;
  std::unique_ptr<Backprop> graph;
  Tensor x = tensor_of({{1.0, -2.0, 0.5}});

  static Tensor tensor_of(const NestedList& values) { return retrace::tensor(values); }

  Five() {
    module.emplace(full({2, 3}, 0.25).requires_grad_(), zeros({2}).requires_grad_());
    optimizer.emplace(module->parameters());
    const Tensor hidden = (*module)(x);
    holder.emplace(hidden, *module);
    tensor.emplace(hidden.tanh());
    graph = std::make_unique<Backprop>(tensor->sum(), BackwardOptions{.retain_graph = true});
    graph->step();
  }

  void destroy(int k) {
    if (k == 0) module.reset();
    if (k == 1) optimizer.reset();
    if (k == 2) tensor.reset();
    if (k == 3) holder.reset();
    if (k == 4) graph.reset();
  }

  // Everything that is left does what it is for; how many did.
  int use() {
    int used = 0;
    if (graph && !graph->done()) {
      graph->step();
      ++used;
    }
    if (module) {
      (*module)(x).sum().backward();
      CHECK(module->weight.grad().defined());
      ++used;
    }
    if (optimizer) {
      optimizer->step();
      CHECK(optimizer->parameters().size() == 2);
      ++used;
    }
    if (tensor) {
      CHECK(tensor->sizes() == Shape{1, 2});
      CHECK(!tensor->is_leaf());
      ++used;
    }
    if (holder) {
      CHECK(holder->tensor.requires_grad());
      holder->tensor.register_hook([](const Tensor&) {});
      ++used;
    }
    return used;
  }
};

}  // namespace

TEST_CASE("C03, C04: module, optimizer, tensor, hook and graph go in any order") {
  const auto blocks = memory_stats().live_blocks;
  std::array<int, 5> order = {0, 1, 2, 3, 4};
  std::int64_t orders = 0, uses = 0;
  do {
    Five five;
    for (const int k : order) {
      five.destroy(k);
      uses += five.use();
    }
    ++orders;
  } while (std::next_permutation(order.begin(), order.end()));
  const auto left = memory_stats().live_blocks - blocks;
  CHECK(orders == 120);
  CHECK(left == 0);
  testing::figure("R53", "module, optimizer, tensor, hook and graph destroyed in every order",
                  testing::of(orders, 120) + " orders, " + std::to_string(uses) +
                      " uses of what was left, " + std::to_string(left) + " blocks of memory left",
                  orders == 120 && left == 0);
}

TEST_CASE("C03: an optimizer goes on with parameters whose module is gone") {
  std::optional<nn::Linear> module{std::in_place, 2, 1};
  const Tensor weight = module->weight, before = weight.detach().clone();
  optim::SGD optimizer(module->parameters(), {.lr = 1});
  (*module)(ones({1, 2})).backward();
  module.reset();
  optimizer.step();
  CHECK(weight.detach().equal(before - 1));
}

TEST_CASE("C04: a hook of a tensor that is gone, whose graph is still there") {
  const Tensor x = ones({2}).requires_grad_();
  Tensor loss;
  int seen = 0;
  {
    std::optional<Tensor> y = x * 3.0;
    y->register_hook([&](const Tensor&) { ++seen; });
    loss = y->sum();
  }
  loss.backward();
  CHECK(seen == 1);
  CHECK(x.grad().equal(full({2}, 3.0)));
}

TEST_CASE("C01, C02: handles that hold nothing are refused wherever they are used") {
  std::int64_t refused = 0, all = 0;
  const auto refuses = [&](const char* what, auto use) {
    const std::string message = testing::message_of<ValueError>(use);
    const bool good = testing::says(message, "undefined") || testing::says(message, "moved from");
    CHECK_MESSAGE(good, std::string(what) << ": " << message);
    refused += good;
    ++all;
  };
  const auto taken = [](auto& from) { const auto other = std::move(from); };

  Tensor tensor = ones({2});
  nn::Linear linear(2, 2);
  nn::Sequential sequential{nn::Linear(2, 2), nn::ReLU()};
  optim::SGD optimizer({ones({2}).requires_grad_()});
  optim::Optimizer handle = optimizer;
  taken(tensor);
  taken(linear);
  taken(sequential);
  taken(handle);
  for (const Tensor& t : {tensor, Tensor()}) {
    refuses("sum", [&] { t.sum(); });
    refuses("add", [&] { t + 1.0; });
    refuses("matmul", [&] { ones({2, 2}).matmul(t); });
    refuses("backward", [&] { t.backward(); });
    refuses("item", [&] { t.item<float>(); });
    refuses("save", [&] { save_npy("never", t); });
    refuses("linear", [&] { nn::Linear(2, 2)(t); });
    refuses("loss", [&] { losses::mse_loss(t, t); });
    refuses("optimizer", [&] { optim::Adam({t}); });
    refuses("Backprop", [&] { Backprop{t}; });
  }
  refuses("parameters", [&] { linear.parameters(); });
  refuses("forward", [&] { linear(ones({2})); });
  refuses("state_dict", [&] { linear.state_dict(); });
  refuses("train", [&] { linear.train(); });
  refuses("forward of a Sequential", [&] { sequential(ones({1, 2})); });
  refuses("push_back", [&] { sequential.push_back(nn::ReLU()); });
  refuses("step", [&] { handle.step(); });
  refuses("zero_grad", [&] { handle.zero_grad(); });
  refuses("state_dict of an optimizer", [&] { handle.state_dict(); });
  refuses("lr", [&] { handle.lr(); });
  optimizer.step();  // the other handle is whole
  testing::figure("R53", "uses of moved-from and undefined handles refused",
                  testing::of(refused, all), refused == all);
}
