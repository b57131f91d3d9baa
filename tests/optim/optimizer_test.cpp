#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <numeric>

#include <retrace/autograd/autograd.h>
#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>
#include <retrace/tensor/random.h>
#include <retrace/tensor/safetensors.h>
#include <retrace/tests/files.h>

using namespace retrace;
using retrace::testing::message_of;
using retrace::testing::says;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

Tensor parameter(double value = 1, const Shape& sizes = {2}) {
  return full(sizes, value).requires_grad_();
}
Tensor with_gradient(double value, double gradient) {
  Tensor p = parameter(value);
  p.set_grad(full_like(p, gradient));
  return p;
}

template <class F>
bool refused(F f) {
  return !message_of<ValueError>(f).empty();
}

}  // namespace

TEST_CASE("bad parameters are refused") {
  const Tensor p = parameter();
  CHECK(says(message_of<ValueError>([] { optim::SGD(std::vector<Tensor>{}, {.lr = 0.1}); }),
             "SGD: there are no parameters"));
  CHECK(refused([&] { optim::SGD(std::vector<optim::SGD::Group>{}); }));
  CHECK(says(message_of<ValueError>([&] { optim::Adam({p, Tensor()}); }), "parameter 1"));
  CHECK(says(message_of<DTypeError>([] { optim::Adam({zeros({2}, kInt64)}); }), "int64 [2]"));
  CHECK(says(message_of<AutogradError>([&] { optim::Adam({p * 2.0}); }), "not a leaf"));
  CHECK(says(message_of<ValueError>([&] {
               optim::SGD({{{p}, {}}, {{parameter(), p}, {}}});
             }),
             "in group 0 and in group 1"));
}

TEST_CASE("bad options are refused") {
  const std::vector<Tensor> p = {parameter()};
  for (const double bad : {-0.1, kNaN, kInfinity}) {
    CHECK(refused([&] { optim::SGD(p, {.lr = bad}); }));
    CHECK(refused([&] { optim::SGD(p, {.momentum = bad}); }));
    CHECK(refused([&] { optim::SGD(p, {.weight_decay = bad}); }));
    CHECK(refused([&] { optim::Adam(p, {.lr = bad}); }));
    CHECK(refused([&] { optim::Adam(p, {.betas = {bad, 0.9}}); }));
    CHECK(refused([&] { optim::Adam(p, {.betas = {0.9, bad}}); }));
    CHECK(refused([&] { optim::Adam(p, {.eps = bad}); }));
    CHECK(refused([&] { optim::AdamW(p, {.weight_decay = bad}); }));
    CHECK(refused([&] { optim::RMSprop(p, {.lr = bad}); }));
    CHECK(refused([&] { optim::RMSprop(p, {.alpha = bad}); }));
    CHECK(refused([&] { optim::RMSprop(p, {.eps = bad}); }));
    CHECK(refused([&] { optim::RMSprop(p, {.momentum = bad}); }));
  }
  CHECK(says(message_of<ValueError>([&] {
               optim::Adam(p, {.betas = {0.9, 1.0}});
             }),
             "Adam: betas[1] is 1; give a number in [0, 1)"));
  CHECK(refused([&] { optim::AdamW(p, {.eps = 0}); }));
  CHECK(refused([&] { optim::SGD(p, {.nesterov = true}); }));
  CHECK(refused([&] { optim::SGD(p, {.momentum = 0.9, .dampening = 0.1, .nesterov = true}); }));
  CHECK(refused([&] { optim::SGD({{p, {}}, {{parameter()}, {.lr = -1}}}); }));
}

TEST_CASE("a parameter without a gradient stays, and so does what is kept for it") {
  Tensor p = parameter(), q = with_gradient(1, 1);
  optim::Adam optimizer({p, q}, {.lr = 0.1});
  optimizer.step();
  CHECK(p.equal(ones({2})));
  CHECK(!q.equal(ones({2})));
  const StateDict state = optimizer.state_dict();
  CHECK(state.contains("1.exp_avg"));
  CHECK(!state.contains("0.exp_avg"));
  CHECK(!state.contains("0.step"));
}

