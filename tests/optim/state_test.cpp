// What optimizers save and load.
#include <doctest/doctest.h>

#include <retrace/autograd/autograd.h>
#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/safetensors.h>
#include <retrace/tests/files.h>
#include <retrace/tests/optim/every_optimizer.h>

using namespace retrace;
using retrace::testing::copy_of;
using retrace::testing::every_optimizer;
using retrace::testing::message_of;
using retrace::testing::same;
using retrace::testing::says;

namespace {

Tensor parameter(double value = 1, const Shape& sizes = {2}) {
  return full(sizes, value).requires_grad_();
}

void take_steps(optim::Optimizer optimizer, int from, int to) {
  for (int step = from; step < to; ++step) {
    Generator generator(static_cast<std::uint64_t>(step));
    for (const Tensor& p : optimizer.parameters())
      Tensor(p).set_grad(randn(p.sizes(), p.dtype(), &generator));
    optimizer.step();
  }
}

}  // namespace

TEST_CASE("a resumed run has the bits of one that never stopped") {
  const testing::TemporaryFolder folder;
  for (const auto& kind : every_optimizer()) {
    CAPTURE(kind.name);
    const auto parameters = [] {
      return std::vector<Tensor>{parameter(0.5, {3, 2}), parameter(-1, {2, 2}),
                                 full({2, 5}, 2.0, kFloat64).requires_grad_()};
    };
    // The second parameter joins late: it has steps of its own.
    const auto train = [](optim::Optimizer optimizer, int from, int to) {
      for (int step = from; step < to; ++step) {
        Generator generator(static_cast<std::uint64_t>(step));
        for (std::size_t i = 0; i < 3; ++i) {
          Tensor p = optimizer.parameters()[i];
          p.set_grad(i == 1 && step < 2 ? Tensor() : randn(p.sizes(), p.dtype(), &generator));
        }
        optimizer.step();
      }
    };
    const std::vector<Tensor> straight = parameters(), stopped = parameters();
    train(kind.make(straight), 0, 9);
    StateDict saved;
    {
      optim::Optimizer first = kind.make(stopped);
      train(first, 0, 5);
      saved = copy_of(first.state_dict());
      save_safetensors(folder / "optimizer", saved);
    }
    optim::Optimizer second = kind.make_default(stopped);
    second.load_state_dict(load_safetensors(folder / "optimizer"));
    CHECK(same(second.state_dict(), saved));
    train(second, 5, 9);
    for (std::size_t i = 0; i < 3; ++i) {
      CHECK(straight[i].equal(stopped[i]));
      CHECK(isfinite(straight[i]).all().item<bool>());
    }
  }
}

TEST_CASE("groups are resumed with their rates and options") {
  for (const auto& kind : every_optimizer()) {
    CAPTURE(kind.name);
    Tensor p = parameter(0.5, {3, 2}), q = parameter(0.5, {3, 2});
    Tensor r = parameter(0.5, {3, 2}), s = parameter(0.5, {3, 2});
    optim::Optimizer first = kind.make_two({p}, {q});
    CHECK(first.lr(1) == first.lr(0) / 2);
    first.set_lr(0.125, 1);
    take_steps(first, 0, 3);
    CHECK(!p.equal(q));
    optim::Optimizer second = kind.make_two({r}, {s});
    r.set_data(p.detach().clone());
    s.set_data(q.detach().clone());
    second.load_state_dict(first.state_dict());
    CHECK(second.lr(1) == 0.125);
    take_steps(first, 3, 5);
    take_steps(second, 3, 5);
    CHECK(p.equal(r));
    CHECK(q.equal(s));
  }
}

TEST_CASE("a loaded state is a copy") {
  Tensor p = parameter(), q = parameter();
  p.set_grad(ones({2}));
  optim::Adam a({p}), b({q});
  a.step();
  b.load_state_dict(a.state_dict());
  const Tensor before = b.state_dict().at("0.exp_avg").clone();
  a.step();
  CHECK(b.state_dict().at("0.exp_avg").equal(before));
}

