// What changes tensors, optimizers and modules changes nothing when any request for memory fails.
#include <doctest/doctest.h>

#include <functional>

#include <fmt/format.h>

#include <retrace/optim/by_name.h>
#include <retrace/retrace.h>
#include <retrace/tensor/check.h>
#include <retrace/tests/figures.h>
#include <retrace/tests/files.h>
#include <retrace/tests/heap/heap.h>
#include <retrace/tests/heap/one_thread.h>
#include <retrace/train/checkpoint.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

// All that can be seen of a tensor, as bytes.
std::string bytes_of(const Tensor& x) {
  if (!x.defined()) return "undefined";
  const NoGradGuard guard;
  const Tensor dense = x.detach().clone();
  std::string bytes = fmt::format("{} {} version {} leaf {} wants {} ", x.dtype(), x.sizes(),
                                  x.version(), x.is_leaf(), x.requires_grad());
  bytes.append(reinterpret_cast<const char*>(dense.get().data),
               static_cast<std::size_t>(x.numel() * size_of(x.dtype())));
  return bytes + (x.grad().defined() ? " grad " + bytes_of(x.grad()) : "");
}

std::string bytes_of(const StateDict& state) {
  std::string bytes;
  for (const auto& [name, value] : state) bytes += name + ": " + bytes_of(value) + "\n";
  return bytes;
}

std::string bytes_of(const std::vector<Tensor>& tensors) {
  std::string bytes;
  for (const Tensor& x : tensors) bytes += bytes_of(x) + "\n";
  return bytes + std::to_string(default_generator().position());
}

std::string bytes_of(const nn::Module& module) {
  std::string bytes;
  for (const auto& [name, each] : module.named_modules())
    bytes += name + fmt::format("({}, training {}) ", each.path(), each.is_training());
  return bytes + bytes_of(module.named_parameters()) + bytes_of(module.named_buffers());
}

struct Subject {
  std::function<void()> act;
  std::function<std::string()> look;
};

// Of all cases of a figure.
struct Tally {
  std::int64_t cases = 0, failures = 0, unchanged = 0, done = 0, strange = 0;

  // Of each request for memory of act(), once for itself and once with all after it.
  void fail_each(const std::string& what, const std::function<Subject()>& make,
                 bool also_lasting = true) {
    ++cases;
    const auto made = [&] {
      manual_seed(5);
      return make();
    };
    Subject whole = made();
    whole.act();
    whole.act = {};
    const std::string after = whole.look();
    for (const bool lasting : {false, true}) {
      if (lasting && !also_lasting) continue;
      for (long request = 1;; ++request) {
        const Subject subject = made();
        const std::string before = subject.look();
        bool threw = false;
        heap::fail_at(request, lasting);
        try {
          subject.act();
        } catch (const std::exception&) {
          threw = true;
        }
        if (!heap::stop_failing()) break;
        ++failures;
        const std::string now = subject.look();
        bool good = now == (threw ? before : after);
        (threw ? unchanged : done) += good;
        if (threw && good) {
          subject.act();
          good = subject.look() == after;
          CHECK_MESSAGE(good, what << " does something else the second time");
        }
        CHECK_MESSAGE(good, what << ": something changed when request " << request << " failed");
        strange += !good;
      }
    }
  }

  void report(const char* what) const {
    CHECK(failures > cases);
    figure("R52", what,
           fmt::format("{} calls, {} failures: {} change nothing, {} do without the memory, {} "
                       "leave something else",
                       cases, failures, unchanged, done, strange),
           strange == 0);
  }
};

std::vector<Tensor> parameters_with_gradients() {
  std::vector<Tensor> all = {randn({3, 4}), randn({4, 3}).t(), randn({2, 2}, kFloat64)};
  for (Tensor& each : all) each.requires_grad_();
  (all[0].sum() + (all[1] * randn({3, 4})).sum() * all[0].square().sum()).backward();
  all[2].square().sum().backward();
  return all;
}

Tensor inner() { return randn({3, 4}).requires_grad_() * 2; }

struct Block : nn::Module {
  nn::Linear a{3, 3}, b{3, 3};
  nn::BatchNorm1d norm{3};
  Block() {
    register_module("a", a);
    register_module("b", b);
    register_module("norm", norm);
  }
};

