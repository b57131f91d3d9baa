// What Adam does to a gradient: it keeps the sign and forgets the size.

#include <fmt/core.h>
#include <cmath>

#include <iostream>

#include <retrace/retrace.h>

using namespace retrace;

// How far one optimizer moves a weight whose gradients are given, step by step.
template <class Optimizer>
std::vector<double> moves(const std::vector<double>& gradients, double lr) {
  Tensor w = tensor(0.0, kFloat64).requires_grad_();
  Optimizer optimizer({w}, {.lr = lr});
  std::vector<double> all;
  for (const double g : gradients) {
    const double before = w.item<double>();
    optimizer.zero_grad();
    (g * w).backward();  // its gradient is g
    optimizer.step();
    all.push_back(w.item<double>() - before);
  }
  return all;
}

void show(const char* what, const std::vector<double>& numbers) {
  std::cout << fmt::format("{:<44}", what);
  for (const double number : numbers) std::cout << fmt::format("{:>11.5f}", number);
  std::cout << "\n";
}

int main(int argc, char** argv) {
  trace::Recorder recorder;
  const double lr = 0.1;
  const std::vector<double> small = {0.001, 0.001, 0.001, 0.001}, large = {1000, 1000, 1000, 1000},
                            turning = {1, -1, 1, -1}, spike = {1, 1, 100, 1, 1};
  show("SGD, gradient 0.001", moves<optim::SGD>(small, lr));
  show("SGD, gradient 1000", moves<optim::SGD>(large, lr));
  show("Adam, gradient 0.001", moves<optim::Adam>(small, lr));
  show("Adam, gradient 1000", moves<optim::Adam>(large, lr));
  show("Adam, gradient 1, -1, 1, -1", moves<optim::Adam>(turning, lr));
  show("Adam, gradient 1, 1, 100, 1, 1", moves<optim::Adam>(spike, lr));

  // The first step by hand: both means are corrected for having begun at 0.
  const double g = 0.001, m = 0.1 * g, v = 0.001 * g * g;
  const double m_hat = m / (1 - 0.9), v_hat = v / (1 - 0.999);
  std::cout << fmt::format("m = {:.1e}, corrected {:.1e}\n", m, m_hat)
            << fmt::format("v = {:.1e}, corrected {:.1e}\n", v, v_hat)
            << fmt::format("first move = {:.5f}\n", -lr * m_hat / (std::sqrt(v_hat) + 1e-8))
            << fmt::format("without the correction = {:.5f}\n", -lr * m / (std::sqrt(v) + 1e-8));
  if (argc > 1) recorder.save(argv[1]);
}