TEST_CASE("a state is what it was, whatever steps follow, and leads back there") {
  for (const auto& kind : every_optimizer()) {
    CAPTURE(kind.name);
    Tensor p = parameter(0.5, {3, 2});
    optim::Optimizer optimizer = kind.make({p});
    take_steps(optimizer, 0, 2);
    const StateDict state = optimizer.state_dict(), before = copy_of(state);
    const Tensor value = p.detach().clone();
    take_steps(optimizer, 2, 4);
    const Tensor after = p.detach().clone();
    CHECK(same(state, before));
    optimizer.load_state_dict(state);
    p.detach().copy_(value);
    take_steps(optimizer, 2, 4);
    CHECK(p.equal(after));
  }
}

TEST_CASE("states that do not fit are refused, and nothing changes") {
  Tensor p = parameter(1, {2}), q = parameter(1, {3});
  optim::Adam optimizer({p, q}, {.lr = 0.125});
  take_steps(optimizer, 0, 2);
  const StateDict good = optimizer.state_dict();
  const Tensor moment = good.at("0.exp_avg").clone();
  const auto refuse = [&](const StateDict& state) {
    const std::string message = message_of<ValueError>([&] { optimizer.load_state_dict(state); });
    CHECK(optimizer.lr() == 0.125);
    CHECK(optimizer.state_dict().at("0.exp_avg").equal(moment));
    return message;
  };
  const auto changed = [&](const char* name, const Tensor& value) {
    StateDict state = good;
    state[name] = value;
    return state;
  };

  SUBCASE("another type") {
    optim::AdamW other({p, q});
    CHECK(says(refuse(other.state_dict()), "one of AdamW"));
  }
  SUBCASE("no state at all") { CHECK(says(refuse({}), "Adam.version")); }
  SUBCASE("another version") {
    const std::string message = refuse(changed("Adam.version", full({}, 2, kInt64)));
    CHECK(says(message, "version 2"));
    CHECK(says(message, "version 1"));
  }
  SUBCASE("another number of groups") {
    optim::Adam other({{{p}, {}}, {{q}, {}}});
    CHECK(says(refuse(other.state_dict()), "2 parameter groups, the optimizer 1"));
  }
  SUBCASE("another number of parameters") {
    optim::Adam other({p});
    CHECK(says(refuse(other.state_dict()), "has 1 parameters, that of the optimizer 2"));
  }
  SUBCASE("other parameters: everything is listed at once") {
    StateDict state = changed("0.exp_avg", zeros({4}));
    state.erase("1.exp_avg_sq");
    state["1.exp_avg"] = zeros({3}, kFloat64);
    state["2.exp_avg"] = zeros({1});
    const std::string message = refuse(state);
    CHECK(says(message, "0.exp_avg is float32 [4], expected float32 [2]"));
    CHECK(says(message, "1.exp_avg_sq is missing"));
    CHECK(says(message, "1.exp_avg is float64 [3], expected float32 [3]"));
    CHECK(says(message, "2.exp_avg is unexpected"));
  }
  SUBCASE("kept tensors without a step") {
    StateDict state = good;
    state.erase("0.step");
    CHECK(says(refuse(state), "0.exp_avg is unexpected"));
  }
  SUBCASE("a step that cannot be") {
    CHECK(says(refuse(changed("0.step", full({}, 0, kInt64))), "0.step is 0"));
    CHECK(says(refuse(changed("0.step", zeros({}))), "0.step is float32"));
  }
  SUBCASE("options that cannot be") {
    CHECK(says(refuse(changed("groups.0.lr", full({}, -1, kFloat64))), "lr is -1"));
    CHECK(says(refuse(changed("groups.0.betas", zeros({3}, kFloat64))), "groups.0.betas"));
    CHECK(says(refuse(changed("groups.0.amsgrad", Tensor())), "groups.0.amsgrad is undefined"));
  }
}