Subject on(Block block, std::function<void(Block&)> act) {
  return {[=]() mutable { act(block); },
          [=] { return bytes_of(static_cast<const nn::Module&>(block)); }};
}

// Watches, and keeps nothing.
struct Watching : TapeObserver {
  void on_op(std::string_view, const Node*, const Tensor&,
             std::span<const Tensor* const>) override {}
  void on_step(const Step&) override {}
};

void warm_up() {
  testing::use_one_thread();
  static_cast<void>(ones({50, 50}).matmul(ones({50, 50})));
}

}  // namespace

TEST_CASE("a step of each optimizer, and the loading of its state") {
  warm_up();
  Tally tally;
  for (const std::string_view name : optim::names()) {
    for (const int steps : {0, 1}) {
      tally.fail_each(fmt::format("{}.step after {}", name, steps), [&] {
        const auto parameters = parameters_with_gradients();
        optim::Optimizer optimizer = optim::make(name, parameters);
        for (int i = 0; i < steps; ++i) optimizer.step();
        return Subject{[=]() mutable { optimizer.step(); },
                       [=] { return bytes_of(optimizer.state_dict()) + bytes_of(parameters); }};
      });
    }
    tally.fail_each(fmt::format("{}.load_state_dict", name), [&] {
      const auto parameters = parameters_with_gradients();
      optim::Optimizer optimizer = optim::make(name, parameters),
                       other = optim::make(name, parameters);
      other.step();
      const StateDict state = other.state_dict();
      return Subject{[=]() mutable { optimizer.load_state_dict(state); },
                     [=] { return bytes_of(optimizer.state_dict()) + bytes_of(parameters); }};
    });
  }
  const auto step_of = [&](const char* what, const auto& make) {
    tally.fail_each(what, [&] {
      const auto parameters = parameters_with_gradients();
      optim::Optimizer optimizer = make(parameters);
      return Subject{[=]() mutable {
                       Watching watching;
                       const ObserverScope scope(watching);
                       optimizer.step();
                     },
                     [=] { return bytes_of(optimizer.state_dict()) + bytes_of(parameters); }};
    });
  };
  using Parameters = std::vector<Tensor>;
  step_of("a step of SGD with momentum, watched", [](const Parameters& parameters) {
    return optim::SGD(parameters, {.lr = 0.1, .momentum = 0.9});
  });
  step_of("a step of Adam with amsgrad, watched", [](const Parameters& parameters) {
    return optim::Adam(parameters, {.lr = 0.1, .amsgrad = true});
  });
  step_of("a step of RMSprop, centered, with momentum, watched", [](const Parameters& parameters) {
    return optim::RMSprop(parameters, {.lr = 0.1, .momentum = 0.9, .centered = true});
  });
  tally.fail_each("add_param_group", [] {
    const auto parameters = parameters_with_gradients();
    optim::SGD sgd(std::vector<Tensor>{parameters[0]}, {.momentum = 0.9});
    return Subject{[=]() mutable {
                     sgd.add_param_group({{parameters[1], parameters[2]}, {.lr = 1}});
                   },
                   [=] { return bytes_of(sgd.state_dict()) + bytes_of(sgd.parameters()); }};
  });
  for (const double norm : {2.0, 1.0}) {
    tally.fail_each("clip_grad_norm_", [=] {
      const auto parameters = parameters_with_gradients();
      return Subject{[=] { nn::utils::clip_grad_norm_(parameters, 0.1, norm); },
                     [=] { return bytes_of(parameters); }};
    });
  }
  tally.fail_each("clip_grad_value_", [] {
    const auto parameters = parameters_with_gradients();
    return Subject{[=] { nn::utils::clip_grad_value_(parameters, 0.1); },
                   [=] { return bytes_of(parameters); }};
  });
  tally.report("a failing request in each optimizer's step and loading, clipping, a new group");
}

