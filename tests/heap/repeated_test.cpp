// Calls that end in an exception, a thousand times each: nothing of them stays in use. The bad
// calls of tests/reliability are linked to this program and counted with the others.
#include <doctest/doctest.h>

#include <functional>
#include <stdexcept>

#include <fmt/format.h>

#include <retrace/data/csv.h>
#include <retrace/data/loader.h>
#include <retrace/retrace.h>
#include <retrace/tests/figures.h>
#include <retrace/tests/files.h>
#include <retrace/tests/heap/heap.h>
#include <retrace/tests/reliability/refusal.h>
#include <retrace/train/predict.h>

using namespace retrace;
using namespace retrace::testing;

namespace {

constexpr int kTimes = 1000;

// Says at the end what the linked tests counted, once they ran.
struct BadCalls {
  BadCalls() {
    memory_in_use = [] {
      return InUse(heap::blocks_in_use(), static_cast<std::int64_t>(heap::bytes()));
    };
  }
  ~BadCalls() {
    if (repeated_calls < 100) return;
    figure("R12", "each bad call 1,000 times",
           fmt::format("{} calls, {} leave blocks or bytes of the heap", repeated_calls,
                       leaking_calls),
           leaking_calls == 0);
  }
};
const BadCalls bad_calls;

struct Own : std::runtime_error {
  Own() : std::runtime_error("an exception of one's own, with a text that is on the heap") {}
};

struct Throws final : NodeOf<Throws> {
  static constexpr std::string_view op = "throws", formula = "y = x", gradient = "none";
  void backward(const Tensor&, Gradients&) override { throw Own(); }
};

struct Composite {
  static constexpr std::string_view op = "composite", formula = "y = x", gradient = "none";
};

Tensor leaf() { return ones({3}).requires_grad_(); }

struct Case {
  const char* what;
  std::function<void()> call;
};

std::vector<Case> cases(const TemporaryFolder& folder) {
  const std::string path = folder.put("table.csv", "a,b\n1,2\n3\n");
  const auto loader = std::make_shared<data::DataLoader>(
      data::TensorDataset{arange(6).reshape({6, 1}), arange(6)}, data::DataLoaderOptions{});
  const auto layer = [](const Tensor&) -> Tensor { throw Own(); };
  return {
      {"hook of a result",
       [] {
         const Tensor y = leaf() * 2;
         y.register_hook([](const Tensor&) { throw Own(); });
         y.sum().backward();
       }},
      {"hook of a leaf",
       [] {
         const Tensor x = leaf();
         x.register_hook([](const Tensor&) { throw Own(); });
         (x * x).sum().backward();
       }},
      {"hook under create_graph",
       [] {
         const Tensor x = leaf(), y = x * x;
         y.register_hook([](const Tensor&) { throw Own(); });
         grad({y.exp().sum()}, {x}, {}, true, true);
       }},
      {"hook, one of several, after others",
       [] {
         const Tensor x = leaf(), y = x * 2;
         y.register_hook([](const Tensor& g) { return g * 2; });
         y.register_hook([](const Tensor&) { throw Own(); });
         (y * y).sum().backward();
       }},
      {"backward of one's own",
       [] {
         const Tensor x = leaf();
         record<Throws>(x.detach().clone(), {&x}, [](Throws&) {}).sum().backward();
       }},
      {"backward of one's own, stepped through",
       [] {
         const Tensor x = leaf();
         const Tensor y = record<Throws>(x.detach().clone(), {&x}, [](Throws&) {}).sum();
         for (Backprop pass(y); !pass.done();) pass.step();
       }},
      {"backward of one's own, recorded in a trace",
       [] {
         trace::Recorder recorder;
         const Tensor x = leaf();
         record<Throws>(x.detach().clone(), {&x}, [](Throws&) {}).sum().backward();
       }},
      {"body of a composite op",
       [] {
         const Tensor x = leaf();
         composite<Composite>([](const Tensor&) -> Tensor { throw Own(); }, x);
       }},
      {"task of a parallel call",
       [] {
         parallel_for(1000, 1, [](std::int64_t, std::int64_t end) {
           if (end == 1000) throw Own();  // the last part, on one processor the only one
         });
       }},
      {"closure without recording", [] { without_recording([]() -> Tensor { throw Own(); }); }},
      {"function under gradcheck",
       [] {
         gradcheck([](const std::vector<Tensor>&) -> std::vector<Tensor> { throw Own(); },
                   {ones({1}, kFloat64).requires_grad_()});
       }},
      {"layer of a Sequential",
       [=] {
         nn::Sequential net{nn::Linear(2, 2), layer};
         net(ones({1, 2}));
       }},
      {"activation of an Mlp",
       [=] {
         nn::Mlp(2, 1, {.activation = layer})(ones({1, 2}).requires_grad_());
       }},
      {"constructor of a module",
       [] {
         struct Broken : nn::Module {
           nn::Linear part{2, 2};
           Broken() {
             register_module("part", part);
             register_parameter("w", ones({2}));
             throw Own();
           }
         } broken;
       }},
      {"factor of a schedule",
       [] {
         optim::SGD sgd(std::vector<Tensor>{leaf()}, {.lr = 1});
         optim::LambdaLR(sgd, [](std::int64_t) -> double { throw Own(); });
       }},
      {"body of a loop over a loader",
       [=] {
         for (const auto& batch : *loader) {
           if (batch.inputs.item<std::int64_t>() == 2) throw Own();
         }
       }},
      {"forward function of a prediction",
       [=] {
         train::predict(layer, ones({4, 2}));
       }},
      {"row of a dataset out of range",
       [=] {
         loader->dataset().subset({0, 1, 7});
       }},
      {"row of a table", [=] { data::read_csv(path); }},
      {"anomaly found in backward",
       [] {
         const AnomalyMode anomaly;
         const Tensor x = zeros({2}).requires_grad_();
         (x.sqrt() * 0).sum().backward();
       }},
      {"op in a module's scope",
       [] {
         nn::Linear fc(2, 2);
         fc(ones({3, 3}).requires_grad_());
       }},
  };
}

}  // namespace

TEST_CASE("exceptions inside hooks, closures, tasks, datasets and backward rules leave nothing") {
  const TemporaryFolder folder;
  std::int64_t leaking = 0, all = 0;
  for (const Case& each : cases(folder)) {
    const auto throws = [&] {
      try {
        each.call();
      } catch (const std::exception&) {
        return true;
      }
      return false;
    };
    // What is made once for all calls: threads, the tables of the demangler.
    for (int i = 0; i < 5; ++i) CHECK_MESSAGE(throws(), each.what << " throws nothing");
    const InUse before = memory_in_use();
    for (int i = 0; i < kTimes; ++i) throws();
    const InUse after = memory_in_use();
    const bool same = after == before;
    CHECK_MESSAGE(same, each.what << " leaves " << after.first - before.first << " blocks, "
                                  << after.second - before.second << " bytes");
    ++all;
    leaking += !same;
  }
  figure(
      "R12", "exceptions inside hooks, closures, tasks, datasets and backward rules, 1,000 times",
      fmt::format("{} places, {} leave blocks or bytes of the heap", all, leaking), leaking == 0);
}