TEST_CASE("a tied parameter is updated once") {
  Tensor p = with_gradient(1, 1);
  optim::SGD optimizer({p, p}, {.lr = 0.25});
  CHECK(optimizer.parameters().size() == 1);
  optimizer.step();
  CHECK(p.equal(full({2}, 0.75)));
}

TEST_CASE("groups have options of their own") {
  Tensor p = with_gradient(1, 1), q = with_gradient(1, 1);
  optim::SGD optimizer({{{p}, {.lr = 0.5}}, {{q}, {.lr = 0.25, .weight_decay = 1}}});
  CHECK(optimizer.groups() == 2);
  CHECK(optimizer.parameters().size() == 2);
  optimizer.step();
  CHECK(p.equal(full({2}, 0.5)));
  CHECK(q.equal(full({2}, 0.5)));
  CHECK(optimizer.lr() == 0.5);
  CHECK(optimizer.lr(1) == 0.25);
  optimizer.set_lr(0.125, 1);
  CHECK(optimizer.lr(0) == 0.5);
  CHECK(optimizer.lr(1) == 0.125);
  optimizer.set_lr(2);
  CHECK(optimizer.lr(0) == 2);
  CHECK(optimizer.lr(1) == 2);
  CHECK(refused([&] { optimizer.set_lr(kNaN); }));
  CHECK(refused([&] { optimizer.set_lr(-1, 0); }));
  CHECK(!message_of<IndexError>([&] { optimizer.set_lr(1, 2); }).empty());
  CHECK(!message_of<IndexError>([&] { optimizer.lr(2); }).empty());
  CHECK(optimizer.lr() == 2);
}

TEST_CASE("zero_grad drops gradients") {
  Tensor p = with_gradient(1, 1);
  optim::SGD optimizer({p});
  optimizer.zero_grad();
  CHECK(!p.grad().defined());
  optimizer.step();
  CHECK(p.equal(ones({2})));
}

TEST_CASE("a step raises the version, so that a graph over the old numbers refuses to go back") {
  Tensor p = parameter();
  const Tensor loss = p.square().sum();
  p.set_grad(ones({2}));
  const auto version = p.version();
  optim::SGD optimizer({p});
  optimizer.step();
  CHECK(p.version() > version);
  CHECK(!message_of<AutogradError>([&] { loss.backward(); }).empty());
}

TEST_CASE("expanded gradients, and gradients that are the parameter itself") {
  Tensor p = parameter(1, {3});
  p.set_grad(full({1}, 2.0).expand({3}));
  optim::SGD optimizer({p}, {.lr = 0.25});
  optimizer.step();
  CHECK(p.equal(full({3}, 0.5)));
  p.set_grad(p.detach());
  optimizer.step();
  CHECK(p.equal(full({3}, 0.375)));
}

TEST_CASE("a step that is refused changes nothing") {
  Tensor p = with_gradient(1, 1), q = with_gradient(1, 1);
  optim::Adam optimizer({p, q}, {.lr = 0.1});
  optimizer.step();
  const StateDict before = optimizer.state_dict();
  const Tensor p_before = p.detach().clone(), m_before = before.at("0.exp_avg").clone();
  const auto still_the_same = [&] {
    return p.equal(p_before) && optimizer.state_dict().at("0.exp_avg").equal(m_before) &&
           optimizer.state_dict().at("0.step").item<std::int64_t>() == 1;
  };
  q.grad().set_data(ones({3}));
  CHECK(says(message_of<ShapeError>([&] { optimizer.step(); }), "[2], its gradient [3]"));
  CHECK(still_the_same());
  q.set_grad({});
  q.set_data(q.detach().to(kFloat64));
  q.set_grad(ones({2}, kFloat64));
  CHECK(says(message_of<DTypeError>([&] { optimizer.step(); }), "its exp_avg float32"));
  CHECK(still_the_same());
}