TEST_CASE("loading into a module") {
  warm_up();
  const TemporaryFolder folder;
  const std::string path = folder / "block";
  manual_seed(9);
  save_safetensors(path, Block().state_dict());
  Tally tally;
  tally.fail_each("load_state_dict", [] {
    const StateDict state = Block().state_dict();
    return on(Block(), [=](Block& block) { block.load_state_dict(state); });
  });
  tally.fail_each("its own numbers, turned and exchanged", [] {
    return on(Block(), [](Block& block) {
      StateDict state = block.state_dict();
      std::swap(state["a.weight"], state["b.weight"]);
      state["a.weight"] = state["a.weight"].t();
      block.load_state_dict(state);
    });
  });
  tally.fail_each("load_safetensors", [=] {
    return on(Block(), [=](Block& block) { block.load_state_dict(load_safetensors(path)); });
  });
  // What was loaded of it is loaded again from before, which needs memory: only one request fails.
  tally.fail_each(
      "a checkpoint's parts (a single request)",
      [=] {
        struct Parts {
          Block block;
          optim::Optimizer adam = optim::make("Adam", block.parameters());
          train::CheckpointParts all;
        };
        const auto make = [] {
          auto parts = std::make_shared<Parts>();
          parts->all.add("model", parts->block);
          parts->all.add("optimizer", parts->adam);
          parts->block.a(randn({2, 3})).sum().backward();
          parts->adam.step();
          return parts;
        };
        const auto parts = make(), other = make();
        const StateDict state = other->all.state_dict();
        return Subject{[=] { parts->all.load_state_dict(state); },
                       [=] {
                         StateDict now = parts->all.state_dict();
                         std::string bytes;
                         // Their versions have moved on: the numbers were there twice.
                         for (auto& [name, value] : now) bytes += name + bytes_of(value.clone());
                         return bytes;
                       }};
      },
      false);
  tally.report(
      "a failing request while a module's state is loaded, or (one alone) a checkpoint's parts");
}

TEST_CASE("changes of modules") {
  warm_up();
  Tally tally;
  tally.fail_each("register_parameter", [] {
    const Tensor x = randn({2});
    const Block block;
    return Subject{
        [=]() mutable { Block(block).register_parameter("a parameter with a long name", x); },
        [=] { return bytes_of(static_cast<const nn::Module&>(block)) + bytes_of(x); }};
  });
  tally.fail_each("register_buffer", [] {
    const Tensor x = randn({2});
    return on(Block(),
              [=](Block& block) { block.register_buffer("a buffer with a long name", x); });
  });
  tally.fail_each("register_module", [] {
    const nn::Linear child(2, 2);
    const Block block;
    return Subject{
        [=]() mutable { Block(block).register_module("a child with a long name", child); },
        [=] {
          return bytes_of(static_cast<const nn::Module&>(block)) +
                 bytes_of(static_cast<const nn::Module&>(child));
        }};
  });
  tally.fail_each("Sequential.push_back", [] {
    nn::Sequential list{nn::Linear(2, 2), nn::Tanh()};
    const nn::Linear more(2, 2);
    return Subject{[=]() mutable { list.push_back(more); },
                   [=] {
                     return bytes_of(static_cast<const nn::Module&>(list)) +
                            std::to_string(list.size());
                   }};
  });
  tally.fail_each("ModuleList.push_back", [] {
    nn::ModuleList<nn::Linear> list{nn::Linear(2, 2)};
    const nn::Linear more(2, 2);
    return Subject{[=]() mutable { list.push_back(more); },
                   [=] {
                     return bytes_of(static_cast<const nn::Module&>(list)) +
                            std::to_string(list.size());
                   }};
  });
  tally.fail_each("to", [] { return on(Block(), [](Block& block) { block.to(kFloat64); }); });
  tally.fail_each("eval", [] { return on(Block(), [](Block& block) { block.eval(); }); });
  tally.fail_each("requires_grad_",
                  [] { return on(Block(), [](Block& block) { block.requires_grad_(false); }); });
  tally.fail_each("clone", [] { return on(Block(), [](Block& block) { nn::clone(block); }); });
  tally.fail_each("set_data", [] {
    const Tensor x = randn({2, 3}), y = randn({4});
    return Subject{[=]() mutable { Tensor(x).set_data(y.clone()); }, [=] { return bytes_of(x); }};
  });
  tally.report("a failing request while a module is changed");
}

