// The chain rule on one neuron: a gradient is a product, taken from the loss back to the weight.

#include <fmt/core.h>

#include <iostream>

#include <retrace/retrace.h>

using namespace retrace;

int main(int argc, char** argv) {
  trace::Recorder recorder;
  // What comes in, what should come out, and what the neuron has to learn with.
  const double x = 1.5, target = 0.0;
  Tensor w = tensor(0.8).requires_grad_(), b = tensor(-0.2).requires_grad_();

  Tensor z = w * x + b;
  Tensor y = sigmoid(z);
  Tensor loss = square(y - target);
  std::cout << fmt::format("z = {:.4f}\ny = {:.4f}\nloss = {:.4f}\n\n", z.item<double>(),
                           y.item<double>(), loss.item<double>());

  // loss.backward(), a step at a time: each node multiplies what arrives by its own slope.
  for (Backprop pass(loss); !pass.done();) std::cout << pass.step() << "\n\n";

  const double out = y.item<double>();
  const double dloss_dy = 2 * (out - target), dy_dz = out * (1 - out);
  std::cout << fmt::format("dloss/dy = 2 (y - target) = {:.4f}\n", dloss_dy)
            << fmt::format("dy/dz = y (1 - y) = {:.4f}\n", dy_dz)
            << fmt::format("dloss/dz = {:.4f}\n", dloss_dy * dy_dz)
            << fmt::format("dloss/dw by hand = {:.4f}, by the engine = {:.4f}\n",
                           dloss_dy * dy_dz * x, w.grad().item<double>())
            << fmt::format("dloss/db by hand = {:.4f}, by the engine = {:.4f}\n", dloss_dy * dy_dz,
                           b.grad().item<double>());

  // A step of 1 against the gradient, and what came of it.
  const double foretold =
      loss.item<double>() - w.grad().square().item<double>() - b.grad().square().item<double>();
  const NoGradGuard no_grad;
  const Tensor after = square(sigmoid((w - w.grad()) * x + (b - b.grad())) - target);
  std::cout << fmt::format("after a step: foretold {:.4f}, loss {:.4f}\n", foretold,
                           after.item<double>());
  if (argc > 1) recorder.save(argv[1]);
}
