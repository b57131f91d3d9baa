// Each optimizer learns the exclusive or, through each of four activations.
#include <doctest/doctest.h>

#include <functional>
#include <set>
#include <string_view>

#include <retrace/autograd/autograd.h>
#include <retrace/losses/losses.h>
#include <retrace/nn/nn.h>
#include <retrace/optim/optim.h>
#include <retrace/tensor/creation.h>

using namespace retrace;

namespace {

constexpr std::uint64_t kSeeds = 5;
constexpr int kSteps = 3000;
constexpr double kGoal = 0.01;  // of the squared error: all four answers are right

using Activation = Tensor (*)(const Tensor&);
struct NamedActivation {
  const char* name;
  Activation f;
};
const NamedActivation kActivations[] = {
    {"tanh", tanh},
    {"relu", relu},
    {"gelu", [](const Tensor& x) { return gelu(x); }},
    {"silu", silu},
};

using Make = std::function<std::vector<optim::Optimizer>(const std::vector<Tensor>&)>;
struct Learner {
  const char* name;
  Make make;
};

template <class O>
Make alone(const typename O::Options& options) {
  return [options](const std::vector<Tensor>& p) {
    return std::vector<optim::Optimizer>{O(p, options)};
  };
}

// Muon for the matrices, AdamW for the biases.
std::vector<optim::Optimizer> muon_and_adamw(const std::vector<Tensor>& parameters) {
  std::vector<Tensor> matrices, others;
  for (const Tensor& p : parameters) (p.dim() == 2 ? matrices : others).push_back(p);
  return {optim::Muon(matrices, {.lr = 0.05, .weight_decay = 0}),
          optim::AdamW(others, {.lr = 0.05})};
}

const std::vector<Learner>& learners() {
  using namespace optim;
  static const std::vector<Learner> all = {
      {"SGD", alone<SGD>({.lr = 0.5})},
      {"SGD with momentum", alone<SGD>({.lr = 0.1, .momentum = 0.9})},
      {"SGD with Nesterov's", alone<SGD>({.lr = 0.1, .momentum = 0.9, .nesterov = true})},
      {"Adam", alone<Adam>({.lr = 0.02})},
      {"Adam with amsgrad", alone<Adam>({.lr = 0.02, .amsgrad = true})},
      {"AdamW", alone<AdamW>({.lr = 0.02})},
      {"Adamax", alone<Adamax>({.lr = 0.02})},
      {"NAdam", alone<NAdam>({.lr = 0.02})},
      {"RAdam", alone<RAdam>({.lr = 0.02})},
      {"RMSprop", alone<RMSprop>({.lr = 0.01})},
      {"RMSprop centered with momentum",
       alone<RMSprop>({.lr = 0.003, .momentum = 0.9, .centered = true})},
      {"Adagrad", alone<Adagrad>({.lr = 0.1})},
      {"Adadelta", alone<Adadelta>({.lr = 1.0})},
      {"Lion", alone<Lion>({.lr = 0.005})},
      {"Muon", muon_and_adamw},
  };
  return all;
}

// The step in which a network 2-16-1 comes below the goal; kSteps when it does not.
int learn_xor(std::uint64_t seed, Activation activation, const Make& make) {
  manual_seed(seed);
  nn::Linear hidden(2, 16), out(16, 1);
  std::vector<Tensor> parameters = hidden.parameters();
  for (const Tensor& p : out.parameters()) parameters.push_back(p);
  std::vector<optim::Optimizer> optimizers = make(parameters);
  const Tensor x = tensor({{0.0, 0.0}, {0.0, 1.0}, {1.0, 0.0}, {1.0, 1.0}});
  const Tensor y = tensor({{0.0}, {1.0}, {1.0}, {0.0}});
  for (int step = 0; step < kSteps; ++step) {
    for (optim::Optimizer& optimizer : optimizers) optimizer.zero_grad();
    const Tensor loss = losses::mse_loss(sigmoid(out(activation(hidden(x)))), y);
    if (loss.item<double>() < kGoal) return step;
    loss.backward();
    for (optim::Optimizer& optimizer : optimizers) optimizer.step();
  }
  return kSteps;
}

}  // namespace

TEST_CASE("every optimizer learns the exclusive or from every seed") {
  for (const Learner& learner : learners()) {
    CAPTURE(learner.name);
    for (const NamedActivation& activation : kActivations) {
      CAPTURE(activation.name);
      for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
        CAPTURE(seed);
        const int steps = learn_xor(seed, activation.f, learner.make);
        CHECK(steps > 0);
        CHECK(steps < kSteps);
      }
    }
  }
}

TEST_CASE("every optimizer is among the learners") {
  std::set<std::string_view> learning;
  for (const Learner& learner : learners())
    learning.insert(learner.make({zeros({2, 2}), zeros({2})})[0].name());
  CHECK(learning == std::set<std::string_view>(optim::names().begin(), optim::names().end()));
}