TEST_CASE("changes in place") {
  warm_up();
  using Change = std::function<void(Tensor&, const Tensor&)>;
  const std::vector<std::pair<const char*, Change>> changes = {
      {"copy_", [](Tensor& x, const Tensor& y) { x.copy_(y); }},
      {"copy_ of float64", [](Tensor& x, const Tensor& y) { x.copy_(y.to(kFloat64)); }},
      {"fill_", [](Tensor& x, const Tensor&) { x.fill_(3); }},
      {"add_", [](Tensor& x, const Tensor& y) { x.add_(y, 2); }},
      {"add_ of itself", [](Tensor& x, const Tensor&) { x.add_(x); }},
      {"add_ of a number", [](Tensor& x, const Tensor&) { x.add_(2); }},
      {"sub_", [](Tensor& x, const Tensor& y) { x.sub_(y); }},
      {"sub_ of a number", [](Tensor& x, const Tensor&) { x.sub_(2); }},
      {"mul_", [](Tensor& x, const Tensor& y) { x.mul_(y); }},
      {"mul_ by a number", [](Tensor& x, const Tensor&) { x.mul_(2); }},
      {"div_", [](Tensor& x, const Tensor& y) { x.div_(y); }},
      {"div_ by a number", [](Tensor& x, const Tensor&) { x.div_(2); }},
      {"clamp_", [](Tensor& x, const Tensor&) { x.clamp_(-0.5, 0.5); }},
      {"masked_fill_", [](Tensor& x, const Tensor& y) { x.masked_fill_(y > 0, 7); }},
      {"uniform_", [](Tensor& x, const Tensor&) { x.uniform_(); }},
      {"normal_", [](Tensor& x, const Tensor&) { x.normal_(); }},
      {"index_put_",
       [](Tensor& x, const Tensor& y) {
         x.index_put_({tensor({2, 0})}, y[1]);
       }},
      {"index_put_ of a number", [](Tensor& x, const Tensor&) { x.index_put_({1}, 5); }},
  };
  Tally tally;
  for (const auto& change : changes) {
    const auto subject = [&](Tensor x, const Tensor& y, bool records) {
      return Subject{[=, act = change.second]() mutable {
                       if (records) return act(x, y);
                       const NoGradGuard guard;
                       act(x, y);
                     },
                     [=] {
                       return bytes_of({x, y});
                     }};
    };
    const std::string name = change.first;
    tally.fail_each(name, [&] { return subject(randn({3, 4}), randn({3, 4}), false); });
    tally.fail_each(name + " of a turned tensor", [&] {
      return subject(randn({4, 3}).t(), randn({3, 4}), false);
    });
    tally.fail_each(name + " of a part of itself", [&] {
      const Tensor all = randn({4, 4});
      return subject(all.narrow(0, 0, 3), all.narrow(0, 1, 3), false);
    });
    tally.fail_each(name + ", recorded", [&] { return subject(inner(), randn({3, 4}), true); });
  }
  using Fill = Tensor (*)(const Tensor&);
  const std::vector<std::pair<const char*, Fill>> fills = {
      {"init.normal_", [](const Tensor& x) { return nn::init::normal_(x); }},
      {"init.eye_", [](const Tensor& x) { return nn::init::eye_(x); }},
      {"init.trunc_normal_", [](const Tensor& x) { return nn::init::trunc_normal_(x); }},
      {"init.orthogonal_", [](const Tensor& x) { return nn::init::orthogonal_(x); }},
      {"init.xavier_uniform_", [](const Tensor& x) { return nn::init::xavier_uniform_(x); }},
      {"init.kaiming_normal_", [](const Tensor& x) { return nn::init::kaiming_normal_(x); }}};
  for (const auto& fill : fills) {
    tally.fail_each(fill.first, [&] {
      const Tensor x = randn({4, 3}).t();
      return Subject{[=, act = fill.second] {
                       manual_seed(5);  // what was drawn is used up, whatever came of it
                       act(x);
                     },
                     [=] { return bytes_of(x); }};
    });
  }
  tally.report("a failing request in each change in place");
}
