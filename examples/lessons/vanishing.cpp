// Why sigmoids vanish and ReLUs die: the size of the gradient at each of 50 layers.

#include <fmt/core.h>
#include <cmath>
#include <functional>

#include <iostream>

#include <retrace/retrace.h>

using namespace retrace;

constexpr int kLayers = 50, kWidth = 64, kRows = 32;

struct Kind {
  const char* name;
  std::function<Tensor(const Tensor&)> activation;
  double gain;  // weights are normal with deviation gain / sqrt(width)
  double bias;
};

// The norm of each layer's gradient of its output, and the share of units that are 0 for all rows.
void measure(const Kind& kind) {
  manual_seed(0);
  Tensor h = randn({kRows, kWidth}, kFloat64);
  std::vector<Tensor> outputs;
  double dead = 0;
  for (int layer = 0; layer < kLayers; ++layer) {
    Tensor w =
        (randn({kWidth, kWidth}, kFloat64) * (kind.gain / std::sqrt(kWidth))).requires_grad_();
    h = kind.activation(h.matmul(w) + kind.bias);
    h.retain_grad();
    outputs.push_back(h);
    dead = 1 - gt(amax(h.detach().abs(), 0), 0).to(kFloat64).mean().item<double>();
  }
  h.sum().backward();
  const auto norm = [&](int layer) {
    return outputs[static_cast<std::size_t>(layer)].grad().square().sum().sqrt().item<double>();
  };
  std::cout << fmt::format("{:<28}", kind.name);
  for (const int layer : {0, 12, 24, 36, 49}) std::cout << fmt::format("{:>10.2e}", norm(layer));
  std::cout << fmt::format("{:>10.0f} %\n", 100 * dead);
}

int main(int argc, char** argv) {
  trace::Recorder recorder;
  std::cout << fmt::format("{:<28}{:>10}{:>10}{:>10}{:>10}{:>10}{:>12}\n", "norm of the gradient",
                           "layer 1", "13", "25", "37", "50", "dead units");
  const auto sigmoids = [](const Tensor& x) { return sigmoid(x); };
  const auto tanhs = [](const Tensor& x) { return tanh(x); };
  const auto relus = [](const Tensor& x) { return relu(x); };
  measure({"sigmoid, gain 1", sigmoids, 1, 0});
  measure({"tanh, gain 1", tanhs, 1, 0});
  measure({"relu, gain 1", relus, 1, 0});
  measure({"relu, gain sqrt(2)", relus, std::sqrt(2.0), 0});
  measure({"relu, sqrt(2), bias -0.1", relus, std::sqrt(2.0), -0.1});

  // The most that a sigmoid lets through is a quarter; fifty of them leave next to nothing.
  Tensor x = tensor({-4.0, -2.0, 0.0, 2.0, 4.0}).requires_grad_();
  sigmoid(x).sum().backward();
  std::cout << "slope of sigmoid at -4, -2, 0, 2, 4: " << x.grad() << "\n";
  std::cout << fmt::format("0.25 to the power of 50 = {:.1e}\n", std::pow(0.25, 50));
  if (argc > 1) recorder.save(argv[1]);
}
