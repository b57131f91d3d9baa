// Broadcasting sums: what was used for every row gets the sum of the gradients of all rows.

#include <fmt/core.h>

#include <iostream>

#include <retrace/retrace.h>

using namespace retrace;

int main(int argc, char** argv) {
  trace::Recorder recorder;
  const Tensor x = tensor({{1.0, 2.0, 3.0}, {0.0, -1.0, 0.5}});
  Tensor bias = tensor({0.1, 0.2, 0.3}).requires_grad_();
  Tensor scale = tensor({{2.0}, {-1.0}}).requires_grad_();  // a number for each row

  Tensor y = (x + bias) * scale;  // [2, 3], [3] and [2, 1]: all become [2, 3]
  Tensor loss = y.square().sum();
  std::cout << "y =\n" << y << "\n" << fmt::format("loss = {:.2f}\n\n", loss.item<double>());

  for (Backprop pass(loss); !pass.done();) std::cout << pass.step() << "\n\n";

  // By hand: dloss/dy = 2 y, and each copy of the bias was in its own row.
  const NoGradGuard no_grad;
  const Tensor each = 2.0 * y * scale;
  std::cout << "a gradient for each copy of the bias =\n" << each << "\n";
  std::cout << "their sum over the rows = " << each.sum(0) << "\n";
  std::cout << "bias.grad = " << bias.grad() << "\n";
  std::cout << "scale.grad, summed over the columns =\n" << scale.grad() << "\n";

  // A mean divides what it sums: with it the bias's gradient does not grow with the rows.
  bias.zero_grad();
  const auto of_rows = [&](std::int64_t rows) {
    bias.zero_grad();
    const Tensor many = x.narrow(0, 0, 1).expand({rows, 3});
    {
      const EnableGradGuard recording;
      (many + bias).square().mean().backward();
    }
    return bias.grad()[0].item<double>();
  };
  std::cout << fmt::format("of a mean over 1 row: {:.4f}, over 1000: {:.4f}\n", of_rows(1),
                           of_rows(1000));
  if (argc > 1) recorder.save(argv[1]);
}