TEST_CASE("an optimizer is a handle") {
  Tensor p = with_gradient(1, 1);
  optim::SGD optimizer({p}, {.lr = 0.5});
  optim::Optimizer copy = optimizer;
  copy.set_lr(0.25);
  CHECK(optimizer.lr() == 0.25);
  CHECK(copy.name() == "SGD");
  optim::SGD moved = std::move(optimizer);
  CHECK(says(message_of<ValueError>([&] { optimizer.step(); }), "moved from"));  // NOLINT
  CHECK(refused([&] { optimizer.state_dict(); }));
  moved.step();
  CHECK(p.equal(full({2}, 0.75)));
}

TEST_CASE("parameters, optimizers, schedules and graphs may go in any order") {
  int order[] = {0, 1, 2, 3, 4};
  do {
    std::vector<Tensor> parameters = {parameter(), parameter(2)};
    auto optimizer = std::make_unique<optim::AdamW>(parameters);
    auto copy = std::make_unique<optim::Optimizer>(*optimizer);
    auto schedule =
        std::make_unique<optim::CosineAnnealingLR>(*optimizer, optim::CosineAnnealingLROptions{10});
    Tensor loss = (parameters[0] * parameters[1]).sum();
    loss.backward();
    for (const int victim : order) {
      if (copy) copy->step();
      if (optimizer) optimizer->step();
      if (schedule) schedule->step();
      if (victim == 0) parameters.clear();
      if (victim == 1) optimizer.reset();
      if (victim == 2) copy.reset();
      if (victim == 3) schedule.reset();
      if (victim == 4) loss = {};
    }
  } while (std::next_permutation(std::begin(order), std::end(order)));
}

// State -----------------------------------------------------------------------------------------

namespace {

void train(optim::Optimizer optimizer, int from, int to) {
  for (int step = from; step < to; ++step) {
    Generator generator(static_cast<std::uint64_t>(step));
    for (const Tensor& p : optimizer.parameters())
      Tensor(p).set_grad(randn(p.sizes(), p.dtype(), &generator));
    optimizer.step();
  }
}

std::vector<Tensor> three_parameters() {
  return {parameter(0.5, {3}), parameter(-1, {2, 2}), full({5}, 2.0, kFloat64).requires_grad_()};
}

// Trains with a stop in between, through a file, and without one.
template <class O, class Options>
void check_resuming(const Options& options) {
  const testing::TemporaryFolder folder;
  std::vector<Tensor> straight = three_parameters(), stopped = three_parameters();
  train(O(straight, options), 0, 7);
  {
    O first(stopped, options);
    train(first, 0, 4);
    save_safetensors(folder / "optimizer", first.state_dict());
  }
  O second(stopped, {.lr = 0.5});
  second.load_state_dict(load_safetensors(folder / "optimizer"));
  CHECK(second.lr() == options.lr);
  train(second, 4, 7);
  for (std::size_t i = 0; i < 3; ++i) CHECK(straight[i].equal(stopped[i]));
}

}  // namespace

TEST_CASE("a resumed run has the bits of one that never stopped") {
  check_resuming<optim::SGD>(optim::SGDOptions{.lr = 0.1});
  check_resuming<optim::SGD>(optim::SGDOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.3});
  check_resuming<optim::Adam>(optim::AdamOptions{.lr = 0.01, .betas = {0.8, 0.9}});
  check_resuming<optim::AdamW>(optim::AdamWOptions{.lr = 0.01, .amsgrad = true, .maximize = true});
  check_resuming<optim::RMSprop>(
      optim::RMSpropOptions{.lr = 0.01, .momentum = 0.5, .centered = true});
}

TEST_CASE("a loaded state is a copy") {
  Tensor p = with_gradient(1, 1), q = parameter();
  optim::Adam a({p}), b({q});
  a.step();
  b.load_state_dict(a.state_dict());
  const Tensor before = b.state_dict().at("0.exp_avg").clone();
  a.step();
  CHECK(b.state_dict().at("0.exp_avg").equal(before));
}

TEST_CASE("states that do not fit are refused, and nothing changes") {
  Tensor p = parameter(1, {2}), q = parameter(1, {3});
  optim::Adam optimizer({p, q}, {.lr = 0.125});
  train(optimizer, 0, 2);
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
