#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <memory>

#include <retrace/autograd/autograd.h>
#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>
#include <retrace/tests/files.h>
#include <retrace/tests/optim/every_optimizer.h>

using namespace retrace;
using retrace::testing::copy_of;
using retrace::testing::every_optimizer;
using retrace::testing::message_of;
using retrace::testing::same;
using retrace::testing::says;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

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
  const Tensor p = parameter(1, {2, 2});
  for (const auto& kind : every_optimizer()) {
    CAPTURE(kind.name);
    const std::string name(kind.make({p}).name());
    const auto refuses = [&]<class E>(E*, const std::vector<Tensor>& parameters,
                                      std::string_view words) {
      const std::string message = message_of<E>([&] { kind.make(parameters); });
      CHECK(message.starts_with(name + ": "));
      CHECK(says(message, words));
    };
    refuses(static_cast<ValueError*>(nullptr), {}, "there are no parameters");
    refuses(static_cast<ValueError*>(nullptr), {p, Tensor()}, "parameter 1 is undefined");
    refuses(static_cast<DTypeError*>(nullptr), {p, zeros({2, 2}, kInt64)},
            "parameter 1 is int64 [2, 2]");
    refuses(static_cast<AutogradError*>(nullptr), {p * 2.0}, "parameter 0 of shape [2, 2]");
    refuses(static_cast<ValueError*>(nullptr), {zeros({2}).expand({2, 2})},
            "several elements of parameter 0 of shape [2, 2] are one place");
    CHECK(says(message_of<ValueError>([&] {
                 kind.make_two({p}, {parameter(1, {2, 2}), p});
               }),
               name + ": a parameter of shape [2, 2] is in group 0 and in group 1"));
  }
  CHECK(refused([&] { optim::SGD(std::vector<optim::SGD::Group>{}); }));
}

TEST_CASE("a parameter without a gradient stays, and so does what is kept for it") {
  for (const auto& kind : every_optimizer()) {
    CAPTURE(kind.name);
    Tensor p = parameter(1, {2, 2}), q = parameter(1, {2, 2});
    optim::Optimizer optimizer = kind.make({p, q});
    q.set_grad(tensor({{1.0, 2.0}, {3.0, -4.0}}));
    optimizer.step();
    CHECK(p.equal(ones({2, 2})));
    CHECK(!q.equal(ones({2, 2})));
    for (const auto& [name, value] : optimizer.state_dict()) CHECK(!name.starts_with("0."));
    CHECK(optimizer.state_dict().contains("1.step"));
    // Nor afterwards, when something is kept.
    p.set_grad(ones({2, 2}));
    optimizer.step();
    const StateDict before = copy_of(optimizer.state_dict());
    const Tensor value = p.detach().clone();
    p.set_grad({});
    optimizer.step();
    CHECK(p.equal(value));
    for (const auto& [name, kept] : optimizer.state_dict())
      if (name.starts_with("0.")) CHECK(kept.equal(before.at(name)));
  }
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

TEST_CASE("a group that is added later has options and steps of its own") {
  Tensor p = with_gradient(1, 1), q = with_gradient(1, 1);
  optim::Adam optimizer({p}, {.lr = 0.5});
  optimizer.step();
  optimizer.add_param_group({{q}, {.lr = 0.25}});
  CHECK(optimizer.groups() == 2);
  CHECK(optimizer.lr(1) == 0.25);
  CHECK(optimizer.parameters().size() == 2);
  const Tensor p_before = p.detach().clone();
  optimizer.step();
  CHECK(!p.equal(p_before));
  CHECK(q[0].item<double>() == doctest::Approx(0.75));
  const StateDict state = optimizer.state_dict();
  CHECK(state.at("0.step").item<std::int64_t>() == 2);
  CHECK(state.at("1.step").item<std::int64_t>() == 1);
  CHECK(state.at("groups.1.size").item<std::int64_t>() == 1);
}

TEST_CASE("a group that cannot be added changes nothing") {
  Tensor p = with_gradient(1, 1);
  optim::Adam optimizer({p}, {.lr = 0.5});
  optimizer.step();
  const StateDict before = copy_of(optimizer.state_dict());
  CHECK(says(message_of<ValueError>([&] {
               optimizer.add_param_group({{parameter()}, {.eps = -1}});
             }),
             "Adam: eps is -1"));
  CHECK(says(message_of<ValueError>([&] {
               optimizer.add_param_group({{parameter(), p}});
             }),
             "in group 0 and in group 1"));
  CHECK(!message_of<AutogradError>([&] {
           optimizer.add_param_group({{parameter(), p * 2.0}});
         }).empty());
  CHECK(optimizer.groups() == 1);
  CHECK(optimizer.parameters().size() == 1);
  CHECK(same(optimizer.state_dict(), before));
  optimizer.step();
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
  for (const auto& kind : every_optimizer()) {
    CAPTURE(kind.name);
    Tensor p = parameter(1, {2, 2}), q = parameter(1, {2, 2});
    optim::Optimizer optimizer = kind.make({p, q});
    p.set_grad(full({2, 2}, 0.5));
    q.set_grad(full({2, 2}, 0.5));
    optimizer.step();
    const StateDict before = copy_of(optimizer.state_dict());
    const Tensor p_before = p.detach().clone();
    const auto version = p.version();
    const auto check_unchanged = [&] {
      CHECK(p.equal(p_before));
      CHECK(p.version() == version);
      CHECK(same(optimizer.state_dict(), before));
    };
    q.grad().set_data(ones({3}));
    CHECK(says(message_of<ShapeError>([&] { optimizer.step(); }), "[2, 2], its gradient [3]"));
    check_unchanged();
    q.set_grad(ones({2, 2}));
    q.grad().set_data(ones({2, 2}, kFloat64));
    CHECK(says(message_of<DTypeError>([&] { optimizer.step(); }),
               "is float32, its gradient float64"));
    check_unchanged();
  }
}

TEST_CASE("a step after a module was converted is refused, unless nothing is kept") {
  Tensor p = with_gradient(1, 1);
  optim::Adam optimizer({p});
  optimizer.step();
  p.set_data(p.detach().to(kFloat64));
  p.set_grad(ones({2}, kFloat64));
  CHECK(says(message_of<DTypeError>([&] { optimizer.step(); }), "its exp_avg float32"));
  Tensor q = parameter(1, {2, 2});
  optim::Muon muon({q});
  q.set_data(ones({4}));
  q.set_grad(ones({4}));
  CHECK(says(message_of<ShapeError>([&] { muon.step(); }), "parameter 0 has shape [4]"));
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
      const Tensor before = parameters.empty() ? Tensor() : parameters[0].detach().clone();
      if (copy) copy->step();
      if (optimizer) optimizer->step();
      if (before.defined()) CHECK(parameters[0].equal(before) == (!copy && !optimizer));
      if (schedule) schedule->step();
      if (victim == 0) parameters.clear();
      if (victim == 1) optimizer.reset();
      if (victim == 2) copy.reset();
      if (victim == 3) schedule.reset();
      if (victim == 4) loss = {};
    }
  } while (std::next_permutation(std::begin(order), std::end(order)));
}
