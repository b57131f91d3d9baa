// Fan-out adds: a value that is used twice gets a gradient from each use, and their sum.

#include <fmt/core.h>

#include <iostream>

#include <retrace/retrace.h>

using namespace retrace;

int main(int argc, char** argv) {
  trace::Recorder recorder;
  Tensor x = tensor(3.0).requires_grad_();

  Tensor square_part = x * x;  // uses x twice in one op
  Tensor line_part = 4.0 * x;  // and once more in another
  Tensor y = square_part + line_part;
  std::cout << fmt::format("y = {:.1f}\n\n", y.item<double>());

  double before = 0;
  for (Backprop pass(y); !pass.done();) {
    const Step step = pass.step();
    std::cout << step << "\n";
    const double now = x.grad().defined() ? x.grad().item<double>() : 0;
    if (now != before) std::cout << fmt::format("x.grad was {:.1f}, now {:.1f}\n", before, now);
    std::cout << "\n";
    before = now;
  }
  std::cout << fmt::format("dy/dx = 2 x + 4 = {:.1f}\n", x.grad().item<double>());

  // A second pass adds to what is there. That is why a training step begins with zero_grad().
  (x * x + 4.0 * x).backward();
  std::cout << fmt::format("after a second backward: {:.1f}\n", x.grad().item<double>());
  x.zero_grad();
  (x * x + 4.0 * x).backward();
  std::cout << fmt::format("after zero_grad and backward: {:.1f}\n", x.grad().item<double>());
  if (argc > 1) recorder.save(argv[1]);
}
